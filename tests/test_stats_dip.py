"""The dip statistic against its definition, and its test against uniform, one-humped and two-humped samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog

from groundswell.stats.dip import dip, dip_test

Floats = NDArray[np.float64]


def dip_by_definition(values: Floats) -> float:
    """The least d for which a function that is convex and then concave keeps within d of the empirical one: for each
    value as the mode, where the function may jump, a linear programme in its values at the data.
    """
    x, count = np.unique(values, return_counts=True)
    after = np.cumsum(count) / values.size
    before = np.concatenate([[0.0], after[:-1]])
    return min(_least_distance(x, before, after, mode) for mode in range(x.size))


def _least_distance(x: Floats, before: Floats, after: Floats, mode: int) -> float:
    # Unknowns: the function at the data up to the mode from the left, from the mode on from the right, and d.
    place = np.concatenate([x[: mode + 1], x[mode:]])
    k = place.size
    rows, bounds = [], []

    def at_most(terms: dict[int, float], bound: float) -> None:
        row = np.zeros(k + 1)
        for column, factor in terms.items():
            row[column] = factor
        rows.append(row)
        bounds.append(bound)

    for i in range(k):
        j = i if i <= mode else i - 1
        # At the mode the left value is held against the empirical function before its jump, the right one after it.
        low, high = (
            (before[j], before[j]) if i == mode else (after[j], after[j]) if i == mode + 1 else (before[j], after[j])
        )
        at_most({i: -1.0, k: -1.0}, -high)
        at_most({i: 1.0, k: -1.0}, low)
    for i in range(k - 1):
        at_most({i: 1.0, i + 1: -1.0}, 0.0)
    for first, last, sign in ((0, mode, 1.0), (mode + 1, k - 1, -1.0)):
        for i in range(first + 1, last):
            left, right = place[i] - place[i - 1], place[i + 1] - place[i]
            # slope before <= slope after where convex, the other way round where concave
            at_most({i - 1: -sign / left, i: sign * (1 / left + 1 / right), i + 1: -sign / right}, 0.0)
    cost = np.zeros(k + 1)
    cost[k] = 1.0
    solved = linprog(cost, np.array(rows), np.array(bounds), bounds=[(0.0, 1.0)] * (k + 1), method="highs")
    assert solved.fun is not None
    return float(solved.fun)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 40), min_size=2, max_size=10))
def test_the_dip_is_its_definition(values: list[int]) -> None:
    x = np.sort(np.array(values, np.float64))
    if x[0] < x[-1]:
        assert dip(x) == pytest.approx(max(dip_by_definition(x), 0.5 / x.size), abs=1e-9)


def test_the_dip_of_continuous_values_is_its_definition() -> None:
    for seed in range(20):
        random = np.random.default_rng(seed)
        x = np.sort(np.concatenate([random.normal(0, 1, 8), random.normal(seed % 5, 0.3, 7)]))
        assert dip(x) == pytest.approx(dip_by_definition(x), abs=1e-9)


@pytest.mark.parametrize("n", [4, 10, 501])
def test_an_even_grid_has_the_least_dip(n: int) -> None:
    assert dip(np.arange(float(n))) == pytest.approx(0.5 / n)


def test_two_equal_points_have_the_greatest_dip() -> None:
    assert dip(np.repeat([0.0, 1.0], 50)) == pytest.approx(0.25)
    two = np.sort(np.concatenate([np.linspace(0, 1e-6, 500), np.linspace(1, 1 + 1e-6, 500)]))
    assert dip(two) == pytest.approx(0.25, abs=0.002)


def test_place_and_scale_do_not_matter() -> None:
    x = np.sort(np.random.default_rng(1).gamma(2.0, 1.0, 300))
    assert dip(x) == pytest.approx(dip(5.0 * x - 3.0), abs=1e-12)
    assert dip(x) == pytest.approx(dip(-x[::-1]), abs=1e-12)


@pytest.mark.parametrize(
    ("n", "least", "most"), [(50, 0.0702 - 0.004, 0.0702 + 0.004), (200, 0.0370 - 0.002, 0.0370 + 0.002)]
)
def test_critical_values_are_hartigans(n: int, least: float, most: float) -> None:
    # Table 1 of Hartigan and Hartigan (1985): 95 % points of the dip of uniform samples.
    x = np.sort(np.random.default_rng(2).random((4000, n)), axis=1)
    assert least < np.quantile([dip(row) for row in x], 0.95) < most


@pytest.mark.parametrize("n", [100, 5000])
def test_uniform_samples_are_rejected_in_one_of_twenty(n: int) -> None:
    p = np.array([dip_test(np.random.default_rng([n, seed]).random(n)).p for seed in range(400)])
    assert abs((p < 0.05).mean() - 0.05) < 5 * np.sqrt(0.05 * 0.95 / 400)
    assert abs(p.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 400)


def test_one_hump_is_not_taken_for_two() -> None:
    p = [dip_test(np.random.default_rng(seed).normal(size=2000)).p for seed in range(100)]
    assert sum(value < 0.05 for value in p) <= 5


def test_two_humps_are_seen() -> None:
    for seed in range(20):
        random = np.random.default_rng(seed)
        found = dip_test(np.concatenate([random.normal(0, 1, 700), random.normal(6, 1, 300)]))
        assert found.p < 0.01
        assert found.low < found.value < found.high


def test_the_bounds_hold_the_dip_of_the_whole() -> None:
    random = np.random.default_rng(3)
    whole = np.concatenate([random.normal(0, 1, 70_000), random.normal(4, 1, 30_000)])
    truth = dip(np.sort(whole))
    for seed in range(50):
        found = dip_test(np.random.default_rng(seed).choice(whole, 1000))
        assert found.low <= truth <= found.high


def test_too_few_values_have_no_dip() -> None:
    assert np.isnan(dip_test(np.array([1.0, 2.0])).value)
