"""From when to when a trace covers its windows, on the pool's clock."""

from __future__ import annotations

import numpy as np

from groundswell.fit.fold import Fold
from groundswell.fit.setting import MINUTE_S, Grid

_LEAST = 1e-3
"""Of an end window, which a burst at its edge would else fill at any rate."""
_INSTANT = 1e-6
"""Of a window: a trace that is no longer than this has no rate, and is taken to cover its windows whole."""


def span_of(fold: Fold, grid: Grid, low: int, high: int, *, to_minutes: bool) -> tuple[float, float]:
    """From the first arrival to a mean gap after the last, so that requests over time are gaps over their sum.

    It keeps to the windows ``low`` to ``high``, those of the first and the last arrival, and covers a thousandth of
    each at least. With ``to_minutes`` it is rounded outwards to whole minutes of the clock, and tells of no arrival
    more than that.
    """
    start_s, end_s = float(grid.start_s(low)), float(grid.start_s(high + 1))
    lasts_s = fold.last_s - fold.first_s
    if not lasts_s > _INSTANT * grid.window_s:
        return start_s, end_s
    gap_s = lasts_s / (fold.requests.sum() - 1)
    least_s = _LEAST * grid.window_s
    begin_s = min(grid.clock_s(fold.first_s), float(grid.start_s(low + 1)) - least_s)
    stop_s = max(grid.clock_s(fold.last_s) + gap_s, float(grid.start_s(high)) + least_s)
    if to_minutes:
        begin_s, stop_s = np.floor(begin_s / MINUTE_S) * MINUTE_S, np.ceil(stop_s / MINUTE_S) * MINUTE_S
    return max(float(begin_s), start_s), min(float(stop_s), end_s)
