"""What a command writes is none of the files that it reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calibrating import BASE, asked, run_of
from groundswell.cli import execute as run
from kernel_tables import write

ENGINE = ["--model", "qwen2.5-14b", "--gpu", "a100", "--tp", "2"]
SLO = ["--slo", "ttft:p99<2s"]
URL = ["--url", "http://localhost:1"]
FLEET = '[[pool]]\nprofile = "mine.toml"\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of each kind."""
    monkeypatch.chdir(tmp_path)
    asked(20, 4.0).write("w.parquet")
    asked(20, 4.0, seed=4).write("day.parquet")
    run_of(BASE, 20).write("r.parquet")
    run_of(BASE, 20, seed=4).write("other.parquet")
    BASE.write("mine.toml")
    Path("fleet.toml").write_text(FLEET)
    Path("rate.csv").write_text("time_s,rate_per_s\n0,1\n60,2\n")
    Path("c.pool").write_text("clients\n")
    Path("law.toml").write_text("a law\n")
    os.symlink("w.parquet", "link.parquet")
    write(tmp_path / "kernels")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["simulate", "w.parquet", *ENGINE, "-o", "w.parquet"],
        ["simulate", "w.parquet", *ENGINE, "-o", "link.parquet"],
        ["simulate", "w.parquet", "--profile", "mine.toml", "-o", "mine.toml"],
        ["simulate", "w.parquet", "--fleet", "fleet.toml", "-o", "fleet.toml"],
        ["simulate", "w.parquet", "--fleet", "fleet.toml", "-o", "mine.toml"],
        ["plan", "w.parquet", *ENGINE, *SLO, "--html", "w.parquet"],
        ["plan", "w.parquet", *ENGINE, *SLO, "--history", "day.parquet", "--html", "day.parquet"],
        ["plan", "w.parquet", "--profile", "mine.toml", *SLO, "--html", "mine.toml"],
        ["plan", "chat-small", *ENGINE, *SLO, "--rate", "rate.csv", "--html", "rate.csv"],
        ["calibrate", "r.parquet", *ENGINE, "-o", "r.parquet"],
        ["calibrate", "r.parquet", "--profile", "mine.toml", "-o", "mine.toml"],
        ["calibrate", "--kernels", "kernels", "--model", "m", "--gpu", "g", "-o", "kernels/dense.csv"],
        ["report", "r.parquet", "-o", "r.parquet"],
        ["report", "r.parquet", "other.parquet", "-o", "other.parquet"],
        ["compare", "w.parquet", "day.parquet", "--html", "w.parquet"],
        ["compare", "w.parquet", "day.parquet", "--html", "day.parquet"],
        ["characterize", "w.parquet", "--html", "w.parquet"],
        ["replay", "w.parquet", *URL, "-o", "w.parquet"],
        ["fit", "c.pool", "-o", "c.pool"],
        ["generate", "c.pool", "-o", "c.pool"],
        ["generate", "chat-small", "--rate", "rate.csv", "-o", "rate.csv"],
        ["mix", "w.parquet:0.5", "day.parquet:0.5", "-o", "day.parquet"],
        ["convert", "w.parquet", "w.parquet"],
        ["rescale", "w.parquet", "--to", "x2", "-o", "w.parquet"],
        ["pool", "import", "c.pool", "-o", "c.pool"],
        ["pool", "filter", "c.pool", "--top", "1", "-o", "c.pool"],
        ["pool", "cdf", "rate.csv", "-o", "rate.csv"],
        ["population", "fit", "law.toml", "-o", "law.toml"],
        ["population", "sample", "c.pool", "-o", "c.pool"],
    ],
    ids=" ".join,
)
def test_no_command_writes_to_what_it_reads(words: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}

    before = files()
    assert run(words) == 2
    told = capsys.readouterr()
    assert told.err == f"groundswell: {words[-1]}: is what this command reads; write to another file\n"
    assert told.out == ""
    assert files() == before


@pytest.mark.parametrize(
    "words",
    [
        ["run", "chat-small", *URL, "--rate", "runs/workload.parquet", "-o", "runs"],
        ["search", "runs/search.json", *URL, *SLO, "-o", "runs"],
    ],
    ids=" ".join,
)
def test_nor_into_the_folder_of_a_run(words: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "runs").mkdir()
    for name in ("workload.parquet", "search.json"):
        (here / "runs" / name).write_text("mine")
    assert run(words) == 2
    assert "is what this command reads; write to another file" in capsys.readouterr().err
    assert {path.read_text() for path in (here / "runs").iterdir()} == {"mine"}
