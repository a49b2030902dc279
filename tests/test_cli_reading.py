"""What is given for traffic and is something else of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibrating import BASE, run_of
from groundswell.cli import execute as run

ENGINE = ["--model", "qwen2.5-14b", "--gpu", "a100", "--tp", "2"]
SLO = ["--slo", "ttft:p99<2s"]


@pytest.mark.parametrize(
    "verb",
    [["simulate", *ENGINE, "-o", "o.parquet"], ["plan", *ENGINE, *SLO], ["characterize"]],
    ids=lambda words: str(words[0]),
)
def test_results_are_no_workload(
    verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_of(BASE, 20).write("r.parquet")
    assert run([verb[0], "r.parquet", *verb[1:]]) == 1
    assert capsys.readouterr().err == "groundswell: r.parquet: is results, not a workload\n"


@pytest.mark.parametrize("source", ["chat-small", "folder", "mine.pool", "mine.toml"])
@pytest.mark.parametrize(
    "verb",
    [["simulate", *ENGINE, "-o", "o.parquet"], ["plan", "w.parquet", *ENGINE, *SLO, "--history"], ["characterize"]],
    ids=lambda words: str(words[0]),
)
def test_clients_are_to_be_drawn_from_first(
    verb: list[str], source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "chunk-0-trace.csv").write_text("0,600\n")
    for name in ("mine.pool", "mine.toml"):
        (tmp_path / name).write_text("clients")
    given = [*verb, source] if verb[-1] == "--history" else [verb[0], source, *verb[1:]]
    assert run(given) == 2
    said = capsys.readouterr().err
    assert said == (
        f"groundswell: {source}: is clients that traffic is drawn from; first: "
        f"groundswell generate {source} -o workload.parquet\n"
    )
