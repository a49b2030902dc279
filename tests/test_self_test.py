"""The self-test: what runs against a mock report, against what the mock says, and what follows from that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from groundswell.replay.self_test import Ladder, SelfTest, describe, holds, limit, self_test
from groundswell.serve.log import MARK
from groundswell.serve.trial import Load, Trial, gaps_of

BURST = Load(40, 4, ttft_s=0.01, gap_s=0.0)
STREAM = Load(40, 4, ttft_s=0.02, gap_s=0.01)
GOOD = Trial(
    replace(BURST, rate_per_s=100.0),
    requests=200,
    failed=0,
    lag_s=(0.0001, 0.0009),
    ttft_s=(0.0102, 0.0109),
    true_ttft_s=(0.01, 0.0101),
    gap_s=(np.nan, np.nan),
    true_gap_s=(np.nan, np.nan),
    client_s=0.2,
    mock_s=0.1,
    other_s=0.1,
    span_s=2.0,
    took_s=2.5,
)


@pytest.fixture(scope="module")
def found() -> tuple[SelfTest, list[str]]:
    said: list[str] = []
    return self_test([BURST], [STREAM], seconds=0.4, say=said.append), said


def test_every_request_is_sent_and_answered(found: tuple[SelfTest, list[str]]) -> None:
    for ladder in (found[0].bursts, found[0].streams):
        assert [(trial.requests, trial.failed) for trial in ladder.trials] == [(16, 0)]
        assert ladder.whole


def test_what_is_reported_is_never_before_what_the_mock_did(found: tuple[SelfTest, list[str]]) -> None:
    """A request is due before it arrives, and a token is read after it was written."""
    for trial in (*found[0].bursts.trials, *found[0].streams.trials):
        assert trial.true_ttft_s[0] >= trial.load.ttft_s
        for said, true in zip(trial.ttft_s, trial.true_ttft_s, strict=True):
            assert said > true - 1e-9
        assert trial.error_s >= max(np.subtract(trial.ttft_s, trial.true_ttft_s))
        assert 0 <= trial.lag_s[0] <= trial.lag_s[1]


def test_gaps_are_known_where_tokens_come_one_by_one(found: tuple[SelfTest, list[str]]) -> None:
    burst, stream = found[0].bursts.trials[0], found[0].streams.trials[0]
    assert np.isnan([*burst.gap_s, *burst.true_gap_s]).all()
    assert not np.isnan([*stream.gap_s, *stream.true_gap_s]).any()
    assert np.isfinite([burst.error_s, stream.error_s]).all()


def test_progress_is_a_line_for_each_load_under_a_head(found: tuple[SelfTest, list[str]]) -> None:
    assert len(found[1]) == 3
    assert found[1][0].split()[0] == "requests/s"


def test_gaps_are_those_between_tokens_of_the_same_reply() -> None:
    marks = np.array([(10, 0, 0), (12, 1, 0), (30, 0, 1), (33, 1, 1), (60, 0, 2)], MARK)
    assert gaps_of(marks) * 1e9 == pytest.approx([20, 30, 21])


def test_a_load_is_sent_at_its_rate_and_with_exponential_gaps() -> None:
    """The golden ratio's multiples fill the unit interval evenly, so that moments are met far closer than by chance."""
    gap = np.diff(replace(BURST, rate_per_s=500.0).workload(20.0).arrival_s)
    assert gap.size == 9999
    assert gap.mean() == pytest.approx(1 / 500, rel=0.005)
    assert gap.std() / gap.mean() == pytest.approx(1.0, rel=0.01)


def test_a_trial_holds_if_lag_and_errors_are_small_and_nothing_failed() -> None:
    assert holds(GOOD)
    assert not holds(replace(GOOD, lag_s=(0.0001, 0.0011)))
    assert not holds(replace(GOOD, ttft_s=(0.0102, 0.0112)))
    assert not holds(replace(GOOD, gap_s=(0.02, 0.02), true_gap_s=(0.0215, 0.02)))
    assert not holds(replace(GOOD, failed=1))


def test_the_limit_is_who_had_no_time_left() -> None:
    bad = replace(GOOD, lag_s=(0.001, 0.01))
    assert limit(replace(bad, failed=3), 8) == "that 3 of 200 requests failed"
    assert limit(replace(bad, other_s=5.0), 8).startswith("the machine: other programs used 2.0 of its 8 cores")
    assert limit(replace(bad, mock_s=1.9), 8).startswith("the mock")
    assert limit(replace(bad, client_s=1.9), 8).startswith("the client: its 1 worker had")
    assert limit(replace(bad, client_s=1.0, mock_s=0.9), 1).startswith("the machine: client and mock share 1 cores")
    assert limit(bad, 8).startswith("the machine: it let client and mock wait")


def test_the_text_says_up_to_where_figures_hold_and_what_stopped_them() -> None:
    fast = replace(GOOD, load=replace(GOOD.load, rate_per_s=2000.0), lag_s=(0.001, 0.02), mock_s=1.99)
    text = describe(SelfTest(Ladder((GOOD, fast), True), Ladder((GOOD,), False), 4, 0.98))
    assert "4 cores, 98 % of their time idle before" in text
    assert "at once: figures hold within 1 ms at p99 up to 100 requests/s, 400 events/s. At 2,000 requests/s" in text
    assert "the limit is the mock" in text
    assert text.endswith("token by token: figures hold within 1 ms at p99 up to 100 requests/s, 400 events/s; "
                         "the time was over then.")  # fmt: skip


def test_a_machine_on_which_nothing_holds_is_told_so() -> None:
    bad = replace(GOOD, lag_s=(0.001, 0.01), other_s=6.0)
    text = describe(SelfTest(Ladder((bad,), True), Ladder((), False), 4, 0.2))
    assert "figures do not hold within 1 ms at p99 even at 100 requests/s. At 100 requests/s the limit is" in text
    assert "the time was over before any was tried" in text
    assert "The machine was not idle" in text


def test_two_loads_in_a_row_that_do_not_hold_end_a_ladder() -> None:
    refused = replace(BURST, tokens=2**20 + 1)  # more than the mock makes
    said: list[str] = []
    found = self_test([refused, refused, BURST], [STREAM], seconds=0.1, say=said.append)
    assert [trial.failed for trial in found.bursts.trials] == [4, 4]
    assert found.bursts.holding is None
    assert found.bursts.failing is found.bursts.trials[0]
    assert said[1].endswith("does not hold")


def test_no_load_is_begun_when_the_time_is_over() -> None:
    found = self_test([BURST], [STREAM], seconds=0.1, most_s=0.0, say=lambda _: None)
    assert found.bursts == found.streams == Ladder((), whole=False)


def test_one_load_alone_that_does_not_hold_is_noise_if_a_faster_one_does() -> None:
    bad, fast = replace(GOOD, lag_s=(0.001, 0.01)), replace(GOOD, load=replace(GOOD.load, rate_per_s=2000.0))
    assert Ladder((GOOD, bad, fast), True).holding is fast
    assert Ladder((GOOD, bad, fast), True).failing is None
    assert Ladder((GOOD, fast, bad, bad), True).holding is fast
    assert Ladder((GOOD, fast, bad, bad), True).failing is bad
