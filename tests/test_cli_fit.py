"""``groundswell fit`` as a user types it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundswell import read_pool
from groundswell.cli import execute as run
from groundswell.clients.client import Client, pool_of
from groundswell.clients.conversation import conversation
from groundswell.compose import compose
from pools import recorded_pool
from workloads import random_workload


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.parquet"
    random_workload(4000, reason=True).write(path)
    return path


def test_a_trace_becomes_a_pool_that_generates(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = tmp_path / "a.pool"
    assert run(["fit", str(trace), "-o", str(pool)]) == 0
    said = capsys.readouterr()
    assert "nothing was merged" in said.out
    assert f"groundswell generate {pool} -o workload.parquet" in said.out
    assert "whole windows" in said.err
    assert run(["generate", str(pool), "-o", str(tmp_path / "b.parquet")]) == 0
    assert run(["population", "fit", str(pool), "-o", str(tmp_path / "a.toml")]) == 0


def test_what_sharing_cost_is_printed(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = tmp_path / "a.pool"
    asked = ["--min-group", "100", "--window", "1m", "--slot", "1h", "--align", "trace"]
    assert run(["fit", str(trace), "-o", str(pool), *asked]) == 0
    said = capsys.readouterr().out
    assert "what merging cost" in said
    assert "KS of reason_ratio" in said
    held = read_pool(pool)
    assert (held.window_s, held.slot_s) == (60, 3600)
    assert held.origin["min_group"] == 100
    begin_s, end_s = held.covered_s
    assert (held.mean_rate_per_s * (end_s - begin_s) > 99.9).all()


def test_the_correlation_to_generate_with_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wide = (np.arange(1, 2001), np.ones(2000))
    compose(recorded_pool(np.full((2, 12), 0.5), lengths=[wide, wide]), joint="rank:0.6").collect().write(
        tmp_path / "t.parquet"
    )
    assert run(["fit", str(tmp_path / "t.parquet"), "-o", str(tmp_path / "a.pool")]) == 0
    said = capsys.readouterr().out
    assert "--joint rank:0." in said
    assert "rank correlation of 0." in said


def test_columns_of_any_table_can_be_named(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("when,who,in,out\n" + "".join(f"{i},u{i % 3},{i % 7},{i % 5}\n" for i in range(300)))
    names = ["arrival=when", "client=who", "input_tokens=in", "output_tokens=out"]
    mapped = [word for name in names for word in ("--map", name)]
    assert run(["fit", str(table), "-o", str(tmp_path / "a.pool"), "--names", "keep", *mapped, "--time-unit", "s"]) == 0
    assert read_pool(tmp_path / "a.pool").names == ("u0", "u1", "u2")


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        (["-o", "a.toml"], 2, "ends in .pool"),
        (["-o", "a.pool", "--slot", "7m"], 2, "whole number of windows"),
        (["-o", "a.pool", "--min-group", "5000"], 2, "4000 requests in all"),
        (["-o", "a.pool", "--min-requests", "0"], 2, "min-requests"),
        (["-o", "a.pool", "--map", "arrival"], 2, "OURS=THEIRS"),
        (["-o", "nowhere/a.pool"], 2, "no folder"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    trace: Path,
    words: list[str],
    code: int,
    fault: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(trace.parent)
    assert run(["fit", str(trace), *words]) == code
    said = capsys.readouterr().err
    assert fault in said
    assert said.splitlines()[-1].startswith("groundswell: ")


def test_a_file_that_is_no_trace_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert run(["fit", str(tmp_path / "t.csv"), "-o", str(tmp_path / "a.pool")]) == 1
    assert "is none of" in capsys.readouterr().err
    assert not (tmp_path / "a.pool").exists()


def test_conversations_can_be_asked_for_as_laws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:

    lengths = {"input_tokens": 100, "output_tokens": 50} | conversation(3, 10, 70)
    compose(pool_of([Client("a", 2.0, "poisson", lengths)]), duration_s=1200.0).collect().write(tmp_path / "t.parquet")
    fit = ["fit", str(tmp_path / "t.parquet"), "-o", str(tmp_path / "a.pool")]
    assert run(fit) == 0
    assert read_pool(tmp_path / "a.pool").sessions is not None
    capsys.readouterr()
    assert run([*fit, "--conversations", "laws"]) == 0
    assert "are in it as laws" in capsys.readouterr().err
    held = read_pool(tmp_path / "a.pool")
    assert held.sessions is None
    assert held.converses.all()
    assert run(["generate", str(tmp_path / "a.pool"), "-o", str(tmp_path / "b.parquet")]) == 0
