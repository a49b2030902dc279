"""The part of a pool's time that its rates speak of: all of it, unless its origin says ``covered_s``.

A trace that began or ended within a window covers that window in part. A pool's rates there are those of the covered
part, and ``origin["covered_s"]``, a list of two times on the pool's clock, says from when to when that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import UsageError

Floats = NDArray[np.float64]
Span = tuple[float, float]

KEY = "covered_s"
_ROUNDING = 1e-9


def covered_span(origin: Mapping[str, Any], start_s: float, end_s: float) -> Span:
    """From when to when a pool of this ``origin``, from ``start_s`` to ``end_s``, is covered.

    Raises :class:`UsageError` where the origin says what is no part of the pool.
    """
    said = origin.get(KEY)
    if said is None:
        return start_s, end_s
    numbers = isinstance(said, list | tuple) and len(said) == 2 and all(isinstance(one, int | float) for one in said)
    begin_s, stop_s = (max(float(said[0]), start_s), min(float(said[1]), end_s)) if numbers else (np.nan, np.nan)
    if not begin_s < stop_s:
        raise UsageError(f"a pool's {KEY} are two times within its {start_s:g} s to {end_s:g} s, not {said!r}")
    return begin_s, stop_s


def covering(origin: Mapping[str, Any], start_s: float, end_s: float, covered_s: Span) -> dict[str, Any]:
    """``origin``, saying that of ``start_s`` to ``end_s`` only ``covered_s`` is covered; nothing where that is all."""
    rest = {key: value for key, value in origin.items() if key != KEY}
    begin_s, stop_s = max(covered_s[0], start_s), min(covered_s[1], end_s)
    whole = begin_s - start_s + end_s - stop_s <= _ROUNDING * (end_s - start_s)
    return rest if whole else rest | {KEY: [float(begin_s), float(stop_s)]}


def covered_parts(start_s: float, window_s: float, windows: int, covered_s: Span) -> Floats:
    """Which part of each window is covered, shape [W]: 1 for all but those at the ends.

    >>> covered_parts(600.0, 600.0, 3, (1050.0, 2400.0)).tolist()
    [0.25, 1.0, 1.0]
    """
    begin, end = ((at_s - start_s) / window_s for at_s in covered_s)
    number = np.arange(windows)
    return np.asarray(np.clip(np.minimum(number + 1, end) - np.maximum(number, begin), 0.0, 1.0))
