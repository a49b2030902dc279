"""How far a fitted law is from the values it was fitted to, and how far that is by chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled, stream_key, word_at
from groundswell.stats.laws import CODES, Floats, Simple, draw, estimated, tails
from groundswell.stats.rounded import estimated_rounded, spread

REPLICATE_SIZE = 500
"""A bootstrap replicate has at most as many values: at more, the distance times √n has the same distribution."""
_NEVER = 3.0  # even for a law that is known beforehand √n times the distance is beyond it in 3e-8 of samples only
_COARSE = 0.002
_LEAST_VALUE = 1e-290  # the logarithm of less is not to be trusted
_TICKS = (1.0, 0.1, 0.01, 0.001)
_OFF_TICK = 1e-3


@dataclass(frozen=True, eq=False)
class Values:
    """Rising values above 0, in a ``unit``, ready to be fitted.

    Values that are all multiples of a tick (1, 0.1, 0.01 or 0.001) are counted in ticks and are ``whole``: they stand
    for something continuous that was rounded to the nearest tick, ``number`` are the different ones and ``count`` how
    often each occurs, and ``x`` are the values spread over their cells (:mod:`groundswell.stats.rounded`). Values that
    are not whole are taken as they are, but a 0 as half the least value above 0.
    """

    x: Floats
    unit: float
    whole: bool
    number: Floats
    count: NDArray[np.int64]

    @classmethod
    def of(cls, values: Floats) -> Values | None:
        """From values of at least 0 in any order; None unless at least two differ."""
        x = np.sort(np.asarray(values, np.float64))
        if not x.size or x[0] == x[-1]:
            return None
        for tick in _TICKS:
            number = np.rint(x / tick)
            if (np.abs(x / tick - number) < _OFF_TICK).all():
                return cls._whole(number, tick)
        x[x < _LEAST_VALUE] = max(0.5 * x[x > 0.0][0], _LEAST_VALUE)
        return cls(x, 1.0, False, np.empty(0), np.empty(0, np.int64)) if x[0] < x[-1] else None

    @classmethod
    def _whole(cls, number: Floats, tick: float) -> Values | None:
        distinct, count = np.unique(number, return_counts=True)
        return cls(spread(number), tick, True, distinct, count) if distinct.size > 1 else None

    @property
    def n(self) -> int:
        """How many values there are."""
        return int(self.x.size)

    @property
    def lowest(self) -> float:
        """The least number that a rounded value can be: 0 where it occurs, else 1."""
        return float(self.number[0] > 0) if self.whole else 0.0

    @property
    def coarse(self) -> bool:
        """Whether so much lies in the least number's cell that it matters where in it."""
        return self.whole and bool(self.count[0] > _COARSE * self.n and self.number[0] <= self.lowest)

    @property
    def cells(self) -> tuple[Floats, Floats]:
        """The bounds of each number's cell."""
        low = np.where(self.number <= self.lowest, 0.0, self.number - 0.5)
        return low, self.number + 0.5


def fitted(family: str, values: Values) -> Simple:
    """The law of two parameters of greatest likelihood."""
    code = CODES[family]
    if values.whole:
        number = np.repeat(values.number, values.count)
        a, b = estimated_rounded(code, number, values.lowest, values.coarse)
    else:
        a, b = estimated(code, values.x)
    return Simple(family, float(a), float(b))


def distance(below: Any, values: Values) -> float:
    """Kolmogorov and Smirnov's: the largest difference of ``below``, which gives P(X <= x) for an array, from the
    values' own distribution function.
    """
    if values.whole:
        low, high = values.cells
        after = np.cumsum(values.count) / values.n
        before = np.concatenate([[0.0], after[:-1]])
        return float(max(np.abs(below(high) - after).max(), np.abs(below(low) - before).max()))
    share = below(values.x)
    rank = np.arange(values.n + 1.0) / values.n
    return float(max((rank[1:] - share).max(), (share - rank[:-1]).max()))


@compiled
def _distance(code: Any, a: Any, b: Any, x: Any, whole: Any, lowest: Any) -> Any:
    """:func:`distance` of a law of two parameters from x: rising values, or whole numbers."""
    n, most, begin = x.size, 0.0, 0
    while begin < n:
        end = begin + 1
        if whole:
            while end < n and x[end] == x[begin]:
                end += 1
            low = 0.0
            if x[begin] > lowest:
                low, _ = tails(code, a, b, x[begin] - 0.5)
            high, _ = tails(code, a, b, x[begin] + 0.5)
            most = max(most, abs(low - begin / n), abs(high - end / n))
        else:
            share, _ = tails(code, a, b, x[begin])
            most = max(most, share - begin / n, end / n - share)
        begin = end
    return most


@compiled
def _replicated(
    code: Any, a: Any, b: Any, size: Any, whole: Any, lowest: Any, coarse: Any, key: Any, replicates: Any
) -> Any:
    """The distances of ``replicates`` samples, drawn from the law, from the law that is fitted to each."""
    out = np.zeros(replicates)
    x = np.empty(size)
    for r in range(replicates):
        state = word_at(key, r)
        for i in range(size):
            state, value = draw(code, a, b, state)
            x[i] = max(math.floor(value + 0.5), lowest) if whole else value
        ordered = np.sort(x)
        if ordered[0] == ordered[-1]:
            continue  # nothing can be fitted to equal values; their distance counts as 0
        first, second = estimated_rounded(code, ordered, lowest, coarse) if whole else estimated(code, ordered)
        out[r] = _distance(code, first, second, ordered, whole, lowest)
    return out


def bootstrap_p(law: Simple, values: Values, ks: float, replicates: int, seed: int) -> float:
    """The share of replicates, drawn from ``law`` and fitted again, that are at least as far from their fit as ``ks``.

    The parametric bootstrap of Stute, Gonzáles Manteiga and Presedo Quindimil (1993). A replicate has at most
    :data:`REPLICATE_SIZE` values; distances at different n are compared times √n + 0.12 + 0.11/√n (Stephens, 1970).
    """
    if ks * _stephens(values.n) > _NEVER:
        return 0.0
    size = min(values.n, REPLICATE_SIZE)
    key = np.uint64(stream_key(seed, "goodness", law.family))
    drawn = _replicated(
        CODES[law.family], law.a, law.b, size, values.whole, values.lowest, values.coarse, key, replicates
    )
    return float((drawn * _stephens(size) >= ks * _stephens(values.n)).mean())


def _stephens(n: int) -> float:
    root = math.sqrt(n)
    return root + 0.12 + 0.11 / root
