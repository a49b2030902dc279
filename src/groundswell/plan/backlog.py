"""Whether a fleet keeps up with what comes, or is overloaded: what waits grows through the run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from groundswell.judge.quantiles import STRETCHES
from groundswell.plan.figures import Backlog
from groundswell.results import Results
from groundswell.stats.batches import interval

Floats = NDArray[np.float64]

LEAST = 0.01
"""Of what comes, such a share at least must be left over, on average, where a fleet is called overloaded."""


def backlog_of(runs: Sequence[Results], begin_s: float) -> Backlog:
    """What waits in ``runs`` of the same span, taken together, from ``begin_s`` to when the last request came.

    That is cut into equal stretches. Of each it is known how many requests came to an engine, and how many were taken
    in for the first time. The difference, over what came, is the share that was left over. Its interval comes from
    drawing runs of stretches (:func:`groundswell.stats.batches.interval`): where all of it is above 0, the queue grows
    all through the run, and not with one burst.
    """
    came, taken, waiting = np.zeros(STRETCHES), np.zeros(STRETCHES), 0
    for run in runs:
        ready_s, admitted_s = run.floats("ready_s"), run.floats("admitted_s")
        until_s = float(np.nanmax(ready_s, initial=begin_s))
        came += _counts(ready_s, begin_s, until_s)
        taken += _counts(admitted_s, begin_s, until_s)
        waiting += int(np.count_nonzero(ready_s <= until_s) - np.count_nonzero(admitted_s <= until_s))
    untaken = interval(np.column_stack((came - taken, came)), lambda total: total[..., 0] / total[..., 1])
    return Backlog(waiting, untaken, bool(untaken.low > 0.0 and untaken.value >= LEAST))


def _counts(at_s: Floats, begin_s: float, end_s: float) -> Floats:
    inside = at_s[(at_s >= begin_s) & (at_s <= end_s)]
    width_s = max((end_s - begin_s) / STRETCHES, 1e-9)
    place = np.minimum(((inside - begin_s) / width_s).astype(np.int64), STRETCHES - 1)
    return np.bincount(place, minlength=STRETCHES).astype(np.float64)
