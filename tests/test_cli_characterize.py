"""``groundswell characterize`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from groundswell.cli import execute as run


def csv(path: Path, n: int = 2_000, seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    at_s = np.cumsum(random.exponential(0.5, n))
    rows = zip(at_s, random.integers(1, 2_000, n), random.integers(1, 300, n), random.integers(0, 9, n), strict=True)
    lines = [f"{t:.4f},{a},{b},user-{c}" for t, a, b, c in rows]
    path.write_text("\n".join(["when,prompt,reply,who", *lines]) + "\n", encoding="utf-8")
    return path


MAP = [
    *("--map", "arrival=when", "--map", "input_tokens=prompt"),
    *("--map", "output_tokens=reply", "--map", "client=who"),
]


def test_a_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["characterize", str(csv(tmp_path / "t.csv")), *MAP]) == 0
    out = capsys.readouterr().out
    assert "t.csv: 2,000 requests from 9 clients" in out
    assert "S5" in out
    assert "cannot be said from this trace:" in out


def test_json_alone_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["characterize", str(csv(tmp_path / "t.csv")), *MAP, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["clients"]["count"] == 9
    assert found["source"]["skipped"] == 0


def test_the_same_trace_gives_the_same_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, said = csv(tmp_path / "t.csv"), []
    for workers in ("1", "2"):
        assert run(["characterize", str(path), *MAP, "--json", "--workers", workers]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_a_page_and_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, folder = tmp_path / "report.html", tmp_path / "figures"
    asked = ["--html", str(page), "--figures", str(folder)]
    assert run(["characterize", str(csv(tmp_path / "t.csv", 400)), *MAP, *asked]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {path.suffix for path in folder.iterdir()} == {".svg", ".png", ".pdf"}
    assert f"wrote {page}" in capsys.readouterr().err


@pytest.mark.parametrize("tokens", [0, 5])
@pytest.mark.parametrize("step_s", [0, 1, 3600])
def test_a_trace_without_any_chance_in_it_has_a_page(step_s: int, tokens: int, tmp_path: Path) -> None:
    trace, page = tmp_path / "t.csv", tmp_path / "page.html"
    trace.write_text(
        "arrival_s,input_tokens,output_tokens\n" + "".join(f"{i * step_s},{tokens},{tokens}\n" for i in range(1000))
    )
    assert run(["characterize", str(trace), "--html", str(page)]) == 0
    assert "</html>" in page.read_text()


def test_skipped_rows_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = csv(tmp_path / "t.csv")
    path.write_text(path.read_text(encoding="utf-8") + "1500.5,-3,1,user-1\n", encoding="utf-8")
    assert run(["characterize", str(path), *MAP]) == 1
    assert "line 2002" in capsys.readouterr().err
    assert run(["characterize", str(path), *MAP, "--bad-rows", "skip"]) == 0
    assert "skipped: 1 of the rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--window", "0"], "window"),
        (["--window", "abc"], "abc"),
        (["--period", "-1h"], "-1h"),
        (["--html", "/nowhere/at/all.html"], "no folder"),
        (["--figures", __file__], "no folder"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_what_cannot_be_meant(asked: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["characterize", str(csv(tmp_path / "t.csv", 50)), *MAP, *asked]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
