"""``groundswell judge`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from groundswell.cli import execute as run
from runs import failing, run_of


@pytest.fixture
def good(tmp_path: Path) -> str:
    due = np.arange(0, 200, 0.1)
    times = [[float(t) + 0.1, float(t) + 0.3] for t in due]
    path = tmp_path / "good.parquet"
    run_of(due, np.full(due.size, 0.1), sent_s=due, done_s=due + 0.3, event_s=times).write(path)
    return str(path)


@pytest.fixture
def late(tmp_path: Path) -> str:
    due = np.arange(0, 200, 0.1)
    path = tmp_path / "late.parquet"
    run_of(due, np.full(due.size, 0.1), sent_s=due + 0.09).write(path)
    return str(path)


def test_a_run_is_judged(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["judge", good, "--slo", "ttft:p99<2s,e2e:mean<=1s"]) == 0
    said = capsys.readouterr().out
    assert "MEETS ttft:p99<2s,e2e:mean<=1s" in said
    assert "itl" in said


def test_json_has_every_figure(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["judge", good, "--slo", "ttft:p99<50ms", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["requests"], found["slo"]) == ("fails", 2_000, "ttft:p99<50ms")
    assert found["latencies"]["ttft"]["p99"]["value"] == pytest.approx(0.1)
    assert found["clauses"][0]["clause"]["quantile"] == 0.99
    assert found["latencies"]["itl"]["p50"]["value"] == pytest.approx(0.2, rel=0.006)
    assert len(found["over_time"]["at_s"]) == 60


def test_the_window_is_as_given(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["judge", good, "--warm-up", "50s", "--cool-down", "1m", "--json"]) == 0
    window = json.loads(capsys.readouterr().out)["window"]
    assert (window["begin_s"], window["end_s"]) == (50.0, pytest.approx(139.9))


@pytest.mark.parametrize(("slo", "code"), [("ttft:p99<2s", 0), ("ttft:p99<50ms", 1), ("ttft:p99.99<2s", 1)])
def test_a_script_can_go_by_the_exit_code(good: str, slo: str, code: int) -> None:
    assert run(["judge", good, "--slo", slo]) == 0
    assert run(["judge", good, "--slo", slo, "--require"]) == code


def test_an_invalid_run_exits_with_1(late: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["judge", late, "--slo", "ttft:p99<2s"]) == 1
    assert "INVALID" in capsys.readouterr().out
    assert run(["judge", late, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["invalid"][0]["advice"]


def test_a_run_where_all_failed_is_told_without_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "failed.parquet"
    due, none = np.arange(100.0), np.full(100, np.nan)
    run_of(due, none, sent_s=due, done_s=none, error=failing(100, range(100), "refused")).write(path)
    assert run(["judge", str(path), "--slo", "ttft:p50<1s,tpot:p50<1s", "--require"]) == 1
    said = capsys.readouterr().out
    assert "100 failed (100 %): refused" in said
    assert "∞" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.parquet"], "none.parquet: no such file"),
        (["GOOD", "--slo", "ttft<2"], "has not the form METRIC:STATISTIC<BOUND"),
        (["GOOD", "--warm-up", "soon"], "'soon' is no duration"),
        (["GOOD", "--warm-up", "10m"], "leave nothing of a run of 3m20s"),
        (["GOOD", "--require"], "give one with --slo"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    good: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["judge", *(good if word == "GOOD" else word for word in arguments)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
