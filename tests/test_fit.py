"""A trace fitted to a pool: what each window and slot held is in it, however the trace is cut, and comes out again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell import read_pool, write_pool
from groundswell.clients import ClientPool
from groundswell.compose import compose
from groundswell.compose.shapes import Shapes
from groundswell.errors import DataError, UsageError
from groundswell.fidelity import compare
from groundswell.fit import FitSetting, fit_pool
from groundswell.fit import lengths as fit_lengths
from groundswell.formats.reading import read
from groundswell.population import fit_population
from groundswell.table import REQUIRED, Workload
from pools import recorded_pool
from workloads import cut, random_workload

EXACT = FitSetting(min_requests=1, names="keep")


def trace_of(pool: ClientPool, seed: int = 1, **how: Any) -> Workload:
    return compose(pool, seed=seed, **how).collect()


def three_clients(windows: int = 12, rate: float = 0.5) -> ClientPool:
    return recorded_pool(
        np.array([[rate], [rate / 2], [rate / 5]]) * np.linspace(0.5, 1.5, windows), cv=[[1.0], [2.0], [3.0]]
    )


def equal(a: ClientPool, b: ClientPool) -> None:
    assert a.names == b.names
    assert a.fields == b.fields
    np.testing.assert_allclose(a.rate_per_s, b.rate_per_s, rtol=1e-12)
    np.testing.assert_allclose(a.cv, b.cv, rtol=1e-4)
    np.testing.assert_array_equal(a.family, b.family)
    np.testing.assert_allclose(a.first_parameter, b.first_parameter, rtol=1e-3)
    np.testing.assert_array_equal(a.table, b.table)
    np.testing.assert_array_equal(a.lengths.value, b.lengths.value)
    np.testing.assert_array_equal(a.lengths.threshold, b.lengths.threshold)


def requests(pool: ClientPool) -> Any:
    """How many each client sends in each window, [C, W]."""
    return pool.rate_per_s * pool.covered_part * pool.window_s


def total(trace: Workload, field: str) -> int:
    return int(trace.frame[field].to_numpy().sum())


def tokens_per_slot(pool: ClientPool, field: str) -> Any:
    """The tokens that the pool says are sent in each slot, [C, S]."""
    number = pool.table[:, :, pool.fields.index(field)]
    return np.where(number >= 0, pool.lengths.mean[number] * pool.slot_rate * pool.window_s, 0.0)


# What is kept


def test_every_window_of_every_client_has_its_own_count_and_cv() -> None:
    trace = trace_of(three_clients())
    pool = fit_pool([trace], EXACT).pool
    for c, name in enumerate(pool.names):
        own = trace.frame.filter(pl.col("client").cast(pl.String) == name)["arrival_s"].to_numpy()
        for w in range(pool.window_count):
            inside = own[(own >= 600 * w) & (own < 600 * (w + 1))]
            gap = np.diff(inside)
            assert requests(pool)[c, w] == pytest.approx(inside.size, rel=1e-12)
            assert pool.cv[c, w] == pytest.approx(gap.std() / gap.mean(), rel=1e-5)


def test_the_cvs_of_the_pool_that_made_the_trace_are_found_again() -> None:
    known = three_clients(rate=5.0)
    pool = fit_pool([trace_of(known)], EXACT).pool.clients(known.names)
    ratio = pool.cv / known.cv
    standard_error = ratio.std(axis=1) / np.sqrt(ratio.shape[1])
    assert (np.abs(ratio.mean(axis=1) - 1) < 5 * standard_error).all()
    assert (ratio.std(axis=1) < 0.25).all()


def test_lengths_are_the_very_values_of_each_client_and_slot() -> None:
    trace = trace_of(three_clients(windows=72))
    pool = fit_pool([trace], EXACT).pool
    assert pool.slot_count == 2
    slot = (trace.arrival_s // 21_600).astype(int)
    for field in ("input_tokens", "output_tokens"):
        for c, name in enumerate(pool.names):
            for s in range(2):
                own = ((trace.frame["client"].cast(pl.String) == name) & pl.Series(slot == s)).to_numpy()
                value, count = np.unique(trace.frame[field].to_numpy()[own], return_counts=True)
                held, share = pool.lengths.table(pool.table[c, s, pool.fields.index(field)])
                np.testing.assert_array_equal(held, value)
                np.testing.assert_allclose(share, count / count.sum(), atol=1e-9)


@given(st.lists(st.integers(0, 400), max_size=6), st.sampled_from([1, 60]), st.sampled_from([1, 7]))
def test_a_pool_does_not_depend_on_how_the_trace_is_cut(places: list[int], few: int, k: int) -> None:
    whole = random_workload(400, reason=True, items=True)
    setting = FitSetting(window_s=10, slot_s=40, min_requests=few, min_group=k)
    equal(fit_pool(cut(whole, places), setting).pool, fit_pool([whole], setting).pool)


def test_blocks_of_one_row_are_enough() -> None:
    whole = random_workload(60)
    setting = FitSetting(window_s=2, slot_s=6, min_requests=1)
    equal(fit_pool(cut(whole, list(range(60))), setting).pool, fit_pool([whole], setting).pool)


def test_a_client_that_a_later_block_knows_first_is_in_the_pool() -> None:
    def block(at_s: float, name: str, known: list[str]) -> Workload:
        columns = {"arrival_s": [at_s], "client": [name], "input_tokens": [5], "output_tokens": [6]}
        return Workload(pl.DataFrame(columns, schema={**REQUIRED, "client": pl.Enum(known)}))

    pool = fit_pool([block(1.0, "a", ["a"]), block(2.0, "b", ["a", "b"])], EXACT).pool
    assert pool.names == ("a", "b")
    np.testing.assert_allclose(requests(pool), 1)


def test_reasoning_and_items_are_in_the_pool() -> None:
    trace = random_workload(3000, reason=True, items=True)
    pool = fit_pool([trace], FitSetting(min_requests=1)).pool
    assert pool.fields == ("input_tokens", "output_tokens", "reason_ratio", "image_tokens", "image_count")
    items = trace.frame["image_tokens"]
    images = tokens_per_slot(pool, "image_count").sum()
    assert images == pytest.approx(items.list.len().sum(), rel=1e-6)
    share = pool.mean_length("image_tokens") * pool.mean_length("image_count") * requests(pool).sum(axis=1)
    assert share.sum() == pytest.approx(items.list.sum().sum(), rel=1e-6)
    reasons = total(trace, "reason_tokens") / total(trace, "output_tokens")
    made = trace_of(pool)
    assert total(made, "reason_tokens") / total(made, "output_tokens") == pytest.approx(reasons, rel=0.03)
    assert made.frame["image_tokens"].list.len().mean() == pytest.approx(0.7, abs=5 * np.sqrt(0.7 / 3000))


def test_lengths_past_the_bound_keep_their_number_and_their_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = random_workload(4000)
    monkeypatch.setattr(fit_lengths, "MOST_LINES", 300)
    fitted = fit_pool(cut(trace, [1000, 2000, 3000]), EXACT)
    assert fitted.pool.lengths.value.size < 2 * 2 * 300
    assert "share their mean" in " ".join(fitted.notes)
    for field in ("input_tokens", "output_tokens"):
        assert tokens_per_slot(fitted.pool, field).sum() == pytest.approx(total(trace, field), rel=1e-8)
        assert next(c.after for c in fitted.cost if c.what == f"KS of {field}") < 0.2


# Totals


@st.composite
def traces(draw: st.DrawFn) -> Workload:
    """Up to 300 requests of up to 12 clients over up to a day and a half, some at the same time."""
    seed, n, clients = draw(st.integers(0, 2**20)), draw(st.integers(1, 300)), draw(st.integers(1, 12))
    rng = np.random.default_rng(seed)
    span_s = draw(st.sampled_from([50.0, 5_000.0, 120_000.0]))
    arrival_s = np.sort(rng.choice([rng.uniform(0, span_s), rng.uniform(0, span_s / 20)], n) + rng.exponential(9, n))
    arrival_s = np.sort(np.where(rng.random(n) < 0.5, rng.uniform(0, span_s, n), np.floor(arrival_s)))
    weight = rng.pareto(0.8, clients) + 0.01
    input_tokens, output_tokens = rng.integers(0, draw(st.sampled_from([3, 4000])), (2, n)).astype(np.int32)
    code = rng.choice(clients, n, p=weight / weight.sum()).astype(np.uint32)
    return Workload.from_columns(arrival_s, code, [f"c{i}" for i in range(clients)], input_tokens, output_tokens)


@given(traces(), st.integers(1, 40), st.sampled_from(["clock", "trace"]), st.floats(0, 86_399))
def test_requests_of_each_window_and_tokens_of_each_slot_are_the_trace_s(
    trace: Workload, few: int, align: Any, midnight_s: float
) -> None:
    setting = FitSetting(min_requests=few, align=align, midnight_s=midnight_s)
    pool = fit_pool([trace], setting).pool
    at_s = trace.arrival_s + midnight_s
    edges_s = pool.start_s + 600 * np.arange(pool.window_count + 1)
    window = np.clip(np.searchsorted(edges_s, at_s, side="right") - 1, 0, pool.window_count - 1)
    near = np.abs(at_s - edges_s[window]) < 1e-6  # a request on an edge may round to either side
    counts = np.bincount(window, minlength=pool.window_count)
    assert (np.abs(requests(pool).sum(axis=0) - counts) <= near.sum() + 1e-6).all()
    assert requests(pool).sum() == pytest.approx(len(trace))
    if near.any():
        return
    slot = pool.slot_of_window[window]
    for field in ("input_tokens", "output_tokens"):
        expected = np.bincount(slot, trace.frame[field].to_numpy(), pool.slot_count)
        np.testing.assert_allclose(tokens_per_slot(pool, field).sum(axis=0), expected, atol=1e-2)


@given(traces(), st.integers(1, 40), st.integers(2, 30))
def test_a_pool_to_be_shared_keeps_all_requests_and_their_tokens_to_rounding(trace: Workload, few: int, k: int) -> None:
    setting = FitSetting(min_requests=few, min_group=k)
    if len(trace) < k:
        with pytest.raises(UsageError, match="min-group"):
            fit_pool([trace], setting)
        return
    pool = fit_pool([trace], setting).pool
    assert requests(pool).sum() == pytest.approx(len(trace))
    for field in ("input_tokens", "output_tokens"):
        assert abs(tokens_per_slot(pool, field).sum() - total(trace, field)) <= len(trace) / 2 + 1e-2


# Time


def test_the_hour_of_the_day_is_kept() -> None:
    trace = random_workload(1000)
    dated = Workload(trace.frame, {"start_unix_s": 1_700_000_000.0})  # 22:13:20
    pool = fit_pool([dated], EXACT).pool
    assert pool.start_s == 22 * 3600 + 600
    assert fit_pool([trace], EXACT).pool.start_s == 0
    generated = compose(three_clients(), start_s=1200, duration_s=1200).collect()
    assert fit_pool([generated], EXACT).pool.start_s == 1200
    assert fit_pool([dated], FitSetting(align="trace")).pool.start_s == 22 * 3600 + 13 * 60 + 20


@given(traces(), st.integers(1, 40), st.integers(1, 30), st.sampled_from(["clock", "trace"]), st.floats(0, 86_399))
def test_the_covered_time_holds_the_trace_and_no_more_than_a_gap_and_rounding(
    trace: Workload, few: int, k: int, align: Any, midnight_s: float
) -> None:
    if len(trace) < k:
        return
    pool = fit_pool([trace], FitSetting(min_requests=few, min_group=k, align=align, midnight_s=midnight_s)).pool
    first_s, last_s = trace.arrival_s[[0, -1]] + midnight_s
    begin_s, end_s = pool.covered_s
    assert pool.start_s <= begin_s <= first_s + 1e-6
    assert last_s - 1e-6 <= end_s <= pool.end_s
    assert pool.mean_rate_per_s.sum() * (end_s - begin_s) == pytest.approx(len(trace))
    if last_s - first_s > 1e-3:
        gap_s = (last_s - first_s) / (len(trace) - 1)
        slack_s = 0.6 + (60 if k > 1 else 0) + 1e-6  # an end window is covered for a thousandth at least
        assert begin_s >= first_s - slack_s
        assert end_s <= last_s + gap_s + slack_s
    if k > 1:  # what is shared says when the trace began and ended to the minute
        for at_s in (pool.start_s, begin_s, end_s):
            assert at_s % 60 == 0


def test_windows_that_the_trace_covers_in_part_have_its_rate_and_a_note_says_so() -> None:
    trace = random_workload(5000)
    fitted = fit_pool([trace], FitSetting(midnight_s=300.0, min_requests=1))  # 1,000 s from five minutes past on
    first_s, last_s = trace.arrival_s[[0, -1]] + 300
    assert fitted.pool.start_s == 0
    assert fitted.pool.origin["covered_s"] == pytest.approx([first_s, last_s + (last_s - first_s) / 4999])
    rate = fitted.pool.total_rate_per_s
    assert (np.abs(rate - 5) < 5 * np.sqrt(5 / (600 * fitted.pool.covered_part))).all()
    assert "whole windows" in " ".join(fitted.notes)


@pytest.mark.parametrize("family", ["gamma", "weibull"])
def test_end_windows_are_not_taken_for_active_in_part(family: str) -> None:
    """Who sends all the time does so in the few seconds that are covered of a window, too."""
    rng = np.random.default_rng(3)
    n = 2400
    gap_s = rng.gamma(0.25, 1.0, n) if family == "gamma" else rng.weibull(0.55, n)
    arrival_s = 590 + np.cumsum(gap_s * 1240 / gap_s.sum())  # to 1,830 s
    nines = np.full(n, 9, np.int32)
    pool = fit_pool([Workload.from_columns(arrival_s, np.zeros(n, np.uint32), ["a"], nines, nines)], EXACT).pool
    assert pool.window_count == 4
    assert pool.covered_part[0] < 0.02
    assert pool.covered_part[-1] < 0.1
    assert [pool.families[code] for code in pool.family[0]] == [family] * 4
    client, window = np.zeros(4, np.int64), np.arange(4)
    assert (Shapes(pool, False, True).active_share(pool.family[0].astype(np.int64), client, window) == 1).all()


def test_by_default_generation_covers_the_trace_s_time() -> None:
    trace = trace_of(three_clients(rate=2.0), start_s=900, duration_s=2000)
    pool = fit_pool([trace], EXACT).pool
    begin_s, end_s = pool.covered_s
    composition = compose(pool, seed=3)
    assert composition.duration_s == end_s - begin_s
    assert composition.expected_requests == pytest.approx(len(trace))
    made = composition.collect()
    assert abs(len(made) - len(trace)) <= len(pool)
    assert made.metadata["start_s"] == begin_s
    assert np.ptp(made.arrival_s) == pytest.approx(np.ptp(trace.arrival_s), rel=0.01)
    # from a time on, to the end of what is covered; and all of the windows to who asks for them
    assert compose(pool, start_s=1200).duration_s == end_s - 1200
    whole = compose(pool, start_s=pool.start_s, duration_s=pool.span_s)
    assert whole.expected_requests == pytest.approx(pool.total_rate_per_s.sum() * 600)


def test_a_burst_keeps_its_length_within_the_window() -> None:
    rng = np.random.default_rng(2)
    arrival_s = np.sort(np.concatenate([rng.uniform(600 * w + 200, 600 * w + 260, 300) for w in range(20)]))
    n = arrival_s.size
    trace = Workload.from_columns(
        arrival_s, np.zeros(n, np.uint32), ["a"], np.full(n, 9, np.int32), np.full(n, 9, np.int32)
    )
    made = trace_of(fit_pool([trace], EXACT).pool)
    at_s = made.arrival_s + made.metadata["start_s"]
    length_s = [np.ptp(at_s[at_s // 600 == w]) for w in range(20)]
    assert np.mean(length_s) == pytest.approx(60, rel=0.05)


# Small clients


def many_small(clients: int = 300, each: int = 12) -> Workload:
    """Two kinds of small clients, alternating: short prompts by day, long ones by night; and one large client."""
    rng = np.random.default_rng(4)
    code = np.concatenate([np.repeat(np.arange(clients), each), np.full(5000, clients)])
    night = (code % 2 == 1) & (code < clients)
    at_s = np.where(night, rng.uniform(0, 6 * 3600, code.size), rng.uniform(10 * 3600, 18 * 3600, code.size))
    tokens = np.where(night, rng.integers(4000, 5000, code.size), rng.integers(100, 200, code.size))
    order = np.argsort(at_s, kind="stable")
    names = [f"user-{c}" for c in range(clients)] + ["large"]
    columns = (at_s[order], code[order].astype(np.uint32), names, tokens[order].astype(np.int32))
    return Workload.from_columns(*columns, np.full(code.size, 50, np.int32))


def test_small_clients_are_pooled_with_their_like() -> None:
    fitted = fit_pool([many_small()], FitSetting())
    pool = fitted.pool
    assert "300 of 301 clients" in " ".join(fitted.notes)
    assert pool.names[0] == "client-1"
    assert set(pool.names[1:]) == {f"group-{i}" for i in range(1, len(pool))}
    means = pool.mean_length("input_tokens")[1:]
    assert ((means < 200) | (means > 4000)).all()
    assert (pool.rate_per_s.sum(axis=1) * 600 >= 50 - 1e-6).all()


def test_a_group_s_cv_is_that_of_its_requests_as_one_stream() -> None:
    trace = random_workload(2000)  # the smallest two clients have some 200 requests together
    pool = fit_pool([trace], FitSetting(min_requests=500, window_s=100, slot_s=400, names="keep")).pool
    (group,) = [name for name in pool.names if name.startswith("group")]
    alone = set(pool.names) - {group}
    own = trace.frame.filter(~pl.col("client").cast(pl.String).is_in(sorted(alone)))["arrival_s"].to_numpy()
    place = pool.names.index(group)
    for w in range(4):  # the fifth has hardly begun
        gap = np.diff(own[own // 100 == w])
        assert pool.cv[place, w] == pytest.approx(gap.std() / gap.mean(), rel=1e-4)


def test_names_are_numbers_unless_they_are_to_be_kept() -> None:
    trace = random_workload(2000)
    assert fit_pool([trace], FitSetting(min_requests=1)).pool.names == tuple(f"client-{i}" for i in range(1, 5))
    assert fit_pool([trace], EXACT).pool.names == ("alice", "bob", 'c,"d"', "élan")


def test_a_client_that_is_called_as_a_group_is_keeps_its_name() -> None:
    n = 130
    code = np.repeat([0, 1, 2], [100, 20, 10]).astype(np.uint32)
    ones = np.ones(n, np.int32)
    trace = Workload.from_columns(np.arange(n, dtype=float), code, ["group-1", "b", "c"], ones, ones)
    assert fit_pool([trace], FitSetting(names="keep")).pool.names == ("group-1", "group-1~1")


# The result is a pool like any other


def test_generation_from_a_fit_sends_what_the_trace_had() -> None:
    trace = trace_of(three_clients(rate=2.0))
    pool = fit_pool([trace], EXACT).pool
    made = trace_of(pool, seed=7)
    for c in range(len(pool)):
        at_s = made.arrival_s[made.client_code == c] + made.metadata["start_s"]
        counts = np.bincount((at_s // 600).astype(int), minlength=pool.window_count)
        assert (np.abs(counts - requests(pool)[c]) < 1 + 1e-9).all()
    for field in ("input_tokens", "output_tokens"):
        a, b = trace.frame[field].to_numpy(), made.frame[field].to_numpy()
        assert abs(a.mean() - b.mean()) < 5 * a.std() / np.sqrt(a.size)


def test_a_fit_survives_its_file(tmp_path: Path) -> None:
    pool = fit_pool([random_workload(500, reason=True)], FitSetting(min_group=5)).pool
    write_pool(pool, tmp_path / "a.pool")
    equal(read_pool(tmp_path / "a.pool"), pool)
    assert read_pool(tmp_path / "a.pool").origin == pool.origin


@pytest.mark.parametrize("k", [1, 20])
def test_a_population_can_be_fitted_to_a_fit(k: int) -> None:
    pool = fit_pool([many_small()], FitSetting(min_group=k)).pool
    law = fit_population(pool)
    assert law.fitted.clients == len(pool)
    assert law.sample(50, 1, span_s=86_400).mean_rate_per_s.sum() > 0


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_the_rank_correlation_of_input_and_output_is_told(rho: float) -> None:
    # many different lengths, so that ties do not weaken the correlation
    wide = (np.arange(1, 2001), np.ones(2000))
    pool = recorded_pool(np.full((4, 24), 0.5), lengths=[wide, wide])
    fitted = fit_pool([trace_of(pool, joint=f"rank:{rho}")], EXACT)
    assert fitted.joint.low - 0.02 < rho < fitted.joint.high + 0.02
    assert fitted.joint_option == ("independent" if rho == 0 else f"rank:{fitted.joint.value:.2f}")


def test_what_a_pool_has_no_place_for_is_said() -> None:
    trace = random_workload(300)
    frame = trace.frame.with_columns(conversation=pl.lit(1, pl.Int64), failed=pl.col("output_tokens") > 500)
    notes = " ".join(fit_pool([Workload(frame)], EXACT).notes)
    assert "has failures" in notes
    assert "conversation" not in notes
    assert f"{(trace.output_tokens > 500).sum()} requests that failed" in notes


def test_nothing_costs_nothing() -> None:
    for cost in fit_pool([random_workload(800)], EXACT).cost:
        assert cost.after == pytest.approx(cost.before, abs=1e-9), cost


# What cannot be


def test_a_trace_without_requests_is_told_of() -> None:
    empty = Workload(pl.DataFrame(schema=REQUIRED))
    for blocks in ([], [empty], [empty, empty]):
        with pytest.raises(DataError, match="no client to fit"):
            fit_pool(blocks)


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ({"window_s": 0.0}, "window 0"),
        ({"slot_s": 1000.0}, "whole number of windows"),
        ({"min_requests": 0}, "min-requests 0"),
        ({"min_group": 0}, "min-group 0"),
        ({"names": "none"}, "number, keep"),
        ({"align": "day"}, "clock, trace"),
        ({"midnight_s": -1.0}, "time of day"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(setting: dict[str, Any], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        FitSetting(**setting)


def test_too_many_windows_are_refused_before_memory_is_taken() -> None:
    ones = np.ones(2, np.int32)
    trace = Workload.from_columns(np.array([0.0, 1e12]), np.zeros(2, np.uint32), ["a"], ones, ones)
    with pytest.raises(UsageError, match="longer window"):
        fit_pool([trace], EXACT)


def test_all_requests_at_once_are_a_pool() -> None:
    n = 100
    trace = Workload.from_columns(
        np.full(n, 5.0), np.zeros(n, np.uint32), ["a"], np.ones(n, np.int32), np.ones(n, np.int32)
    )
    fitted = fit_pool([trace], EXACT)
    assert fitted.pool.cv[0, 0] == pytest.approx(np.sqrt(n - 1))
    assert "clock" in " ".join(fitted.notes)
    assert len(trace_of(fitted.pool)) == n


def test_one_request_is_a_pool() -> None:
    fitted = fit_pool([random_workload(1)])
    assert fitted.pool.names == ("client-1",)
    assert len(trace_of(fitted.pool)) == 1


# Real traces


def test_azure_s_and_mooncake_s_traces_fit(public_data: Path) -> None:
    azure = pl.read_csv(public_data / "azure" / "AzureLLMInferenceTrace_conv.csv", try_parse_dates=True)
    at = azure["TIMESTAMP"].dt.epoch("us").to_numpy() / 1e6
    mooncake = pl.read_ndjson(public_data / "mooncake" / "conversation_trace.jsonl")
    for at_s, start_s, input_tokens, output_tokens in (
        (at - at[0], at[0], azure["ContextTokens"], azure["GeneratedTokens"]),
        (mooncake["timestamp"].to_numpy() / 1000, None, mooncake["input_length"], mooncake["output_length"]),
    ):
        order = np.argsort(at_s, kind="stable")
        ins, outs = (column.to_numpy()[order].astype(np.int32) for column in (input_tokens, output_tokens))
        n = at_s.size
        meta = {"start_unix_s": start_s} if start_s else {}
        trace = Workload.from_columns(at_s[order], np.zeros(n, np.uint32), ["all"], ins, outs, metadata=meta)
        fitted = fit_pool(cut(trace, [n // 3, n // 2]), EXACT)
        assert requests(fitted.pool).sum() == pytest.approx(n)
        assert fitted.pool.start_s == (65_400 if start_s else 0)  # Azure's begins at 18:15
        made = trace_of(fitted.pool)
        assert abs(len(made) - n) <= 1
        assert made.input_tokens.mean() == pytest.approx(ins.mean(), rel=0.05)
        shared = fit_pool([trace], FitSetting(min_group=100))
        assert all(c.after < 0.05 for c in shared.cost if c.what.startswith("KS"))


@pytest.mark.parametrize("k", [1, 100])
def test_azure_s_conversation_trace_comes_out_of_its_pool_at_its_rate(public_data: Path, k: int) -> None:
    trace = list(read(public_data / "azure" / "AzureLLMInferenceTrace_conv.csv"))
    fitted = fit_pool(trace, FitSetting(min_group=k))
    made = compose(fitted.pool, seed=1, joint=fitted.joint_option)
    assert made.expected_requests == pytest.approx(fitted.requests)
    (found,) = compare(trace, {"fitted": made}).candidates
    rate = next(aspect for aspect in found.aspects if aspect.key == "rate")
    assert rate.verdict == "indistinguishable"
    assert rate.candidate == pytest.approx(rate.reference, rel=0.03 if k > 1 else 0.002)


def test_windows_that_begin_just_before_a_slot_keep_their_slots() -> None:
    """The first window's middle lies in the slot after that in which the pool begins."""
    arrival_s = np.array([0.0, 7_000.0, 14_000.0, 21_500.0, 28_000.0])
    tokens = np.array([1, 2, 4, 8, 16], np.int32)
    trace = Workload.from_columns(arrival_s, np.zeros(5, np.uint32), ["a"], tokens, tokens)
    pool = fit_pool([trace], FitSetting(min_requests=1, align="trace", midnight_s=21_400.0)).pool
    assert pool.slot_of_window[[0, -1]].tolist() == [1, 2]
    assert tokens_per_slot(pool, "input_tokens").sum(axis=0) == pytest.approx([0, 15, 16])
