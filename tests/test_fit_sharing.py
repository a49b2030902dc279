"""A pool that is to be shared: nothing in it rests on fewer requests than was asked for, and nothing is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.clients import ClientPool
from groundswell.fit import FitSetting, fit_pool
from groundswell.fit.likeness import enrol
from groundswell.fit.sharing import buckets, means, spread, stretches
from groundswell.table import Workload
from pools import recorded_pool
from test_fit import EXACT, requests, trace_of, traces
from workloads import random_workload

SLACK = 1e-6
counts = st.lists(st.one_of(st.just(0), st.integers(0, 6), st.integers(0, 60)), min_size=1, max_size=40)


def shared(trace: Workload, k: int, **how: Any) -> ClientPool:
    return fit_pool([trace], FitSetting(min_group=k, min_requests=1, **how)).pool


# The guarantee, from outside


@given(traces(), st.integers(2, 30))
def test_no_published_client_rests_on_fewer_than_k_requests(trace: Workload, k: int) -> None:
    if len(trace) < k:
        return
    pool = shared(trace, k)
    assert (requests(pool).sum(axis=1) >= k - SLACK).all()


@given(traces(), st.integers(2, 30))
def test_no_published_length_rests_on_fewer_than_k_requests(trace: Workload, k: int) -> None:
    if len(trace) < k:
        return
    pool = shared(trace, k)
    rests_on = np.zeros(pool.lengths.size)
    for field in ("input_tokens", "output_tokens"):
        number = pool.table[:, :, pool.fields.index(field)]
        np.add.at(rests_on, number[number >= 0], (pool.slot_rate * pool.window_s)[number >= 0])
    atoms = pool.lengths.probability * np.repeat(rests_on, np.diff(pool.lengths.first))
    assert (atoms >= k - 1e-3).all()


@given(traces(), st.integers(2, 30))
def test_no_published_window_rests_on_fewer_than_k_requests(trace: Workload, k: int) -> None:
    """A window that sends has k requests of its own, or the same rate as others with which it has k."""
    if len(trace) < k:
        return
    one = Workload(trace.frame.with_columns(client=pl.lit("all", pl.Enum(["all"]))))
    pool = shared(one, k, slot_s=86_400.0 * 4)  # one slot, so all windows may share
    window = np.floor(trace.arrival_s / 600).astype(int)
    own = np.bincount(window - window.min(), minlength=pool.window_count)
    sent, rate = requests(pool)[0], pool.rate_per_s[0]
    for w in np.flatnonzero((sent > 0) & (own < k)):
        alike = np.isclose(rate, rate[w], rtol=1e-12)
        assert sent[alike].sum() >= k - SLACK
    few = own < k
    usual = np.unique(pool.cv[0, few & (sent > 0)])
    assert usual.size <= 1  # windows of few requests publish no CV of their own
    assert np.isnan(pool.first_parameter[0, few]).all()


@given(traces(), st.integers(2, 30))
def test_two_windows_of_few_requests_cannot_be_told_apart_from_their_pair(trace: Workload, k: int) -> None:
    if len(trace) < k:
        return
    one = Workload(trace.frame.with_columns(client=pl.lit("all", pl.Enum(["all"]))))
    pool = shared(one, k, slot_s=86_400.0 * 4)
    window = np.floor(trace.arrival_s / 600).astype(int)
    own = np.bincount(window - window.min(), minlength=pool.window_count)
    for w in range(0, pool.window_count - 1, 2):
        if own[w] < k and own[w + 1] < k:
            assert pool.rate_per_s[0, w] == pytest.approx(pool.rate_per_s[0, w + 1], rel=1e-12)


def test_a_request_of_many_items_counts_once() -> None:
    """Forty images of sizes of their own in one request do not make a size that forty requests have."""
    n, k = 200, 10
    count = np.ones(n, np.int64)
    count[7] = 40
    size = np.full(count.sum(), 500, np.int32)
    size[7:47] = 9000 + np.arange(40)
    ones = np.ones(n, np.int32)
    trace = Workload.from_columns(
        np.arange(n, dtype=float), np.zeros(n, np.uint32), ["a"], ones, ones, items={"image_tokens": (count, size)}
    )
    pool = shared(trace, k)
    assert pool.lengths.largest.max() < 9000
    exact = fit_pool([trace], EXACT).pool
    assert exact.lengths.largest.max() == 9039


def test_a_field_that_few_requests_have_is_left_out_and_a_note_says_so() -> None:
    trace = random_workload(500)
    rare = np.zeros(500, np.int64)
    rare[[3, 90]] = 1
    items = {"audio_tokens": (rare, np.array([77, 78], np.int32))}
    columns = (trace.arrival_s, trace.client_code, trace.clients, trace.input_tokens, trace.output_tokens)
    fitted = fit_pool([Workload.from_columns(*columns, items=items)], FitSetting(min_group=5))
    assert "audio_tokens" not in fitted.pool.fields
    assert "too few requests have audio_tokens" in " ".join(fitted.notes)
    assert "audio_tokens" in fit_pool([Workload.from_columns(*columns, items=items)], EXACT).pool.fields


def test_names_are_not_in_a_pool_that_numbers_its_clients() -> None:
    trace = Workload(random_workload(900).frame, {"source": "/home/alice/secret.csv", "client_is": "user"})
    pool = shared(trace, 10)
    said = repr((pool.names, pool.origin))
    assert not any(word in said for word in ("alice", "bob", "secret", "user"))
    kept = fit_pool([trace], FitSetting(names="keep")).pool
    assert kept.origin["source"] == "/home/alice/secret.csv"


# What it costs


def test_what_sharing_costs_grows_with_k_and_is_told() -> None:
    trace = trace_of(recorded_pool(np.array([[0.2], [0.05], [0.01]]) * np.linspace(0.2, 2, 36)))
    costs = {k: {c.what: c for c in fit_pool([trace], FitSetting(min_group=k)).cost} for k in (1, 10, 200)}
    moved = [costs[k]["requests in another window"].after for k in (1, 10, 200)]
    assert moved[0] == 0 < moved[1] < moved[2] < 0.5
    distance = [costs[k]["KS of input_tokens"].after for k in (1, 10, 200)]
    assert distance[0] == 0 <= distance[1] <= distance[2]
    assert costs[200]["clients"].before == 3


def test_a_busy_client_keeps_its_windows() -> None:
    """Stray requests on a quiet day do not blur the windows that have many."""
    requests = np.zeros((1, 288), np.int64)
    requests[0, 3], requests[0, 200:] = 2, 1000
    sent = spread(requests, np.zeros((1, 288), int), 50, np.ones(288))
    assert np.abs(sent[0, 200:] - 1000).max() < 1
    assert sent[0, :192].sum() < 1e-9


# The parts, against slow and plain ones


def plainly_spread(own: list[int], part: Any, begin: int, end: int, k: int) -> Any:
    """Windows ``begin`` to ``end`` of the same, by recursion: a block publishes what it can and passes up the rest."""
    size = 1
    while size < len(own):
        size *= 2
    groups: list[list[int]] = []

    def unsettled(low: int, high: int) -> list[int]:
        if high - low == 1:
            few = [low] if begin <= low < end else []
        else:
            few = unsettled(low, (low + high) // 2) + unsettled((low + high) // 2, high)
        if sum(own[w] for w in few) < k:
            return few
        groups.append(few)
        return []

    few = unsettled(0, size)
    choices = [groups, *([*groups[:i], groups[i] + few, *groups[i + 1 :]] for i in range(len(groups)))]
    made = []
    for choice in choices:
        out = np.zeros(len(own))
        for group in choice:
            out[group] = sum(own[w] for w in group) * part[group] / part[group].sum()
        out *= sum(own[begin:end]) / max(out.sum(), 1e-300)
        made.append(out)
    moved = [sum(own[w] for w in few), *(few_moved(out, own, few) for out in made[1:])]
    return made[int(np.argmin(moved))]


def few_moved(out: Any, own: list[int], few: list[int]) -> float:
    """How many requests windows ``few`` gain or lose together."""
    return abs(float(out[few].sum()) - sum(own[w] for w in few))


@given(counts, st.integers(2, 20), st.booleans(), st.sampled_from([1.0, 0.25]))
def test_requests_are_spread_over_the_smallest_blocks_that_have_enough(
    own: list[int], k: int, cut: bool, first_part: float
) -> None:
    if sum(own) < k:
        return
    stretch = stretches(np.array([own]), k) if cut else np.zeros((1, len(own)), int)
    part = np.ones(len(own))
    part[0] = first_part
    sent = spread(np.array([own]), stretch, k, part)[0]
    for first in np.unique(stretch):
        begin, end = first, int(np.flatnonzero(stretch[0] == first)[-1]) + 1
        np.testing.assert_allclose(sent[begin:end], plainly_spread(own, part, begin, end, k)[begin:end], atol=1e-9)
        np.testing.assert_allclose(sent[begin:end].sum(), sum(own[begin:end]))


@given(counts, st.integers(1, 20))
def test_slots_are_joined_until_they_have_enough(own: list[int], k: int) -> None:
    stretch = stretches(np.array([own]), k)[0]
    assert (np.diff(stretch) >= 0).all()
    totals = [sum(np.array(own)[stretch == s]) for s in np.unique(stretch)]
    if k > 1 and sum(own) >= k:
        assert min(totals) >= k
    assert all(stretch[s] == s for s in np.unique(stretch))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), min_size=1, max_size=40), st.integers(1, 15))
def test_buckets_have_enough_keep_their_number_and_lie_within_their_values(
    lines: list[tuple[int, int]], k: int
) -> None:
    n = np.array([line[0] for line in lines])
    value = np.cumsum([line[1] + 1 for line in lines])
    if n.sum() < k:
        return
    first, held, mass = buckets(np.array([0, n.size]), n, n * value, n.astype(float), k)
    assert first.tolist() == [0, held.size]
    assert mass.sum() == n.sum()
    assert mass.min() >= k
    assert (np.diff(held) > 0).all()
    assert held[0] >= value[0]
    assert held[-1] <= value[-1]
    assert abs((held * mass).sum() - (n * value).sum()) <= n.sum() / 2
    if k == 1:
        np.testing.assert_array_equal(held, value)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 200)), min_size=1, max_size=20))
def test_means_keep_number_and_sum(lines: list[tuple[int, int]]) -> None:
    n = np.array([line[0] for line in lines])
    total = np.cumsum([100 * n for n, _ in lines]) * 10 + np.array([line[1] for line in lines])
    first, value, mass = means(np.array([0, n.size]), n, total)
    assert mass.sum() == n.sum()
    assert (value * mass).sum() == total.sum()
    assert (mass > 0).all()
    assert first[-1] == value.size


@given(st.lists(st.integers(0, 80), min_size=1, max_size=200), st.integers(1, 60), st.integers(1, 60))
def test_every_client_that_sends_is_enrolled_once(sent: list[int], few: int, k: int) -> None:
    requests = np.array(sent)
    few = max(few, k)
    if requests.sum() < max(k, 1):
        return
    traits = np.random.default_rng(len(sent)).normal(size=(requests.size, 5))
    roster = enrol(requests, traits, few, k)
    assert ((roster.of >= 0) == (requests > 0)).all()
    np.testing.assert_array_equal(np.bincount(roster.of[roster.of >= 0], requests[roster.of >= 0]), roster.requests)
    assert roster.requests.min() >= k
    assert (np.diff(roster.requests) <= 0).all()
    assert (roster.of[roster.alone[roster.alone >= 0]] == np.flatnonzero(roster.alone >= 0)).all()
    assert (requests[roster.alone[roster.alone >= 0]] >= min(few, k)).all()
