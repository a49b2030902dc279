"""``groundswell compare`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from comparing import poisson
from groundswell.cli import execute as run


@pytest.fixture
def traces(tmp_path: Path) -> list[str]:
    paths = [tmp_path / name for name in ("reference.csv", "same.parquet", "faster.csv")]
    for i, path in enumerate(paths):
        poisson(i, 3_000, rate_per_s=8.0 if path.stem == "faster" else 5.0).write(path)
    return [str(path) for path in paths]


def test_candidates_are_held_against_the_reference(traces: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", *traces]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"reference {traces[0]}: 3,000 requests in ")
    same, faster = said.split("faster.csv")
    assert "✓ mean rate" in same
    assert "✗ mean rate" in faster


def test_json_has_everything(traces: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", *traces, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["reference"], found["requests"]) == (traces[0], 3_000)
    assert [candidate["name"] for candidate in found["candidates"]] == traces[1:]
    rate = found["candidates"][1]["aspects"][0]
    assert (rate["key"], rate["verdict"], rate["kind"]) == ("rate", "differs", "ratio")
    assert len(found["curves"]["gaps"]["x"]) == len(found["curves"]["gaps"]["y"])
    assert len(found["scatter"]) == 2


def test_the_page_and_the_figures_are_written_and_told(
    traces: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, folder = tmp_path / "c.html", tmp_path / "figures"
    assert run(["compare", *traces[:2], "--html", str(page), "--figures", str(folder)]) == 0
    said = capsys.readouterr().err
    assert f"wrote {page}" in said
    assert f"wrote the figures to {folder}" in said
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (folder / "aspects-all.png").read_bytes().startswith(b"\x89PNG")


def test_options_of_reading_are_for_the_reference(traces: list[str], tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("when,in,out\n" + "".join(f"{i * 200},100,10\n" for i in range(300)))
    named = [f"--map={pair}" for pair in ("arrival=when", "input_tokens=in", "output_tokens=out")]
    assert run(["compare", str(table), traces[1], *named, "--time-unit", "ms"]) == 0


def told_of(err: str) -> list[str]:
    """The notes, a line each."""
    return err.replace("\n      ", " ").splitlines()


def test_ticks_are_spread_where_there_are_some_and_told_of_the_file_that_has_them(
    traces: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "t.csv"
    rows = (f"{i // 5 * 3},100,10\n" for i in range(2_000))
    table.write_text("arrival_s,input_tokens,output_tokens\n" + "".join(rows))
    spread = "Times were told in ticks of 3 s; the rows of each are spread over it at random."
    for arguments in ([str(table), traces[1]], [traces[1], str(table)]):
        assert run(["compare", *arguments, "--dequantise"]) == 0
        assert told_of(capsys.readouterr().err) == [f"note: {table}: {spread}"]
    assert run(["compare", *traces[:2], "--dequantise"]) == 0
    none = "No tick was found in the times, so none was spread."
    assert told_of(capsys.readouterr().err) == [f"note: {path}: {none}" for path in traces[:2]]


def test_a_trace_may_be_compared_with_itself(traces: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", traces[0], traces[0]]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["{0}"], 2, "CANDIDATE"),
        (["{0}", "{1}", "{1}"], 2, "is given twice"),
        (["{0}", "{folder}/none.csv"], 2, "none.csv"),
        (["{0}", "{1}", "--html", "{folder}/none/c.html"], 2, "there is no folder"),
        (["{0}", "{1}", "--figures", "{0}"], 2, "is no folder"),
        (["{0}", "{folder}/empty.csv"], 1, "empty.csv"),
    ],
)
def test_what_cannot_be_is_one_line_and_a_code(
    traces: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str
) -> None:
    (tmp_path / "empty.csv").write_text("arrival_s,client,input_tokens,output_tokens\n")
    assert run(["compare", *(word.format(*traces, folder=tmp_path) for word in arguments)]) == code
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said
