"""Pools that are broken or extreme, at the command line: one line and an exit code, or a right result."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundswell.cli import execute as run
from groundswell.table import Workload
from servegen_folder import PAIR, QUIET, Window, Written, write_servegen

SLOTS = {0: {"input_tokens": {100: 1.0}, "output_tokens": {10: 0.5, 30: 0.5}}}


def generate(folder: Path, output: Path, *more: str) -> int:
    return run(["generate", str(folder), "-o", str(output), *more])


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("chunk-2-trace.csv", "0.25,8.0\r\n600", "0.25\r\n600"),
        ("chunk-2-trace.csv", "0.5,2.0", "-0.5,2.0"),
        ("chunk-2-trace.csv", "0.5,2.0", "nan,2.0"),
        ("chunk-2-trace.csv", "Weibull", "Gumbel"),
        ("chunk-2-dataset.json", "{3: 0.25, 8: 0.75}", "{3: 0.25, 8: __import__('os')}"),
        ("chunk-2-dataset.json", "{3: 0.25, 8: 0.75}", "{3: 0.25, 8:"),
        ("chunk-2-dataset.json", "{3: 0.25, 8: 0.75}", "{3: 0.25, 8: 0.5}"),
        ("chunk-2-dataset.json", "{3: 0.25, 8: 0.75}", "{3: 1.25, 8: -0.25}"),
    ],
    ids=[
        "truncated line",
        "rate below 0",
        "rate nan",
        "family",
        "code",
        "literal",
        "sum of 0.75",
        "probability below 0",
    ],
)
def test_a_broken_file_of_a_folder_is_named_in_one_line(
    file: str, old: str, new: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = write_servegen(tmp_path / "pool"), tmp_path / "w.parquet"
    text = (folder / file).read_bytes()
    assert old.encode() in text
    (folder / file).write_bytes(text.replace(old.encode(), new.encode(), 1))
    assert generate(folder, output) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"groundswell: {folder / file}")
    assert said.count("\n") == 1
    assert not output.exists()


def test_a_dataset_cut_in_the_middle_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_servegen(tmp_path / "pool")
    path = folder / "chunk-2-dataset.json"
    path.write_bytes(path.read_bytes()[:100])
    assert generate(folder, tmp_path / "w.parquet") == 1
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("cv", [0.0, 142.0])
@pytest.mark.parametrize("family", ["Gamma", "Weibull"])
def test_a_cv_at_either_end_still_gives_every_request(cv: float, family: str, tmp_path: Path) -> None:
    window: Window = (2.0, cv, family, 1.0, 1.0)
    folder = write_servegen(tmp_path / "pool", {"chunk-0": Written([window] * 3, SLOTS)})
    assert generate(folder, tmp_path / "w.parquet") == 0
    assert len(Workload.read(tmp_path / "w.parquet")) == pytest.approx(3 * 1200, abs=1)


def test_a_client_without_lengths_is_dropped_or_borrows_and_said_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_servegen(tmp_path / "pool", PAIR)
    for choice, clients in (("drop", {"chunk-2"}), ("borrow", {"chunk-2", "chunk-10"})):
        output = tmp_path / f"{choice}.parquet"
        assert generate(folder, output, "--no-dataset", choice) == 0
        assert "1 of 2 clients, " in capsys.readouterr().err
        assert set(Workload.read(output).frame["client"].unique()) == clients


def test_a_pool_of_no_requests_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_servegen(tmp_path / "pool", {"chunk-0": Written([QUIET] * 4, SLOTS)})
    assert generate(folder, tmp_path / "w.parquet") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "w.parquet").exists()


def test_a_pool_without_any_lengths_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_servegen(tmp_path / "pool", {"chunk-0": Written([(1.0, 1.0, "Gamma", 1.0, 1.0)] * 4)})
    assert generate(folder, tmp_path / "w.parquet") == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("start", ["40m", "1d"])
def test_a_start_behind_the_end_of_a_pool_is_refused(
    start: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_servegen(tmp_path / "pool")
    assert generate(folder, tmp_path / "w.parquet", "--start", start) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "which covers 0s to 40m" in said


def test_a_damaged_pool_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = tmp_path / "p.pool"
    assert run(["pool", "import", str(write_servegen(tmp_path / "pool")), "-o", str(pool)]) == 0
    pool.write_bytes(pool.read_bytes()[:-200])
    capsys.readouterr()
    assert generate(pool, tmp_path / "w.parquet") == 1
    assert str(pool) in capsys.readouterr().err
