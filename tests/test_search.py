"""The most load that keeps an SLO is found, with simulated servers whose capacity is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.errors import GroundswellError, UsageError
from groundswell.judge import SLO, judge
from groundswell.search import MOST_TRIALS, Found, Limits, StoppedTrialError, Trial, search
from groundswell.search.bracket import Bracket, Held
from groundswell.search.text import describe, describe_trial
from groundswell.search.trials import requests_for, trial_of
from runs import failing, queue, run_of


@dataclass
class Server:
    """Trials that take as long as their load, on a clock of their own; ``verdict`` says what becomes of a rate."""

    verdict: Callable[[float, float], Held]
    now_s: float = 100.0
    tried: list[tuple[float, float]] = field(default_factory=list)

    def attempt(self, rate_per_s: float, span_s: float) -> Trial:
        self.tried.append((rate_per_s, span_s))
        self.now_s += span_s
        return Trial(rate_per_s, span_s, self.verdict(rate_per_s, span_s), round(rate_per_s * span_s), span_s)

    def search(
        self, first_per_s: float = 10.0, lasts_s: Callable[[float], float] | None = None, **limits: float
    ) -> Found:
        given = Limits(**{"budget_s": 1e6, **limits})  # type: ignore[arg-type]
        return search(self.attempt, first_per_s, given, lambda: self.now_s, lasts_s or (lambda rate: math.inf))


def keeps_up_to(capacity_per_s: float) -> Callable[[float, float], Held]:
    return lambda rate_per_s, span_s: "meets" if rate_per_s <= capacity_per_s else "fails"


@given(st.floats(0.5, 2000), st.floats(0.5, 2000), st.floats(0.01, 0.5))
def test_the_bracket_holds_the_truth_and_is_narrow(capacity_per_s: float, first_per_s: float, tolerance: float) -> None:
    server = Server(keeps_up_to(capacity_per_s))
    found = server.search(first_per_s, tolerance=tolerance, budget_s=1e9)
    assert found.why == "found"
    assert found.bracket.meets <= capacity_per_s < found.bracket.fails
    assert found.bracket.fails <= found.bracket.meets * (1 + tolerance) * (1 + 1e-9)
    rates = [rate for rate, _ in server.tried]
    assert len(set(rates)) == len(rates) <= MOST_TRIALS


@given(
    st.floats(0.5, 2000),
    st.floats(1.0, 2.0),
    st.floats(1.0, 1e4),
    st.floats(0.5, 2000),
    st.floats(0.01, 0.5),
    st.booleans(),
)
def test_a_search_ends_whatever_is_unclear_or_invalid(
    low: float, width: float, spoilt_above: float, first_per_s: float, tolerance: float, longer_helps: bool
) -> None:
    def verdict(rate_per_s: float, span_s: float) -> Held:
        if rate_per_s > low * spoilt_above:
            return "invalid"
        if low < rate_per_s <= low * width and not (longer_helps and span_s > 100 / rate_per_s + 60.5):
            return "unclear"
        return "meets" if rate_per_s <= low else "fails"

    server = Server(verdict)
    found = server.search(first_per_s, tolerance=tolerance, budget_s=1e9)
    assert len(server.tried) <= MOST_TRIALS
    rates = [rate for rate, _ in server.tried]
    assert max(rates.count(rate) for rate in rates) <= 2
    bracket = found.bracket
    assert bracket.meets <= low
    assert all(low < rate <= low * width for rate in bracket.unclear)
    assert bracket.fails > low
    assert bracket.invalid > low * spoilt_above
    if found.why == "found":
        edges = [bracket.meets, *bracket.unclear, bracket.fails]
        assert edges[1] <= edges[0] * (1 + tolerance) * (1 + 1e-9)
        assert edges[-1] <= edges[-2] * (1 + tolerance) * (1 + 1e-9)


def test_a_load_that_failed_below_one_that_was_kept_counts() -> None:
    tried: list[tuple[float, Held]] = [
        (8.0, "meets"),
        (4.0, "fails"),
        (2.0, "meets"),
        (16.0, "fails"),
        (6.0, "unclear"),
    ]
    assert Bracket.of(tried) == Bracket(2.0, 4.0)


def test_what_is_unclear_is_tried_once_more_and_longer() -> None:
    server = Server(
        lambda rate_per_s, span_s: (
            "meets" if rate_per_s < 11 and span_s > 100 else "unclear" if rate_per_s < 11 else "fails"
        )
    )
    found = server.search(10.0, trial_s=60.0, needed=600, tolerance=0.2)
    assert server.tried[:2] == [(10.0, 60.0), (10.0, 120.0)]
    assert found.bracket.meets == 10.0
    assert [trial.held for trial in found.trials[:2]] == ["unclear", "meets"]
    assert found.at(10.0) is found.trials[1]


def test_a_second_try_has_the_requests_that_the_percentiles_need() -> None:
    server = Server(lambda rate_per_s, span_s: "unclear")
    server.search(2.0, trial_s=60.0, needed=591, budget_s=600)
    assert server.tried[1] == (2.0, 295.5)


def test_at_a_low_rate_a_trial_is_longer() -> None:
    server = Server(keeps_up_to(0.5))
    server.search(1.0, trial_s=30.0, budget_s=1e4)
    assert server.tried[0] == (1.0, 100.0)


def test_an_slo_that_fails_at_any_rate_ends_with_the_budget() -> None:
    found = Server(lambda rate_per_s, span_s: "fails").search(budget_s=1000.0)
    assert found.why == "budget"
    assert found.bracket.meets == 0
    assert "fails at" in describe(found, "ttft:p99<1ms")
    assert sum(trial.span_s for trial in found.trials) <= 1000.0


def test_an_slo_that_is_met_at_any_rate_ends_with_the_workload() -> None:
    server = Server(keeps_up_to(math.inf))
    found = server.search(10.0, most_per_s=100.0)
    assert found.why == "workload"
    assert [rate for rate, _ in server.tried] == [10.0, 20.0, 40.0, 80.0, 100.0]
    assert describe(found, "ttft:p99<9s").startswith("ttft:p99<9s is met at 100 req/s, the most tried.")


def test_a_workload_that_is_too_short_is_said_before_anything_is_sent() -> None:
    server = Server(keeps_up_to(5.0))
    found = server.search(10.0, lasts_s=lambda rate_per_s: 5.0)
    assert found.why == "workload"
    assert server.tried == []


def test_no_trial_begins_that_would_go_beyond_the_budget() -> None:
    server = Server(keeps_up_to(11.0))
    found = server.search(10.0, trial_s=60.0, budget_s=200.0, tolerance=0.001)
    assert found.why == "budget"
    assert len(server.tried) == 3
    assert found.bracket.meets == 10.0
    assert found.bracket.fails == pytest.approx(14.142, rel=1e-4)


def test_the_budget_knows_that_replies_take_longer_than_the_load() -> None:
    server = Server(keeps_up_to(11.0))

    def attempt(rate_per_s: float, span_s: float) -> Trial:
        trial = server.attempt(rate_per_s, span_s)
        server.now_s += span_s
        return Trial(rate_per_s, span_s, trial.held, trial.requests, 2 * span_s)

    search(attempt, 10.0, Limits(60.0, 300.0), lambda: server.now_s)
    assert len(server.tried) == 2


def test_where_our_own_lag_spoils_a_load_the_search_goes_on_below() -> None:
    server = Server(lambda rate_per_s, span_s: "invalid" if rate_per_s > 30 else keeps_up_to(22)(rate_per_s, span_s))
    found = server.search(40.0)
    assert found.why == "found"
    assert found.bracket.meets <= 22 < found.bracket.fails < 30


def test_a_server_that_keeps_all_that_we_can_send_is_no_answer() -> None:
    found = Server(lambda rate_per_s, span_s: "invalid" if rate_per_s > 30 else "meets").search(10.0)
    assert found.why == "invalid"
    assert found.bracket.meets <= 30 < found.bracket.invalid
    assert "cannot be judged" in describe(found, "ttft:p99<1s")


def test_three_invalid_trials_and_no_other_end_a_search() -> None:
    server = Server(lambda rate_per_s, span_s: "invalid")
    assert server.search(100.0).why == "invalid"
    assert [rate for rate, _ in server.tried] == [100.0, 50.0, 25.0]


def test_far_beyond_its_capacity_the_next_load_is_what_the_server_answered() -> None:
    server = Server(keeps_up_to(12.0))

    def attempt(rate_per_s: float, span_s: float) -> Trial:
        trial = server.attempt(rate_per_s, span_s)
        return Trial(rate_per_s, span_s, trial.held, trial.requests, span_s, answered_per_s=min(rate_per_s, 12.0))

    found = search(attempt, 160.0, Limits(60.0, 1e5), lambda: server.now_s)
    assert [rate for rate, _ in server.tried][:2] == [160.0, 12.0]
    assert found.bracket.meets == 12.0


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (StoppedTrialError("interrupted"), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
        (GroundswellError("it is gone"), "server"),
        (UsageError("no client is left"), "workload"),
    ],
)
def test_what_was_found_stands_when_a_later_trial_does_not_end(fault: BaseException, why: str) -> None:
    server = Server(keeps_up_to(12.0))

    def attempt(rate_per_s: float, span_s: float) -> Trial:
        if len(server.tried) == 3:
            raise fault
        return server.attempt(rate_per_s, span_s)

    found = search(attempt, 10.0, Limits(60.0, 1e5), lambda: server.now_s)
    assert len(found.trials) == 3
    assert found.bracket.meets == 10.0
    assert found.why == why


def test_a_fault_of_the_first_trial_is_raised() -> None:
    def attempt(rate_per_s: float, span_s: float) -> Trial:
        raise GroundswellError("nobody listens")

    with pytest.raises(GroundswellError, match="nobody listens"):
        search(attempt, 10.0, Limits(60.0, 1e5), lambda: 0.0)


@pytest.mark.parametrize(
    ("limits", "words"), [((0.0, 9.0), "longer"), ((60.0, 30.0), "not enough"), ((1.0, 9.0, 0.0), "tolerance")]
)
def test_limits_that_cannot_be_meant_are_refused(limits: tuple[Any, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Limits(*limits)


@pytest.mark.parametrize("seed", range(4))
def test_a_queue_is_found_to_keep_what_it_keeps(seed: int) -> None:
    """An M/M/1 queue of 100 req/s: the time in it is exponential with mean 1 / (100 - rate), so that its p90 is below
    100 ms up to a rate of 100 - ln(10) / 0.1 = 76.97 req/s. Each verdict is wrong on one side in 2.5 % of cases, so the
    bracket of the two that matter is in 5 %; five standard errors of the p90 at 70 % are within 15 % in rate."""
    slo, capacity_per_s = SLO.parse("e2e:p90<100ms"), 100.0
    truth_per_s = capacity_per_s - math.log(10) / 0.1

    def attempt(rate_per_s: float, span_s: float) -> Trial:
        n = round(rate_per_s * span_s)
        if rate_per_s < 0.97 * capacity_per_s:
            arrival, stays = queue(rate_per_s / capacity_per_s, n, seed)
            due_s, latency_s = arrival / capacity_per_s, stays / capacity_per_s
        else:
            due_s = np.arange(n) / rate_per_s
            latency_s = 0.1 + due_s * (rate_per_s / capacity_per_s)
        judgement = judge(run_of(due_s, latency_s), slo)
        return trial_of(judgement, rate_per_s, span_s, n, span_s, "")

    found = search(attempt, 20.0, Limits(300.0, 1e6, needed=requests_for(slo)), lambda: 0.0)
    assert found.why == "found"
    bracket = found.bracket
    assert bracket.meets < truth_per_s * 1.15
    assert bracket.fails > truth_per_s * 0.85
    assert bracket.fails < 1.5 * bracket.meets
    best = found.at(bracket.meets)
    assert best is not None
    assert best.goodput_per_s.value > 0.9 * 0.97 * bracket.meets


def test_a_judgement_becomes_a_trial() -> None:
    due = np.arange(2000) / 10
    slo = SLO.parse("ttft:p99<500ms")
    kept = trial_of(judge(run_of(due, np.full(2000, 0.1)), slo), 10.0, 200.0, 2000, 201.0, "x.parquet")
    assert (kept.held, kept.why, kept.sent_per_s) == ("meets", "", 10.0)
    assert describe_trial(kept).startswith("    10 req/s for 3m20s   meets    ttft p99 100 ms (100 ms to 100 ms)")
    lost = run_of(due, np.full(2000, 0.1), error=failing(2000, range(0, 2000, 2)))
    failed = trial_of(judge(lost, slo), 10.0, 200.0, 2000, 201.0, "x.parquet")
    assert failed.held == "fails"
    assert "∞" in describe_trial(failed)
    late = run_of(due, np.full(2000, 0.1), sent_s=due + 0.09)
    spoilt = trial_of(judge(late, slo), 10.0, 200.0, 2000, 201.0, "x.parquet")
    assert spoilt.held == "invalid"
    assert "lag" in spoilt.why
    assert "INVALID" in describe_trial(spoilt)


def test_trials_are_as_long_as_the_percentiles_of_the_slo_ask() -> None:
    assert requests_for(SLO.parse("ttft:p99<1s,tpot:p50<1s")) == round(443 / 0.75)
    assert requests_for(SLO.parse("ttft:max<1s,tpot:mean<1s")) == 100


def test_a_rate_that_whole_clients_could_not_give_is_said() -> None:
    found = Found(Bracket(10.0, 20.0), [Trial(10.0, 60.0, "meets", 480), Trial(20.0, 60.0, "fails", 1200)], "found")
    assert "sent 8 req/s" in describe_trial(found.trials[0])
    assert describe(found, "x").startswith("x is met up to 8 req/s and fails from 20 req/s on.")
