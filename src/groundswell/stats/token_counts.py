"""How many whole numbers lie where: one by one up to 127, then in buckets 1.6 % wide or less, which add up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.stats.fits import Curve

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DOUBLINGS = 18
_PER_DOUBLING = 64
BUCKETS = _PER_DOUBLING * (_DOUBLINGS + 1) + 1
"""The last holds all numbers from 2²⁴ on."""
_TOGETHER = 4
WIDE_BUCKETS = _PER_DOUBLING + _PER_DOUBLING // _TOGETHER * _DOUBLINGS + 1
"""Of wide buckets, which are four together from 64 on."""
# The upper 6 bits of a double's fraction after its exponent number the buckets from 64 on.
_SHIFT = 52 - 6
_LOWEST = ((1023 + 6) << 6) - _PER_DOUBLING
_POINTS = 150

LOWER = np.concatenate(
    [
        np.arange(float(_PER_DOUBLING)),
        np.outer(2.0 ** np.arange(_DOUBLINGS), np.arange(64.0, 128.0)).ravel(),
        [64.0 * 2.0**_DOUBLINGS],
    ]
)
"""The least number in each bucket."""

_WIDE = np.concatenate(
    [np.arange(_PER_DOUBLING), _PER_DOUBLING + np.arange(BUCKETS - _PER_DOUBLING) // _TOGETHER]
)  # the wide bucket of each


@compiled
def bucket_of(value: Any, one: Any, bits: Any) -> Any:
    """The bucket of a whole number of at least 0; ``bits`` are those of the float in ``one``."""
    bucket = np.int64(value)
    if bucket < _PER_DOUBLING:
        return bucket
    one[0] = value
    return min((bits[0] >> _SHIFT) - _LOWEST, BUCKETS - 1)


@compiled
def count(values: Any, counts: Any) -> None:
    """Add to ``counts`` how many values lie in each bucket."""
    one = np.empty(1, np.float64)
    bits = one.view(np.int64)
    for i in range(values.size):
        counts[bucket_of(values[i], one, bits)] += 1.0


@compiled
def gather(values: Any, begins: Any, counts: Any, moments: Any, wide: Any) -> None:
    """Add to ``counts`` how many values lie in each bucket; and of values ``begins[k]`` to ``begins[k + 1]``, in row k,
    their number, sum and sum of squares to ``moments``, and to ``wide`` how many lie in each wide bucket.
    """
    one = np.empty(1, np.float64)
    bits = one.view(np.int64)
    for k in range(begins.size - 1):
        total = squares = 0.0
        for i in range(begins[k], begins[k + 1]):
            value = np.float64(values[i])
            total += value
            squares += value * value
            bucket = bucket_of(value, one, bits)
            wider = bucket if bucket < _PER_DOUBLING else _PER_DOUBLING + (bucket - _PER_DOUBLING) // _TOGETHER
            counts[bucket] += 1.0
            wide[k, wider] += 1.0
        moments[k, 0] += begins[k + 1] - begins[k]
        moments[k, 1] += total
        moments[k, 2] += squares


@compiled
def gather_moments(values: Any, begins: Any, moments: Any) -> None:
    """Only the moments of :func:`gather`."""
    for k in range(begins.size - 1):
        total = squares = 0.0
        for i in range(begins[k], begins[k + 1]):
            value = np.float64(values[i])
            total += value
            squares += value * value
        moments[k, 0] += begins[k + 1] - begins[k]
        moments[k, 1] += total
        moments[k, 2] += squares


@dataclass(frozen=True, eq=False)
class Distribution:
    """The distribution of whole numbers of at least 0, from how many lie in each bucket; the numbers of one bucket
    count as spread evenly. ``least`` and ``most`` are exact.
    """

    counts: Floats
    least: float
    most: float

    @property
    def n(self) -> int:
        """How many numbers there are."""
        return int(self.counts.sum())

    def like(self, wide: Floats) -> Distribution:
        """That of a part of the numbers, of which ``wide`` are known to lie in the wide buckets: within each they lie
        as all numbers do.
        """
        all_wide = np.bincount(_WIDE, self.counts, WIDE_BUCKETS)
        share = np.divide(wide, all_wide, out=np.zeros(WIDE_BUCKETS), where=all_wide > 0)
        return Distribution(self.counts * share[_WIDE], self.least, self.most)

    @cached_property
    def _points(self) -> tuple[Floats, Floats]:
        """Corners of the distribution function of the numbers, each spread from half below to half above."""
        some = np.flatnonzero(self.counts)
        upper = np.append(LOWER[1:], LOWER[-1] + 1.0)[some]
        low, high = np.maximum(LOWER[some], self.least), np.minimum(upper, self.most + 1.0)
        high = np.maximum(high, low + 1.0)
        if some.size and some[-1] == BUCKETS - 1:
            high[-1] = max(self.most + 1.0, low[-1] + 1.0)
        after = np.cumsum(self.counts[some]) / self.counts.sum()
        x = np.column_stack([np.maximum(low - 0.5, 0.0), high - 0.5]).ravel()
        return x, np.column_stack([np.concatenate([[0.0], after[:-1]]), after]).ravel()

    def share_below(self, x: Any) -> Any:
        """The share of numbers below x, where each is spread from half below to half above it."""
        return np.interp(x, *self._points, left=0.0, right=1.0)

    def quantile(self, q: float) -> float:
        """The least number that a share ``q`` or more does not exceed, to 1.6 %; nan if there are none."""
        if not self.counts.any():
            return np.nan
        x, share = self._points
        at = float(np.interp(min(max(q, 0.0), 1.0) * (1.0 - 1e-12), share, x))
        return float(np.clip(np.ceil(at - 0.5 - 1e-9), self.least, self.most))

    @property
    def numbers(self) -> Floats:
        """Up to 150 numbers from the least to the most, in about equal ratios."""
        low, high = max(self.least, 1.0), max(self.most, 1.0)
        return np.unique(np.rint(np.concatenate([[self.least], np.geomspace(low, high, _POINTS - 1)])))

    def cdf(self) -> Curve:
        """The share that is at most x."""
        x = self.numbers
        return Curve(x, np.asarray(self.share_below(x + 0.5)))

    def tail(self) -> Curve:
        """The share that is at least x."""
        x = self.numbers
        return Curve(x, np.asarray(1.0 - self.share_below(x - 0.5)))

    def histogram(self) -> Curve:
        """The share in buckets of equal ratio, against their geometric middles: 16 to a doubling, or 8 where that would
        be many. What is below 1/2, a 0, is left out.
        """
        low, high = np.log2(max(self.least - 0.5, 0.5)), np.log2(self.most + 0.5)
        per = 16 if high - low < 8 else 8
        edge = np.arange(np.floor(low * per), np.ceil(high * per) + 1.0) / per
        share = np.diff(self.share_below(2.0**edge))
        return Curve(2.0 ** (0.5 * (edge[1:] + edge[:-1])), share)
