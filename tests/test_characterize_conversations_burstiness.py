"""The CV of gaps within windows: known processes, and whether its interval covers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from groundswell.characterize import _followed
from groundswell.characterize._burstiness import FEWEST_GAPS, window_cv
from groundswell.characterize._followed import Stretches
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]


def arrivals(n: int, shape: float, seed: int) -> Floats:
    """``n`` arrivals, one a second, whose gaps are Gamma with CV 1/√shape."""
    return np.asarray(np.cumsum(np.random.default_rng(seed).gamma(shape, 1.0 / shape, n)))


@pytest.mark.parametrize("window_s", [2000.0, 100.0], ids=["few windows", "many windows"])
def test_the_interval_of_a_poisson_process_covers_one(window_s: float) -> None:
    estimates = [window_cv(arrivals(6000, 1.0, seed), window_s, window_s) for seed in range(200)]
    # A CV that is estimated from n gaps is low by about 1/n, as the last gap of a window is cut off.
    truth = 1.0 - 1.5 / window_s
    assert sum(estimate.low <= truth <= estimate.high for estimate in estimates) >= 180


@pytest.mark.parametrize("shape", [0.25, 1.0, 16.0])
def test_the_cv_is_that_of_the_gaps(shape: float) -> None:
    estimate = window_cv(arrivals(200_000, shape, 1), 5000.0, 5000.0)
    cv = 1.0 / np.sqrt(shape)
    # The variance of a sample CV of n Gamma gaps is cv² (1 + cv²) / 2n.
    assert abs(estimate.value - cv) < 5 * cv * np.sqrt((1 + cv**2) / 2 / 200_000) + cv / 1000
    assert estimate.low < estimate.value < estimate.high


def test_a_change_of_rate_between_windows_is_no_burstiness() -> None:
    at_s = np.concatenate([arrivals(1000, 1.0, 2) * 0.5, 1000.0 + arrivals(10_000, 1.0, 3) * 0.05])
    at_s = at_s[(at_s < 500) | (at_s >= 1000)]
    assert window_cv(at_s, 500.0, 500.0).value == pytest.approx(1.0, abs=0.06)
    assert window_cv(at_s, 1e6, 1e6).value > 1.3


def test_windows_with_few_gaps_do_not_count() -> None:
    assert window_cv(np.arange(FEWEST_GAPS * 1.0), 100.0, 100.0) == Estimate()
    assert window_cv(np.empty(0), 100.0, 100.0) == Estimate()
    regular = window_cv(np.arange(FEWEST_GAPS + 1.0), 100.0, 100.0)
    assert regular.value == pytest.approx(0.0, abs=1e-6)
    assert regular.n == FEWEST_GAPS


def test_arrivals_that_are_all_at_one_time_have_no_cv() -> None:
    assert not window_cv(np.full(1000, 5.0), 100.0, 100.0).value > 0


def test_parts_of_windows_say_what_whole_windows_do(monkeypatch: pytest.MonkeyPatch) -> None:
    at_s = arrivals(400_000, 0.25, 5)
    rows = pl.DataFrame({"arrival_s": at_s, "lot": np.zeros(at_s.size, np.uint64)})
    monkeypatch.setattr(_followed, "MOST", 2**15)
    kept = Stretches.of(rows, 1000.0)
    added = sum((Stretches.of(rows[i : i + 9_999], 1000.0) for i in range(0, at_s.size, 9_999)), Stretches())
    one, many = kept.settled(), added.settled()
    assert one.parts[0].equals(many.parts[0])
    assert one.length_s == many.length_s < 1000.0
    assert one.parts[0].height <= 2**15
    part = window_cv(one.parts[0]["arrival_s"].to_numpy(), 1000.0, one.length_s)
    assert part.value == pytest.approx(2.0, abs=5 * 2 * np.sqrt(5 / 2 / 2**14))
