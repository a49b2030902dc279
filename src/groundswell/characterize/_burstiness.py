"""How bursty arrivals are within windows: the CV of their gaps, with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.stats.batches import MOST, interval
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]

FEWEST_GAPS = 30
"""Windows with fewer gaps do not count."""
_MANY = 32
"""From so many windows on, these are what the bootstrap draws."""
_N, _GAP, _GAP2 = range(3)


def window_cv(arrival_s: Floats, window_s: float, length_s: float) -> Estimate:
    """The CV of the gaps within windows, the mean of all windows weighted by their gaps.

    ``arrival_s`` rises; it may hold the first ``length_s`` of each window only. The interval is of the bootstrap over
    windows where there are many, else over parts of each window.
    """
    number = np.floor(arrival_s / window_s).astype(np.int64)
    inside = number[1:] == number[:-1]
    at, gap = arrival_s[1:][inside], np.diff(arrival_s)[inside]
    window, begin = np.unique(number[1:][inside], return_index=True)
    size = np.diff(begin, append=gap.size)
    full = size >= FEWEST_GAPS
    if not full.any():
        return Estimate()
    kept = np.repeat(full, size)
    window, at, gap = window[full], at[kept], gap[kept]
    which = np.repeat(np.arange(window.size), size[full])
    parts = max(MOST // window.size, 1)
    part = np.minimum((at / window_s - window[which]) * window_s / length_s * parts, parts - 1).astype(np.int64)
    cells = which * parts + part
    sums = np.stack([np.bincount(cells, x, window.size * parts) for x in (np.ones(gap.size), gap, gap * gap)], axis=1)
    if window.size < _MANY:
        spread = np.zeros((window.size, parts, window.size, 3))
        own = np.arange(window.size)
        spread[own, :, own] = sums.reshape(window.size, parts, 3)
        return interval(spread.reshape(window.size * parts, -1), _mean_cv, n=gap.size)
    whole = sums.reshape(window.size, parts, 3).sum(axis=1)
    weighted = np.stack([whole[:, _N] * _cv(whole), whole[:, _N]], axis=1)
    groups = np.unique(np.arange(window.size) * MOST // max(window.size, MOST), return_index=True)[1]
    return interval(np.add.reduceat(weighted, groups), lambda s: s[..., 0] / s[..., 1], n=gap.size)


def _cv(sums: Any) -> Any:
    """The CV of gaps from their number, sum and sum of squares."""
    with np.errstate(divide="ignore", invalid="ignore"):
        square = sums[..., _GAP2] * sums[..., _N] / sums[..., _GAP] ** 2 - 1.0
    return np.sqrt(np.maximum(square, 0.0))


def _mean_cv(sums: Any) -> Any:
    """The mean of the windows' CVs from all windows' sums in a row."""
    sums = sums.reshape(*sums.shape[:-1], -1, 3)
    n = sums[..., _N]
    return np.where(n > 0, n * np.nan_to_num(_cv(sums)), 0.0).sum(axis=-1) / n.sum(axis=-1)
