"""How far rates and CVs shift from window to window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from groundswell.characterize._windows import Windows, mostly_covered
from groundswell.stats.batches import FEWEST, MOST, interval
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST_REQUESTS = 100
"""A window with fewer is left out of the shift of CVs: its CV is mostly noise."""
FEWEST_WINDOWS = 4 * FEWEST
"""From fewer a 5th percentile has no interval."""
_GRID = 512


def rate_shift(windows: Windows) -> Estimate:
    """The ratio of the 95th to the 5th percentile of windows' rates. An empty window counts as half a request."""
    covered_s = windows.covered_s(windows.number)
    keep = mostly_covered(covered_s, windows.window_s)
    return _spread(windows.number[keep], windows.rate_per_s()[keep], 0.5 / windows.window_s)


def shift_by_chance(requests: float, jitter: float, least: float = 0.5) -> float:
    """The ratio of the 95th to the 5th percentile of the counts of windows at a constant rate, of ``requests`` on
    average and an index of dispersion ``jitter``. They are whole multiples of twice ``least``, which none counts as.

    Taken for Gamma variables or, if that is farther, for log-normal ones: a rare and huge burst is neither.
    """
    if not requests > 0:
        return np.nan
    spread = max(jitter / requests, 1e-9)
    normal = 1.645 * np.sqrt(np.log1p(spread))
    ends = [requests * spread * gammaincinv(1.0 / spread, [0.05, 0.95]), requests / np.exp([normal, -normal])]
    unit = 2.0 * least
    low, high = np.moveaxis(np.array(ends) / unit, 1, 0)
    return float((np.ceil(high) / np.maximum(np.floor(low), 0.5)).max())


def cv_shift(windows: Windows) -> Estimate:
    """The same of the CVs, of windows with at least :data:`FEWEST_REQUESTS` requests."""
    cv = windows.cv()
    keep = (windows.size >= FEWEST_REQUESTS) & np.isfinite(cv)
    return _spread(windows.number[keep], cv[keep], None)


def _spread(number: Ints, value: Floats, if_absent: float | None) -> Estimate:
    """The 95th over the 5th percentile; windows between that have no value count with ``if_absent``, if that is given.

    The bootstrap over stretches needs sums, so every stretch has the number of its windows at each of up to 512 values.
    """
    if number.size < 2:
        return Estimate()
    grid = np.unique(np.quantile(value, np.linspace(0, 1, min(_GRID, value.size)), method="inverted_cdf"))
    if if_absent is not None and (grid[0] > if_absent):
        grid = np.concatenate([[if_absent], grid])
    at = np.minimum(np.searchsorted(grid, value), grid.size - 1)
    span = int(number[-1] - number[0]) + 1
    together = -(-span // MOST)
    stretch = (number - number[0]) // together
    counts = np.zeros((-(-span // together), grid.size))
    np.add.at(counts, (stretch, at), 1.0)
    windows = float(number.size)
    if if_absent is not None:
        length = np.full(len(counts), together)
        length[-1] = span - together * (len(counts) - 1)
        counts[:, 0] += length - counts.sum(axis=1)
        windows = span

    def ratio(totals: Floats) -> Floats:
        share = np.cumsum(totals, axis=-1) / np.maximum(totals.sum(axis=-1, keepdims=True), 1.0)
        low, high = ((share < q - 1e-12).sum(axis=-1) for q in (0.05, 0.95))
        return np.asarray(grid[np.minimum(high, grid.size - 1)] / grid[np.minimum(low, grid.size - 1)])

    estimate = interval(counts, ratio, int(windows))
    return estimate if windows >= FEWEST_WINDOWS else Estimate(estimate.value, n=int(windows))
