"""How far apart two independent figures are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from groundswell.stats.difference import change, difference
from groundswell.stats.estimate import Estimate

NAN, INF = math.nan, math.inf


def test_symmetric_intervals_add_up_as_independent_errors_do() -> None:
    found = difference(Estimate(5.0, 5.0 - 3.0, 5.0 + 3.0, 40), Estimate(4.0, 4.0 - 4.0, 4.0 + 4.0, 30))
    assert (found.value, found.low, found.high, found.n) == (-1.0, -6.0, 4.0, 30)


def test_a_change_back_is_the_inverse_ratio() -> None:
    first, second = Estimate(2.0, 1.5, 2.9), Estimate(3.0, 2.8, 3.1)
    there, back = change(first, second), change(second, first)
    for a, b in ((there.value, back.value), (there.low, back.high), (there.high, back.low)):
        assert (1 + a) * (1 + b) == pytest.approx(1)


def test_a_limit_is_known_where_both_of_its_parts_are() -> None:
    sure, open_above = Estimate(1.0, 0.9, 1.1), Estimate(2.0, 1.8, NAN)
    found = change(sure, open_above)
    assert found.low == pytest.approx(math.exp(math.log(2) - math.hypot(math.log(2 / 1.8), math.log(1.1))) - 1)
    assert math.isnan(found.high)
    assert math.isnan(difference(sure, Estimate(2.0, 1.8, INF)).high)
    assert math.isnan(change(Estimate(0.0, 0.0, 0.0), sure).value)
    assert math.isnan(change(sure, Estimate(INF, INF, INF)).value)


def test_the_interval_holds_the_true_difference_in_95_of_100() -> None:
    """Means of exponential times, whose exact limits are far from symmetric: Gamma quantiles over the sum (5 SE)."""
    from scipy.stats import gamma

    random, n, trials = np.random.default_rng(7), 20, 4_000
    means = random.exponential(1.0, (trials, 2, n)).mean(axis=2) * [1.0, 3.0]
    low, high = n * means / gamma.ppf(0.975, n), n * means / gamma.ppf(0.025, n)
    for of, truth in ((difference, 2.0), (change, 2.0)):
        found = [
            of(*(Estimate(float(m), float(a), float(b)) for m, a, b in zip(*row, strict=True)))
            for row in zip(means, low, high, strict=True)
        ]
        covered = np.mean([each.low <= truth <= each.high for each in found])
        # The method is approximate: its own error is within a point at such a size (Zou and Donner, tables I to III).
        assert abs(covered - 0.95) < 0.01 + 5 * math.sqrt(0.95 * 0.05 / trials)
