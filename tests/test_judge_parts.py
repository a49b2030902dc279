"""Gaps between events, parts of a run, errors, tokens, and the server's own counters."""

from __future__ import annotations

import numpy as np
import pytest

from groundswell.gap_buckets import gap_buckets
from groundswell.judge import SLO, Judgement, judge
from groundswell.judge.gaps import piled_up
from groundswell.results import Results
from runs import Floats, failing, run_of


def whole(results: Results, slo: str | None = None) -> Judgement:
    return judge(results, None if slo is None else SLO.parse(slo), 0.0, 0.0)


def noted(gap_s: Floats, at_s: Floats, width_s: float) -> dict[str, object]:
    """Gaps as the metadata has them."""
    stretches = []
    for number in range(int(at_s.max() / width_s) + 1):
        bucket, count = np.unique(gap_buckets(gap_s[at_s // width_s == number]), return_counts=True)
        stretches.append(np.column_stack((bucket, count)).tolist())
    return {"width_s": width_s, "first": 0, "stretches": stretches}


def test_gaps_between_events_have_their_percentiles_to_the_width_of_a_bucket() -> None:
    # Buckets are 1.1 % wide, and a figure is the middle of one.
    random = np.random.default_rng(1)
    gap_s, at_s = random.gamma(4.0, 0.005, 200_000), np.sort(random.uniform(0, 100.0, 200_000))
    run = run_of(np.arange(100.0), np.ones(100), {"gaps": noted(gap_s, at_s, 1.0), "run": {"span_s": 100.0}})
    itl = whole(run).latencies["itl"]
    assert (itl.n, itl.failed) == (200_000, 0)
    for found, q in ((itl.p50, 0.5), (itl.p90, 0.9), (itl.p99, 0.99)):
        assert found.value == pytest.approx(float(np.quantile(gap_s, q)), rel=0.011)
        assert found.low <= found.value <= found.high
    assert itl.mean.value == pytest.approx(float(gap_s.mean()), rel=0.006)
    assert whole(run, "tbt:p99<60ms").verdict == "meets"


def test_gaps_outside_the_window_are_left_out() -> None:
    at_s = np.arange(0.5, 100.0)
    metadata = {"gaps": noted(np.where(at_s < 10, 1.0, 0.01), at_s, 1.0), "run": {"span_s": 100.0}}
    found = judge(run_of(np.arange(100.0), np.ones(100), metadata), warm_up_s=10.0, cool_down_s=10.0)
    itl = found.latencies["itl"]
    assert [itl.n, itl.max.value] == pytest.approx([80, 0.01], rel=0.006)


def test_gaps_come_from_the_times_of_events_where_these_were_kept() -> None:
    # 0, 1, 2 and 3 events: a reply's first event ends no gap, and gaps do not span replies.
    due = np.arange(400.0)
    events = [[], [0.5], [1.0, 1.25], [2.0, 2.1, 2.2]]
    times = [None if i == 7 else [i - i % 4 + t for t in events[i % 4]] for i in range(400)]
    found = whole(run_of(due, np.full(400, 0.1), done_s=due + 1, event_s=times))
    itl = found.latencies["itl"]
    assert itl.n == 100 + 2 * 99
    assert [itl.p50.value, itl.max.value] == pytest.approx([0.1, 0.25], rel=0.006)


@pytest.mark.parametrize(
    ("others", "piled", "found"),
    [(0.01, 0.1, True), (0.01, 0.03, False), (0.042, 0.1, False), (0.2, 0.1, True)],
    ids=["a pile", "few", "a server of 42 ms a token", "a pile below"],
)
def test_delays_that_pile_up_at_40_ms_are_noticed(others: float, piled: float, found: bool) -> None:
    random = np.random.default_rng(2)
    gap_s = random.normal(others, others / 10, 10_000)
    gap_s[random.uniform(size=gap_s.size) < piled] = 0.0405
    assert bool(piled_up(gap_s)) == found
    run = run_of(np.arange(10_000.0), np.ones(10_000), longest_gap_s=gap_s)
    assert any("--quick-ack" in note for note in whole(run).notes) == found


@pytest.mark.parametrize(("quick_ack", "piled", "noted"), [(False, 0.9, True), (True, 0.9, False), (False, 0.0, False)])
def test_first_tokens_that_come_40_ms_after_the_head_are_noticed(quick_ack: bool, piled: float, noted: bool) -> None:
    random = np.random.default_rng(5)
    wait_s = np.where(random.uniform(size=2000) < piled, random.normal(0.042, 0.001, 2000), 0.002)
    head_s = np.arange(2000.0) + 0.01
    run = run_of(np.arange(2000.0), 0.01 + wait_s, {"run": {"quick_ack": quick_ack}}, head_s=head_s)
    assert (
        any("from a reply's head to its first token are close to 40 ms" in note for note in whole(run).notes) == noted
    )


def test_an_exponential_law_of_gaps_is_no_pile() -> None:
    assert piled_up(np.random.default_rng(3).exponential(0.03, 100_000)) == 0.0


def test_clients_are_those_that_sent_most_and_the_rest() -> None:
    names = np.repeat([f"c{i:02}" for i in range(30)], np.arange(30) + 1)
    n = names.size
    found = whole(run_of(np.arange(float(n)), np.full(n, 0.5), client=names.tolist(), input_tokens=[7] * n))
    assert [part.name for part in found.clients[:2]] == ["c29", "c28"]
    assert (len(found.clients), found.clients[-1].name, found.clients[-1].requests) == (21, "10 others", 55)
    assert sum(part.requests for part in found.clients) == n
    assert found.clients[0].input_tokens == 7
    assert (found.clients[0].ttft_p50, np.isnan(found.clients[0].ttft_p99)) == (0.5, True)


def test_prompts_are_binned_by_doublings_and_every_request_is_in_one() -> None:
    tokens = np.r_[0, 1, 2, 3, 4, 5, 8, 9, 1_000_000]
    n = tokens.size
    found = whole(run_of(np.arange(float(n)), tokens.astype(float), input_tokens=tokens))
    parts = found.input_lengths
    assert len(parts) <= 12
    assert [(part.low, part.high, part.requests) for part in parts[:4]] == [(0, 1, 2), (2, 2, 1), (3, 4, 2), (5, 8, 2)]
    assert sum(part.requests for part in parts) == n
    wide = whole(run_of(np.arange(21.0), np.ones(21), input_tokens=2 ** np.arange(21))).input_lengths
    assert len(wide) == 11
    assert [(part.low, part.high) for part in wide[:3]] == [(0, 1), (2, 4), (5, 16)]


def test_over_time_is_bounded_and_adds_up() -> None:
    # 10 req/s for 600 s, each open for 3 s and streaming 31 tokens in its last 2 s; the first tenth of a minute fails.
    due = np.arange(0, 600, 0.1)
    n = due.size
    results = run_of(
        due,
        np.full(n, 1.0),
        {"run": {"span_s": 600.0}},
        sent_s=due,
        done_s=due + 3.0,
        asked_tokens=[31] * n,
        output_tokens=[31] * n,
        error=failing(n, range(60)),
    )
    course = whole(results, "ttft:p50<2s").over_time
    assert (course.at_s.size, course.width_s) == (60, 10.0)
    assert course.due.tolist() == [100] * 60
    assert (course.sent.sum(), course.ended.sum(), course.failed.tolist()) == (n, n - 60, [60] + [0] * 59)
    # Little's law: 10 a second for 3 s each are 30 open.
    assert course.open[1:] == pytest.approx(30.0, rel=1e-3)
    assert course.output_tokens_per_s[2:] == pytest.approx(310.0, rel=1e-3)
    assert course.ttft_p50[0] == np.inf
    assert course.tpot_p50[1:] == pytest.approx(2.0 / 30)
    assert course.e2e_p99[1:] == pytest.approx(3.0)
    assert course.attainment.tolist() == [0.4] + [1.0] * 59


def test_errors_are_counted_by_kind_with_what_servers_said() -> None:
    kinds = ["status"] * 5 + ["reset"] * 2 + [None] * 93
    words = ["busy", "busy", "full", "late", "odd", None, ""] + [None] * 93
    found = whole(
        run_of(
            np.arange(100.0),
            np.ones(100),
            error=kinds,
            words=words,
            status=[503, 503, 429, 503, 500, 0, None] + [200] * 93,
        )
    )
    status, reset = found.errors
    assert (status.kind, status.count, status.share) == ("status", 5, 0.05)
    assert status.statuses == ((503, 3), (429, 1), (500, 1))
    assert status.examples == ("busy", "full", "late")
    assert (reset.kind, reset.count, reset.statuses, reset.examples) == ("reset", 2, (), ())


@pytest.mark.parametrize(
    ("rounding", "said"), [({}, True), ({"prompt_tokens": 8}, True), ({"prompt_tokens": 10}, False)]
)
def test_a_server_that_rounds_its_counter_is_believed_as_far_as_that(rounding: dict[str, int], said: bool) -> None:
    metadata = {"totals": {"prompt_tokens": 1_000_010.0}, "rounding": rounding}
    found = whole(run_of([0.0, 1.0], [0.1, 0.1], metadata, prompt_tokens=[400_000, 600_001]))
    assert found.server[0].agrees is not said
    assert any("the server's own counter of prompt tokens" in note for note in found.notes) is said


def test_tokens_that_are_counted_otherwise_are_shown() -> None:
    found = whole(
        run_of(
            np.arange(4.0),
            np.ones(4),
            {"totals": {"prompt_tokens": 31.0, "output_tokens": 25, "requests": 4, "running": 1}},
            sent_s=np.arange(4.0),
            input_tokens=[10] * 4,
            made_tokens=[10] * 4,
            prompt_tokens=[10, 9, 12, None],
            asked_tokens=[5] * 4,
            output_tokens=[5, 3, 7, 9],
            error=failing(4, [3]),
        )
    )
    tokens = found.tokens
    assert (tokens.requests, tokens.asked, tokens.output, tokens.made, tokens.prompt) == (3, 15, 15, 30, 31)
    assert (tokens.prompt_compared, tokens.prompt_mismatches, tokens.prompt_excess) == (3, 2, 1)
    assert (tokens.output_compared, tokens.output_shorter, tokens.output_longer) == (3, 1, 1)
    assert [(total.name, total.server, total.ours) for total in found.server] == [
        ("requests", 4, 4),
        ("prompt_tokens", 31, 31),
        ("output_tokens", 25, 24),
    ]
    said = " ".join(found.notes)
    assert "counts 2 of 3 prompts otherwise than we do (+1 tokens in all)" in said
    assert "of 3 replies 1 shorter and 1 longer than asked (15 tokens for 15): the server may not know" in said
    assert "counter of output tokens grew by 25 and ours is 24" in said
    assert "prompt tokens grew" not in said


def test_a_simulation_knows_ignore_eos() -> None:
    counts = {"asked_tokens": [5, 5], "output_tokens": [5, 3]}
    found = whole(run_of([0.0, 1.0], [0.1, 0.1], {"run": {"simulated": True}}, **counts))
    assert found.notes == ("of 2 replies 1 shorter than asked (8 tokens for 10)",)
