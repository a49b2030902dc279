"""Times that are told in ticks: seeing it, and spreading the rows of each tick over it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled, mix, uniform_of, word_at

Floats = NDArray[np.float64]

FEWEST = 50
"""Of fewer rows nothing is said."""
_TIED = 0.02
_LONG = 0.25
_JITTER = 0.01
_NEAR = 64


def tick_of(time: Floats) -> float | None:
    """The tick that sorted times are told in, if it is long against the gaps between them; else None.

    It must show in three ways: of the rows at least 2 % share a time with the one before; the steps between different
    times are multiples of it, give or take a hundredth (Mooncake's 3 s are 2.997 to 3.003); and it is at least a
    quarter of the median gap. A clock of 1 ms under arrivals every 50 ms does no harm and is no tick.
    """
    if time.size < FEWEST:
        return None
    gap = np.diff(time)
    tiny = 1e-9 + 4 * np.spacing(np.abs(time).max())
    step = gap[gap > tiny]
    if step.size < 10 or gap.size - step.size < _TIED * gap.size:
        return None
    shortest = float(np.quantile(step, 0.01))
    for part in (1, 2, 3):
        tick = _refined(step, shortest / part)
        if tick is not None:
            # The clock's own noise must be small against the tick, or any times would pass.
            return tick if tick >= _LONG * np.median(gap) and tick > 100 * tiny else None
    return None


def _refined(step: Floats, tick: float) -> float | None:
    """``tick``, corrected, if nearly all steps are multiples of it."""
    near = step[step < _NEAR * tick]
    if near.size < 10:
        return None
    for _ in range(2):
        times = np.maximum(np.round(near / tick), 1)
        tick = float(near.sum() / times.sum())
    off = np.abs(near / tick - np.maximum(np.round(near / tick), 1))
    if (off > _JITTER).mean() > _JITTER:
        return None
    digits = float(f"{tick:.3g}")
    return digits if abs(tick / digits - 1) < _JITTER / 2 else tick


@compiled
def _spread(time: Any, line: Any, tick: float) -> Any:
    """Each time, moved by a share of ``tick`` that only the row's line, and its place in that, decide."""
    out = np.empty_like(time)
    nth = 0
    for i in range(time.size):
        nth = nth + 1 if i and line[i] == line[i - 1] else 0
        out[i] = time[i] + tick * uniform_of(word_at(mix(np.uint64(line[i])), nth))
    return out


def spread(time: Floats, line: NDArray[np.uint32], tick_s: float) -> Floats:
    """Sorted times with the rows of one tick spread uniformly at random over it, in the order they had.

    The sorted draws of a tick go to its rows in turn, so rows of one tick stay in the order of the file.
    """
    spread_out: Floats = np.sort(_spread(time, line, tick_s))
    return spread_out
