"""What charts over time hold of rows and of a server's metrics: a number for each of a few stretches of time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from groundswell.characterize.figures import Series
from groundswell.stats.fits import Floats

MOST_STRETCHES = 240
_ROUND = np.array([1.0, 2.0, 3.0, 6.0])
_WIDTHS_S = np.concatenate([[0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30], 60 * _ROUND, 600 * _ROUND, 3600 * _ROUND])


def width_s(span_s: float, most: int = MOST_STRETCHES) -> float:
    """The length of the stretches that a span is cut into, at most ``most`` of them: a round one.

    >>> width_s(600.0), width_s(86_400.0), width_s(3.0)
    (5.0, 360.0, 0.1)
    """
    enough = _WIDTHS_S[span_s <= most * _WIDTHS_S]
    return float(enough[0]) if enough.size else 86_400.0 * math.ceil(span_s / most / 86_400)


def rate(at_s: Floats, span_s: float, width: float) -> Series:
    """How many a second, in stretches of ``width`` seconds. ``at_s`` in any order, within the span."""
    start, size = _stretches(span_s, width)
    count = np.bincount(_number(at_s, start, width), minlength=start.size).astype(np.float64)
    return Series(width, start, count / size, count)


def gauge(at_s: Floats, value: Floats, span_s: float, width: float) -> tuple[Series, Floats, Floats]:
    """What was read of a quantity in each stretch: the mean, the least and the most; nan where nothing was read."""
    known = np.isfinite(at_s) & np.isfinite(value) & (at_s >= 0)
    at, value = at_s[known], value[known]
    start, _ = _stretches(span_s, width)
    number = _number(at, start, width)
    n = np.bincount(number, minlength=start.size).astype(np.float64)
    low, high = np.full(start.size, np.inf), np.full(start.size, -np.inf)
    np.minimum.at(low, number, value)
    np.maximum.at(high, number, value)
    total = np.bincount(number, value, start.size)
    mean = np.divide(total, n, out=np.full(start.size, np.nan), where=n > 0)
    return Series(width, start, mean, n), np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def counter(at_s: Floats, total: Floats, span_s: float, width: float) -> Series:
    """How much a counter grew a second in each stretch; nan before its first reading and after its last.

    A counter that falls is one whose server began anew: it has grown by what it then counts.
    """
    known = np.isfinite(at_s) & np.isfinite(total)
    at, total = at_s[known], total[known]
    start, size = _stretches(span_s, width)
    if at.size < 2:
        return Series(width, start, np.full(start.size, np.nan))
    step = np.diff(total)
    grown = np.concatenate([[0.0], np.cumsum(np.where(step < 0, total[1:], step))])
    ends = np.append(start, start[-1] + size[-1])
    # Only the part of a stretch between the first reading and the last is known.
    seen = np.diff(np.clip(ends, at[0], at[-1]))
    value = np.divide(np.diff(np.interp(ends, at, grown)), seen, out=np.full(start.size, np.nan), where=seen > 0)
    return Series(width, start, value)


def _stretches(span_s: float, width: float) -> tuple[Floats, Floats]:
    """Where stretches begin, and how long each is: the last ends with the span."""
    start = np.asarray(np.arange(max(math.ceil(span_s / width - 1e-9), 1)) * width, np.float64)
    size = np.full(start.size, width, np.float64)
    size[-1] = max(span_s - start[-1], 1e-3 * width)
    return start, size


def _number(at_s: Floats, start: Floats, width: float) -> NDArray[np.int64]:
    """In which stretch each time is."""
    return np.minimum((at_s / width).astype(np.int64), start.size - 1)
