"""The coefficient of variation of long-tailed values, with an interval that is long on the side where the tail is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundswell.stats.batches import fewest, run_length, tails, weights
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]


def cv_estimate(sums: Floats) -> Estimate:
    """From number, sum and sum of squares, (m, 3), over m stretches of equal length in order of time.

    The few largest values decide a sum of squares, and a sample that happens to lack them shows too small a CV and too
    small a spread of it at once. The bootstrap of the logarithm over its own standard error (bootstrap-t: Hall, 1988)
    takes account of that. Stretches are drawn in runs and percentiles taken as in
    :func:`groundswell.stats.batches.interval`.
    """
    n = int(sums[:, 0].sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(_cv(sums.sum(axis=0)))
        m = len(sums)
        some = int(np.count_nonzero(sums[:, 0]))
        if some < fewest(m) or np.isnan(value):
            return Estimate(value, n=n)
        if value == 0.0:
            return Estimate(value, value, value, n)
        drawn = weights(m)
        total = drawn @ sums
        apart = np.log(_cv(total) / value) / _error_of_log(sums, drawn, total)
        error = float(_error_of_log(sums, np.ones((1, m)), sums.sum(axis=0)[None])[0])
    apart = apart[np.isfinite(apart)]
    if apart.size < len(drawn) // 2:
        return Estimate(value, n=n)
    low, high = np.quantile(apart, tails(some / run_length(m)))
    with np.errstate(over="ignore"):
        least, most = value * np.exp(-high * error), value * np.exp(-low * error)
    # Where a few values are nearly all of the sum of squares, a draw that lacks them says that there is no bound.
    return Estimate(value, float(least), float(most), n) if np.isfinite(most) else Estimate(value, n=n)


def _cv(total: Floats) -> Floats:
    return np.asarray(np.sqrt(np.maximum(total[..., 2] * total[..., 0] / total[..., 1] ** 2 - 1.0, 0.0)))


def _error_of_log(sums: Floats, drawn: Floats, total: Floats) -> Floats:
    """The standard error of ln CV to first order, where stretch j is drawn ``drawn[i, j]`` times: (i)."""
    number, first, second = np.moveaxis(total, -1, 0)
    ratio = second * number / first**2
    slope = np.stack([ratio / number, -2.0 * ratio / first, ratio / second], -1) / (2.0 * (ratio - 1.0))[:, None]
    return np.asarray(np.sqrt((drawn * (slope @ sums.T) ** 2).sum(axis=1)))
