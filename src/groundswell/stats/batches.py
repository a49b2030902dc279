"""Sums over equal stretches of time, few enough to keep and many enough to say how sure their total is.

The stretches double in length whenever there would be too many of them, so the memory does not depend on how long the
stream is, and their bounds are multiples of their length, so those of two parts of a stream add up exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]

MOST = 128
"""As many stretches are kept at most; after a doubling there are half as many."""
FEWEST = 10
"""From fewer in which something happened no interval is given; see :func:`fewest`."""
_FEWEST_RUNS = 5  # of fewer, tails() lie beyond 1 in 1000 draws: the least and the greatest draw, however far apart
BASE_S = 2.0**-4
"""The shortest stretch."""


@dataclass(frozen=True, eq=False)
class BatchSums:
    """``sums[i, j]``: quantity j summed over stretch ``first + i``, which is ``width_s`` long and begins at a multiple
    of that.

    >>> a = BatchSums.of(np.array([0.0, 1.0, 2.0]), np.ones((3, 1)))
    >>> b = BatchSums.of(np.array([2.0, 5000.0]), np.ones((2, 1)))
    >>> (a + b).total, (a + b).width_s
    (array([5.]), 64.0)
    """

    width_s: float = BASE_S
    first: int = 0
    sums: Floats = field(default_factory=lambda: np.empty((0, 0)))

    @classmethod
    def of(cls, at_s: Floats, values: Any) -> BatchSums:
        """The sums of ``values``, (n, k) or a sequence of k columns, of what happened at ``at_s``, which rises."""
        columns = [np.asarray(v, np.float64) for v in (values.T if isinstance(values, np.ndarray) else values)]
        if not at_s.size:
            return cls()
        width_s = BASE_S
        while at_s[-1] // width_s - at_s[0] // width_s >= MOST:
            width_s *= 2.0
        number = (at_s // width_s).astype(np.int64)
        first = int(number[0])
        size = int(number[-1]) - first + 1
        begins = np.searchsorted(number, np.arange(first, first + size + 1))
        sums = np.zeros((size, len(columns)))
        some = np.diff(begins) > 0
        for j, column in enumerate(columns):
            sums[some, j] = np.add.reduceat(column, begins[:-1][some])
        return cls(width_s, first, sums)

    def __add__(self, other: BatchSums) -> BatchSums:
        if not self.sums.size or not other.sums.size:
            return other if not self.sums.size else self
        a, b = self, other
        width_s = max(a.width_s, b.width_s)
        while True:
            a, b = a._widened(width_s), b._widened(width_s)
            first = min(a.first, b.first)
            size = max(a.first + len(a.sums), b.first + len(b.sums)) - first
            if size <= MOST:
                break
            width_s *= 2.0
        sums = np.zeros((size, a.sums.shape[1]))
        sums[a.first - first :][: len(a.sums)] += a.sums
        sums[b.first - first :][: len(b.sums)] += b.sums
        return BatchSums(width_s, first, sums)

    def _widened(self, width_s: float) -> BatchSums:
        factor = round(width_s / self.width_s)
        if factor == 1:
            return self
        return BatchSums(width_s, *coarsened(self.first, self.sums, factor))

    @property
    def total(self) -> Floats:
        """The sums over all time, (k,)."""
        return np.asarray(self.sums.sum(axis=0))

    def estimate(self, statistic: Callable[[Floats], Floats], n: int | None = None, repeats: int = 1000) -> Estimate:
        """``statistic`` of the totals, with its 95 % interval by the bootstrap.

        ``statistic`` takes totals shaped (…, k) and gives (…). Stretches are drawn in runs of the cube root of their
        number, around a circle (Politis and Romano, 1992), and the percentiles are those that a t distribution asks for
        at so few runs (Hesterberg, "What Teachers Should Know About the Bootstrap", 2015, 5.3). ``n`` is what the
        figure is said to rest on: by default the stretches.
        """
        return interval(self.sums, statistic, n, repeats)


def coarsened(first: int, sums: Floats, factor: int) -> tuple[int, Floats]:
    """``sums`` of stretches from number ``first`` on, in stretches ``factor`` times as long: (their first, sums)."""
    number = np.arange(first, first + len(sums)) // factor
    begins = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    return int(number[0]), np.add.reduceat(sums, begins, axis=0)


def interval(
    sums: Floats, statistic: Callable[[Floats], Floats], n: int | None = None, repeats: int = 1000
) -> Estimate:
    """:meth:`BatchSums.estimate` for sums (m, k) over m stretches of equal length in order of time.

    Stretches in which nothing happened are drawn, too, but say nothing of how sure the figure is. With something in
    fewer than :func:`fewest` there is no interval.
    """
    if not sums.size:
        return Estimate()
    m, some = len(sums), int(np.count_nonzero(sums.any(axis=1)))
    n = m if n is None else n
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(sums.sum(axis=0)))
        if not np.isfinite(value):
            return Estimate(n=n)
        if some < fewest(m):
            return Estimate(value, n=n)
        drawn = np.asarray(statistic(weights(m, repeats) @ sums))
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size < repeats // 2:
        return Estimate(value, n=n)
    low, high = np.quantile(drawn, tails(some / run_length(m)))
    return Estimate(value, float(low), float(high), n)


def run_length(m: int) -> int:
    """How many neighbouring stretches are drawn together."""
    return max(int(np.cbrt(m) + 0.5), 1)


def fewest(m: int) -> int:
    """In how many of ``m`` stretches something must have happened for an interval: as many as five runs have.

    >>> fewest(10), fewest(128)
    (10, 25)
    """
    return max(FEWEST, _FEWEST_RUNS * run_length(m))


def tails(n: float) -> tuple[float, float]:
    """The two percentiles of ``n`` bootstrapped things whose distance is right where 2.5 and 97.5 % are too near."""
    wide = float(ndtr(-np.sqrt(n / (n - 1)) * stdtrit(n - 1, 0.975)))
    return wide, 1.0 - wide


@lru_cache(maxsize=8)
def weights(m: int, repeats: int = 1000) -> Floats:
    """How often each of ``m`` stretches is drawn, (repeats, m). Always the same, so that a figure is reproducible."""
    random = np.random.default_rng(m)
    length = run_length(m)
    begin = random.integers(m, size=(repeats, -(-m // length), 1))
    drawn = ((begin + np.arange(length)) % m).reshape(repeats, -1)[:, :m]
    count = np.zeros((repeats, m))
    np.add.at(count, (np.arange(repeats)[:, None], drawn), 1.0)
    return count
