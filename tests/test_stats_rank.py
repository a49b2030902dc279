"""Rank correlation as scipy has it, and intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from groundswell.stats.rank import spearman, spearman_estimate


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=50))
def test_it_is_scipys_with_ties(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, np.float64).T
    if np.ptp(a) and np.ptp(b):
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    else:
        assert np.isnan(spearman(a, b))


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("rounded", [False, True])
def test_the_interval_covers_the_truth(correlation: float, rounded: bool) -> None:
    # A Pearson correlation of 2 sin(π ρ_s / 6) gives normal pairs the rank correlation ρ_s; rounding hardly moves it.
    truth = correlation
    pearson = 2.0 * np.sin(np.pi * truth / 6.0)
    covered = 0
    for seed in range(200):
        random = np.random.default_rng([seed, int(10 * correlation)])
        a, e = random.normal(size=(2, 2000))
        b = pearson * a + np.sqrt(1.0 - pearson**2) * e
        if rounded:
            a, b = np.rint(5 * a), np.rint(5 * b)
        found = spearman_estimate(np.cumsum(random.exponential(size=2000)), a, b)
        covered += found.low <= truth <= found.high
    assert covered >= 190 - 5 * np.sqrt(200 * 0.95 * 0.05)


def test_pairs_that_depend_on_those_before_widen_the_interval() -> None:
    random = np.random.default_rng(4)
    at = np.arange(20_000.0)
    level = np.repeat(random.normal(size=(2, 40)), 500, axis=1)
    a, b = level + 0.2 * random.normal(size=(2, 20_000))
    found = spearman_estimate(at, a, b)
    independent = spearman_estimate(at, *random.normal(size=(2, 20_000)))
    assert found.high - found.low > 5 * (independent.high - independent.low)


def test_a_constant_has_no_correlation() -> None:
    assert not spearman_estimate(np.arange(50.0), np.ones(50), np.arange(50.0)).known


@pytest.mark.parametrize("pearson", [0.3, 0.95])
def test_the_interval_is_as_wide_as_the_spread_of_estimates(pearson: float) -> None:
    found = []
    for seed in range(200):
        random = np.random.default_rng([seed, 5])
        a, e = random.normal(size=(2, 1000))
        b = pearson * a + np.sqrt(1.0 - pearson**2) * e
        found.append(spearman_estimate(np.arange(1000.0), a, b))
    spread = np.std([f.value for f in found])
    wide = np.mean([f.high - f.low for f in found]) / (2 * 1.96)
    # A standard deviation of 200 estimates is known to 5 %; few stretches of time widen the interval by some 10 %.
    assert 0.85 < wide / spread < 1.4
