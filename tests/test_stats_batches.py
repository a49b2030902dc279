"""Sums over stretches of time: they add up, and their intervals cover."""

from __future__ import annotations

import functools
import operator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.stats.batches import MOST, BatchSums, fewest, interval


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=200),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_parts_add_up_to_the_whole(at: list[float], cuts: list[int]) -> None:
    at_s = np.sort(np.array(at))
    value = np.column_stack([np.ones(at_s.size), np.arange(at_s.size)])
    whole = BatchSums.of(at_s, value)
    bounds = [0, *sorted(min(cut, at_s.size) for cut in cuts), at_s.size]
    parts = [BatchSums.of(at_s[a:b], value[a:b]) for a, b in pairwise(bounds)]
    added = functools.reduce(operator.add, parts, BatchSums())
    assert (added.width_s, added.first) == (whole.width_s, whole.first)
    np.testing.assert_allclose(added.sums, whole.sums)


def test_memory_does_not_grow_with_the_span() -> None:
    at_s = np.arange(0.0, 1e7, 997.0)
    assert len(BatchSums.of(at_s, [np.ones(at_s.size)]).sums) <= MOST


def test_the_interval_of_a_mean_covers_it() -> None:
    covered = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        at_s, value = np.cumsum(random.exponential(size=5000)), random.gamma(0.5, 2.0, 5000)
        estimate = BatchSums.of(at_s, [np.ones(5000), value]).estimate(lambda s: s[..., 1] / s[..., 0])
        covered += estimate.low <= 1.0 <= estimate.high
    assert covered >= 190 - 5 * np.sqrt(200 * 0.95 * 0.05)


@pytest.mark.parametrize("m", [10, 16, 43, 120, 128])
def test_the_fewest_stretches_in_which_something_happens_give_an_interval_that_covers(m: int) -> None:
    # Of an exponential law, each value in a stretch of its own, somewhere among those in which nothing happens.
    some, repeats = fewest(m), 400
    covered = 0
    for seed in range(repeats):
        random = np.random.default_rng([seed, m])
        sums = np.zeros((m, 2))
        sums[random.choice(m, some, replace=False)] = np.column_stack([np.ones(some), random.exponential(size=some)])
        found = interval(sums, lambda s: s[..., 1] / s[..., 0])
        covered += found.low <= 1.0 <= found.high
        sums[np.flatnonzero(sums[:, 0])[0]] = 0.0
        assert not interval(sums, lambda s: s[..., 1] / s[..., 0]).known
    assert covered / repeats >= 0.93 - 5 * np.sqrt(0.93 * 0.07 / repeats)


def test_from_too_few_stretches_there_is_no_interval() -> None:
    estimate = BatchSums.of(np.array([0.0, 100.0]), [np.ones(2)]).estimate(lambda s: s[..., 0])
    assert estimate.value == pytest.approx(2.0)
    assert not np.isnan(estimate.value)
