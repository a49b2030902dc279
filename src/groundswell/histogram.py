"""Quantiles of a stream: a histogram whose buckets grow with the value, so its error is relative, and which adds up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled

# A bucket is the first bits of a double: its exponent and the upper 7 bits of its fraction. 128 buckets to a doubling
# make each 1/128 to 1/256 as wide as the values in it, and give every whole number up to 256 one of its own.
_SHIFT = 52 - 7
_LOWEST = (1023 - 20) << 7  # 2⁻²⁰, about 1e-6; what is less counts as 0
_BUCKETS = 64 * 128 + 1  # up to 2⁴⁴


_CHUNK = 1024  # values that are looked at as bits at a time, which the nearest cache holds


@compiled
def _fold(values: Any, buckets: Any) -> Any:
    """Count ``values`` into ``buckets``; (sum, least, most) of them."""
    chunk = np.empty(_CHUNK, np.float64)
    bits = chunk.view(np.int64)
    last = buckets.size - 1
    total, least, most = 0 * values[0], values[0], values[0]
    for begin in range(0, values.size, _CHUNK):
        size = min(_CHUNK, values.size - begin)
        for i in range(size):
            value = values[begin + i]
            total += value
            least, most = min(least, value), max(most, value)
            chunk[i] = value
        for i in range(size):
            buckets[min(max((bits[i] >> _SHIFT) - _LOWEST + 1, 0), last)] += 1
    return total, least, most


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many values of at least 0 lie where, to 1 %, from 1e-6 to 1.7e13; and their exact count, sum, least and most.

    >>> h = Histogram.of([10.0, 20.0]) + Histogram.of([1000.0])
    >>> h.count, h.quantile(0.5), h.most
    (3, 20.0, 1000.0)
    """

    buckets: NDArray[np.int64]
    count: int = 0
    total: float = 0.0
    least: float = np.inf
    most: float = -np.inf

    @classmethod
    def of(cls, values: Any) -> Histogram:
        """The histogram of an array of numbers."""
        values = np.asarray(values)
        buckets = np.zeros(_BUCKETS, np.int64)
        if not values.size:
            return cls(buckets)
        total, least, most = _fold(values, buckets)
        return cls(buckets, values.size, float(total), float(least), float(most))

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(
            self.buckets + other.buckets,
            self.count + other.count,
            self.total + other.total,
            min(self.least, other.least),
            max(self.most, other.most),
        )

    @property
    def mean(self) -> float:
        """The mean of the values, nan if there are none."""
        return self.total / self.count if self.count else np.nan

    def quantile(self, q: float) -> float:
        """The least value that a share ``q`` or more of the values does not exceed, up to 0.8 % too low."""
        if not self.count:
            return np.nan
        rank = max(int(np.ceil(q * self.count)), 1)
        bucket = int(np.searchsorted(np.cumsum(self.buckets), rank))
        edge = np.array([bucket - 1 + _LOWEST], np.int64) << _SHIFT
        lower = float(edge.view(np.float64)[0]) if bucket else 0.0
        return min(max(lower, self.least), self.most)
