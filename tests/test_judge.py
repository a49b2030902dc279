"""What a judgement says of runs whose figures are known."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from groundswell.errors import DataError, UsageError
from groundswell.judge import SLO, Judgement, judge
from groundswell.results import Results
from runs import Floats, failing, queue, run_of


def whole(results: Results, slo: str | None = None) -> Judgement:
    """The judgement of the whole run, nothing cut."""
    return judge(results, None if slo is None else SLO.parse(slo), 0.0, 0.0)


def stalled(span_s: float = 100.0, rate_per_s: float = 1_000.0, **columns: Any) -> Results:
    """A server that takes 50 ms and stops for 2 s: who comes meanwhile waits for the rest of the stop."""
    due = np.arange(0.0, span_s, 1 / rate_per_s)
    back = span_s / 2 + 2.0
    latency = 0.05 + np.where((due >= span_s / 2) & (due < back), back - due, 0.0)
    return run_of(due, latency, {"run": {"span_s": span_s}}, **columns)


@pytest.mark.parametrize("closed", [False, True], ids=["sent when due", "sent late by a client that waited"])
def test_a_server_that_stops_for_two_seconds_has_the_percentiles_it_must_have(closed: bool) -> None:
    # 2 % of requests wait evenly between 0 and 2 s, so the q quantile is 50 ms + 2 s · (1 − (1 − q) / 2 %) above 98 %.
    # A client that waited for the stop and then sent what had piled up does not change that: omission is not hidden.
    results = stalled()
    sent = np.where(closed, np.maximum(results.floats("first_token_s") - 0.05, 0.0), results.floats("due_s"))
    ttft = whole(stalled(sent_s=sent)).latencies["ttft"]
    for found, q in ((ttft.p50, 0.5), (ttft.p90, 0.9), (ttft.p95, 0.95), (ttft.p99, 0.99)):
        assert found.value == pytest.approx(0.05 + max(0.0, 2.0 * (1 - (1 - q) / 0.02)), rel=0.01)
    assert ttft.max.value == pytest.approx(2.05, rel=0.01)
    assert ttft.mean.value == pytest.approx(0.05 + 0.02 * 1.0, rel=0.01)
    extreme = whole(stalled(), "ttft:p99.9<1s").clauses[0]
    assert extreme.figure.value == pytest.approx(0.05 + 2.0 * 0.95, rel=0.01)
    assert extreme.share.value == pytest.approx(1 - 0.01 * 1.05, abs=2e-5)


def test_latencies_are_those_of_a_queue() -> None:
    n, load = 200_000, 0.5
    due, latency = queue(load, n, 7)
    found = whole(run_of(due, latency)).latencies["e2e"]
    # The standard error of a quantile x with density f there is √(q (1 − q) τ / n) / f, f = (1 − load) (1 − q); τ, by
    # which dependent requests are worth less, is at most 2 / (1 − √load)² services of 1 / load arrivals each.
    tau = 2 * load / (1 - np.sqrt(load)) ** 2
    for figure, q in ((found.p50, 0.5), (found.p90, 0.9), (found.p95, 0.95), (found.p99, 0.99)):
        error = np.sqrt(q * (1 - q) * tau / n) / ((1 - load) * (1 - q))
        assert abs(figure.value + np.log(1 - q) / (1 - load)) < 5 * error
    assert abs(found.mean.value - 2.0) < 5 * 2.0 * np.sqrt(tau / n)


def test_each_metric_is_what_its_name_says() -> None:
    found = whole(
        run_of(
            np.arange(100.0),
            np.full(100, 0.2),
            sent_s=np.arange(100.0) + 0.01,
            first_answer_s=np.arange(100.0) + 0.5,
            done_s=np.arange(100.0) + 1.2,
            asked_tokens=[11] * 100,
            output_tokens=[11] * 100,
        )
    )
    expected = {"ttft": 0.2, "ttfa": 0.5, "tpot": 0.1, "e2e": 1.2, "lag": 0.01}
    assert {name: pytest.approx(spread.p50.value) for name, spread in found.latencies.items()} == expected


def test_the_answer_is_told_apart_only_where_there_is_reasoning() -> None:
    plain = run_of(np.arange(20.0), np.ones(20), first_answer_s=np.arange(20.0) + 1)
    assert "ttfa" not in whole(plain).latencies
    assert whole(plain, "ttfa:max<=1s").clauses[0].figure.value == 1.0


def test_a_reply_of_one_token_has_no_time_per_token() -> None:
    found = whole(
        run_of(
            np.arange(40.0),
            np.ones(40),
            done_s=np.arange(40.0) + 2,
            output_tokens=[1, 3] * 20,
            asked_tokens=[1, 3] * 20,
            error=failing(40, [0, 1]),
        ),
        "tpot:max<1s",
    )
    assert (found.latencies["tpot"].n, found.latencies["tpot"].failed) == (20, 1)
    assert found.latencies["tpot"].p50.value == 0.5
    assert found.attainment.value == 38 / 40


def test_where_the_server_does_not_count_events_stand_in_for_tokens_and_this_is_said() -> None:
    found = whole(
        run_of(np.arange(20.0), np.ones(20), done_s=np.arange(20.0) + 2, asked_tokens=[5] * 20, events=[5] * 20)
    )
    assert found.latencies["tpot"].p50.value == 0.25
    assert "the server did not count the tokens of 20 replies: their events are taken for tokens" in found.notes


def test_failures_are_infinitely_late_whenever_they_came() -> None:
    # 2 of 100 failed, one of them fast: the 98 others are the lower 98 %.
    results = run_of(
        np.arange(100.0), np.r_[0.01, np.nan, np.ones(98)], done_s=np.arange(100.0) + 1.5, error=failing(100, [0, 1])
    )
    found = whole(results, "ttft:p98<2s,ttft:p99<2s,ttft:mean<2s,ttft:max<2s,ttft:p50<=1s")
    assert [clause.figure.value for clause in found.clauses] == [1.0, np.inf, np.inf, np.inf, 1.0]
    assert [clause.held for clause in found.clauses] == ["unclear", "unclear", "fails", "fails", "meets"]
    assert found.clauses[2].why == "2 of 100 failed"
    assert found.latencies["ttft"].mean.value == 1.0
    assert (found.failed, found.latencies["e2e"].failed, found.attainment.value) == (2, 2, 0.98)


def test_attainment_and_goodput_are_of_requests_that_keep_every_bound_themselves() -> None:
    # Independent: 30 % are slow to begin, 20 % slow to go on, 10 % fail. 0.7 · 0.8 · 0.9 keep everything.
    random = np.random.default_rng(11)
    n, rate = 50_000, 50.0
    due = np.arange(n) / rate
    late, slow, failed = (random.uniform(size=n) < p for p in (0.3, 0.2, 0.1))
    first = due + np.where(late, 3.0, 0.5)
    results = run_of(
        due,
        first - due,
        done_s=first + np.where(slow, 2.0, 1.0),
        output_tokens=[11] * n,
        asked_tokens=[11] * n,
        error=failing(n, np.flatnonzero(failed)),
    )
    found = whole(results, "ttft:p50<1s,tpot:p50<0.15s")
    true = 0.7 * 0.8 * 0.9
    assert abs(found.attainment.value - true) < 5 * np.sqrt(true * (1 - true) / n)
    assert found.attainment.low < true < found.attainment.high
    assert found.rates.goodput_per_s.value == pytest.approx(rate * found.attainment.value, rel=1e-3)
    assert found.rates.asked_per_s == pytest.approx(rate, rel=1e-3)
    assert found.verdict == "meets"
    assert [part.attainment for part in found.clients] == [pytest.approx(found.attainment.value)]


def test_a_request_keeps_a_bound_on_gaps_by_its_longest() -> None:
    results = run_of(np.arange(100.0), np.ones(100), longest_gap_s=[0.01, 0.05, None, 0.01] * 25)
    found = whole(results, "itl:p99<20ms")
    assert (found.attainment.value, found.clauses[0].held) == (0.75, "unclear")
    assert found.clauses[0].why == "the results have no such times"


def bounded(values: Floats, slo: str) -> tuple[str, str]:
    clause = whole(run_of(np.linspace(0, 100, values.size), values), slo).clauses[0]
    return clause.held, clause.why


def test_a_clause_is_unclear_where_its_interval_reaches_across_the_bound() -> None:
    values = np.random.default_rng(8).exponential(1.0, 20_000)
    assert bounded(values, "ttft:p90<2.5s")[0] == "meets"
    assert bounded(values, "ttft:p90<2.1s")[0] == "fails"
    assert bounded(values, "ttft:p90<2.3026s") == ("unclear", "the interval reaches across the bound")
    assert bounded(values, "ttft:mean<1.1s")[0] == "meets"
    assert bounded(values, "ttft:mean<0.9s")[0] == "fails"


def test_a_clause_says_where_requests_are_too_few() -> None:
    held, why = bounded(np.full(40, 0.1), "ttft:p99<1s")
    assert (held, why) == ("unclear", "p99 of 40: 443 or more are needed")
    assert bounded(np.full(40, 2.0), "ttft:p99<1s")[0] == "fails"  # that is clear from 40
    assert bounded(np.full(5, 0.1), "ttft:mean<1s") == ("unclear", "mean of 5 in fewer than 25 stretches of time")
    assert bounded(np.full(3, 0.1), "ttft:max<1s")[0] == "meets"  # of these three


def test_eleven_requests_of_which_most_came_at_once_give_no_interval_of_their_mean() -> None:
    # It once went from 4e-72 to the greatest of a thousand draws.
    latency = np.zeros(11)
    latency[[3, 8]] = 3.95, 1.0
    found = whole(run_of(np.linspace(0, 100, 11), latency)).latencies["ttft"].mean
    assert found.value == pytest.approx(4.95 / 11)
    assert np.isnan([found.low, found.high]).all()


def test_a_bound_is_met_by_less_or_where_asked_by_as_much() -> None:
    assert bounded(np.full(1_000, 0.5), "ttft:p50<0.5s")[0] == "fails"
    assert bounded(np.full(1_000, 0.5), "ttft:p50<=0.5s")[0] == "meets"


@pytest.mark.parametrize(("lag_s", "valid"), [(0.0049, True), (0.0051, False)], ids=["just in time", "just too late"])
def test_a_run_whose_own_lag_spoils_its_figures_is_invalid(lag_s: float, valid: bool) -> None:
    due = np.arange(1_000.0)
    lag = np.where(np.arange(1_000) % 50 == 0, lag_s, 1e-4)  # 2 % of the requests
    found = whole(run_of(due, np.full(1_000, 0.1), sent_s=due + lag), "ttft:p50<1s")
    assert found.verdict == ("meets" if valid else "invalid")
    assert [clause.held for clause in found.clauses] == ["meets"]
    if not valid:
        (reason,) = found.invalid
        assert "p99 of the lag is 5.1 ms, more than 5% of the median time to first token (100 ms)" in reason.text
        assert "workers" in reason.advice


def test_requests_that_were_held_back_on_purpose_do_not_make_a_run_invalid() -> None:
    due = np.arange(100.0)
    found = whole(run_of(due, np.full(100, 2.0), sent_s=due + np.where(due < 10, 1.5, 0), held=due < 10))
    assert found.verdict == "measured"
    assert "10 requests were held back by the limit of open requests, for up to 1.5s" in found.notes[0]


@pytest.mark.parametrize("kind", ["unsent", "worker lost"])
def test_a_run_that_did_not_send_everything_is_invalid(kind: str) -> None:
    due = np.arange(100.0)
    sent = np.where(due == 99, np.nan, due)
    results = run_of(due, np.where(due == 99, np.nan, 1.0), sent_s=sent, error=failing(100, [99], kind))
    found = judge(results)
    assert found.verdict == "invalid"
    assert found.invalid[0].text.startswith("1 request of 100 ")


def test_an_interrupted_run_is_judged_on_what_was_due_until_then() -> None:
    due = np.arange(0, 100, 0.1)
    open_at_the_end = due > 98
    results = run_of(
        due,
        np.where(open_at_the_end, np.nan, 1.0),
        {"run": {"interrupted": True, "remaining": 9_000, "cut_s": 100.0, "span_s": 1_000.0}},
        done_s=np.where(open_at_the_end, 100.0, due + 1.0),
        error=failing(1_000, np.flatnonzero(open_at_the_end), "interrupted"),
    )
    found = judge(results, SLO.parse("ttft:p50<2s"), cool_down_s=5.0)
    assert found.interrupted
    assert (found.verdict, found.window.span_s, found.window.end_s) == ("meets", 100.0, 95.0)
    assert found.latencies["ttft"].failed == 0
    assert "9,000 requests were not due yet" in found.notes[0]
    assert "19 requests that were open" in found.notes[1]


def test_nothing_due_is_nothing_to_judge() -> None:
    with pytest.raises(DataError, match="no request was due"):
        judge(run_of([], []))


def test_one_request_is_judged_without_a_warning() -> None:
    found = judge(run_of([0.0], [1.0]), SLO.parse("ttft:p99<2s"))
    assert (found.verdict, found.latencies["ttft"].p99.value) == ("unclear", 1.0)
    assert np.isnan(found.rates.asked_per_s)
    lost = judge(run_of([0.0], [np.nan], done_s=[np.nan], error=["refused"]), SLO.parse("ttft:p99<2s,tpot:mean<1s"))
    assert (lost.failed, lost.latencies["ttft"].p50.value) == (1, np.inf)


def test_an_empty_reply_begins_at_its_end_and_is_told() -> None:
    found = whole(run_of(np.arange(20.0), np.full(20, np.nan), done_s=np.arange(20.0) + 0.3))
    assert found.latencies["ttft"].p50.value == pytest.approx(0.3)
    assert any("20 replies ended well without a token" in note for note in found.notes)


def test_warm_up_and_cool_down_are_cut_by_rule_or_as_given() -> None:
    due = np.arange(0, 1_000.0)
    found = judge(run_of(due, np.where(due < 100, 30.0, 20.0), done_s=due + 30.0))
    window = found.window
    assert (window.warm_up_s, window.cool_down_s, window.begin_s, window.end_s) == (30.0, 30.0, 30.0, 969.0)
    assert (window.requests, window.left_out) == (940, 60)
    assert "the p95 of end-to-end latency" in window.rule
    slow = judge(run_of(due, np.full(1_000, 500.0))).window
    assert [slow.warm_up_s, slow.begin_s, slow.end_s] == pytest.approx([99.9, 99.9, 899.1])
    assert "a tenth of the run" in slow.rule
    given = judge(run_of(due, np.ones(1_000)), warm_up_s=100.0, cool_down_s=0.0).window
    assert (given.begin_s, given.end_s, given.requests, given.rule) == (
        100.0,
        999.0,
        900,
        "warm-up and cool-down as given",
    )
    half = judge(run_of(due, np.ones(1_000)), warm_up_s=100.0).window
    assert (half.begin_s, half.end_s) == (100.0, 998.0)
    assert half.rule.startswith("warm-up as given, cool-down by rule")


def test_windows_that_leave_nothing_are_refused_in_one_line() -> None:
    run = run_of(np.arange(60.0), np.ones(60))
    with pytest.raises(UsageError, match="a warm-up of 50s and a cool-down of 20s leave nothing of a run of 59s"):
        judge(run, warm_up_s=50.0, cool_down_s=20.0)
    with pytest.raises(UsageError, match=r"no request is due from 10s to 20s"):
        judge(run_of([0.0, 1.0, 30.0], np.ones(3)), warm_up_s=10.0, cool_down_s=10.0)


def test_where_the_rule_leaves_nothing_all_are_judged() -> None:
    found = judge(run_of([0.0, 100.0], [20.0, 20.0])).window
    assert (found.requests, found.left_out, found.begin_s, found.end_s) == (2, 0, 0.0, 100.0)
    assert "none would be left" in found.rule


def test_requests_that_are_due_behind_the_span_are_left_out() -> None:
    # As later turns are that waited for a slow server.
    due = np.r_[np.arange(100.0), 500.0]
    found = judge(run_of(due, np.ones(101), {"run": {"span_s": 100.0}}))
    assert (found.window.span_s, found.window.end_s, found.window.left_out) == (100.0, 99.0, 2)


def test_a_judgement_holds_one_metric_of_a_run_at_a_time() -> None:
    # Five latencies, each with its place in time and sorted, and a copy of the requests in the window were 330 bytes a
    # request; what is asked for is as much as twelve columns of eight.
    n = 100_000
    random = np.random.default_rng(6)
    first_s, tokens = random.exponential(0.3, n), random.integers(2, 300, n)
    due_s = np.arange(n) * 0.01
    results = run_of(
        due_s,
        first_s,
        sent_s=due_s + 1e-4,
        first_answer_s=due_s + first_s + 0.1,
        done_s=due_s + first_s + tokens * 0.01,
        asked_tokens=tokens,
        output_tokens=tokens,
        error=failing(n, range(0, n, 100)),
    )
    slo = SLO.parse("ttft:p99<2s,tpot:p99<0.1s")
    judge(Results(results.frame[:1_000]), slo)  # what is made once and kept
    tracemalloc.start()
    try:
        judge(results, slo)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * 8 * n
