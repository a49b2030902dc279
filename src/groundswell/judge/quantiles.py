"""Percentiles of latencies, exact, with intervals from the bootstrap of stretches of time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from groundswell.judge.figures import Curve
from groundswell.stats.batches import FEWEST, interval, run_length, weights
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]

STRETCHES = 120
"""Into so many equal stretches of time the window is cut."""
LADDER = (0.5, 0.9, 0.95, 0.99)
"""How much requests hang together is looked at here, too, on the way from the median to a quantile: beyond a far
quantile there may be a few crowds only, which say little of how crowds vary. :data:`MANY` say enough."""
MANY = 30.0
"""Stretches of time over which what lies beyond a quantile is spread, as many as would be if it were spread evenly."""
_POINTS = 128


def quantile(rising: Floats, q: float) -> float:
    """The least value that a share ``q`` of the sorted ``rising`` does not exceed; nan for none.

    So a ``q`` quantile is at most a bound exactly if at least that share is.

    >>> quantile(np.array([1.0, 2.0, 3.0, np.inf]), 0.75)
    3.0
    """
    return float(rising[rank(rising.size, q)]) if rising.size else np.nan


def rank(n: Any, q: float) -> Any:
    """The place, from 0, of the ``q`` quantile among ``n`` in order; ``n`` can be an array."""
    # 0.07 * 100 is a little above 7.
    return np.maximum(np.ceil(q * np.asarray(n) - 1e-9).astype(np.int64) - 1, 0)


def needed(q: float) -> int:
    """From how many independent values, spread over the whole window, a ``q`` quantile can be bounded on both sides.

    >>> needed(0.5), needed(0.99), needed(0.999)
    (5, 443, 4461)
    """
    side = max(q, 1.0 - q)
    return int(_widening(_runs(STRETCHES)) ** 2 * side / (1.0 - side)) + 1 if side < 1.0 else 0


@dataclass(frozen=True, eq=False)
class Sample:
    """Values in order, over which stretch of time each lies, and how many there are of each (None: one)."""

    rising: Floats
    stretch: Ints
    stretches: int
    weight: Floats | None = None

    @classmethod
    def of(cls, values: Floats, stretch: Ints, stretches: int = STRETCHES, weight: Floats | None = None) -> Sample:
        """The sample of ``values`` from stretches of time numbered from 0; nan is left out, infinity stays."""
        there = ~np.isnan(values)
        values, stretch = values[there], stretch[there]
        order = np.argsort(values)
        return cls(values[order], stretch[order], stretches, None if weight is None else weight[there][order])

    @property
    def n(self) -> int:
        """How many values there are."""
        return self._number(self.rising.size)

    @property
    def failed(self) -> int:
        """How many of them are infinite."""
        return self.n - self._number(self._finite)

    def quantile(self, q: float) -> float:
        """The quantile of these values themselves."""
        return self._at(rank(self.n, q)) if self.n else np.nan

    def estimate(self, q: float) -> Estimate:
        """The ``q`` quantile with its 95 % interval, an end of which is nan where these values cannot say it.

        The share of requests below the quantile has a variance, which drawing runs of stretches tells (as
        :func:`groundswell.stats.batches.interval` does). It is held against that of independent requests (Kish's
        design effect), here and, unless there are :data:`MANY` crowds beyond, on the way from the median
        (:data:`LADDER`). The interval reaches from the quantile that is so many standard errors of the share lower to
        the one that is as many higher (Woodruff, "Confidence Intervals for Medians and Other Position Measures", JASA
        1952), t distributed with the runs that there are.

        Where that is no share below 1, independent requests would say nothing of how late the quantile can be: there
        are fewer than :func:`needed`. Dependent ones that are as many do by their values: the end is then the greatest,
        and beyond it as far as the quantile of one run differs from another's. The greatest value (``q`` = 1) and the
        least have no interval: they bound nothing.
        """
        value, n = self.quantile(q), self.n
        if self._some < FEWEST or not 0.0 < q < 1.0:
            return Estimate(value, n=n)
        between = [p for p in LADDER if 0.5 <= p < q or q < 1.0 - p <= 0.5] if self._crowds(q) < MANY else []
        effect = max(1.0, self._effect(q), *(self._effect(p if q > 0.5 else 1.0 - p) for p in between))
        wide = _widening(self._some / run_length(self.stretches))
        reach = wide * np.sqrt(q * (1.0 - q) * effect / n)
        low, high = int(np.floor((q - reach) * n)) - 1, int(np.ceil((q + reach) * n))
        late = self._at(high) if high < n else self._beyond(q, wide) if n >= needed(q) else np.nan
        return Estimate(value, self._at(low) if low >= 0 else np.nan, late, n)

    def _beyond(self, q: float, wide: float) -> float:
        """The greatest value, and so many standard deviations of the runs' quantiles on."""
        greatest = float(self.rising[-1])
        if np.isinf(greatest):
            return greatest
        run = self.stretch // run_length(self.stretches)
        parts = [self._only(run == number) for number in range(int(run.max()) + 1)]
        return greatest + wide * float(np.std([part.quantile(q) for part in parts if part.n], ddof=1))

    def _only(self, those: NDArray[np.bool_]) -> Sample:
        weight = None if self.weight is None else self.weight[those]
        return Sample(self.rising[those], self.stretch[those], self.stretches, weight)

    def within(self, bound: float, inclusive: bool) -> Estimate:
        """Which share of the values is below ``bound``, or at most it."""
        upto = np.searchsorted(self.rising, bound, "right" if inclusive else "left")
        return share(self._per_stretch(int(upto)), self._per_stretch(self.rising.size))

    @property
    def mean(self) -> Estimate:
        """The mean of the finite values with its interval."""
        finite = self._finite
        weight = self.rising[:finite] if self.weight is None else self.rising[:finite] * self.weight[:finite]
        total = np.bincount(self.stretch[:finite], weight, self.stretches)
        sums = np.column_stack((total, self._per_stretch(finite))).astype(np.float64)
        return interval(sums, lambda total: total[..., 0] / total[..., 1], self._number(finite))

    @property
    def most(self) -> Estimate:
        """The greatest finite value. It says nothing of what greater ones there could be, so it has no interval."""
        finite = self._finite
        return Estimate(float(self.rising[finite - 1]) if finite else np.nan, n=self._number(finite))

    @property
    def curve(self) -> Curve:
        """The distribution function of the values, at 128 even shares and at 128 that get closer towards the end."""
        n = self._number(self._finite)
        if not n:
            return Curve(np.empty(0), np.empty(0))
        even = np.linspace(0, n - 1, min(_POINTS, n)).astype(np.int64)
        late = n - 1 - np.geomspace(1, n, min(_POINTS, n)).astype(np.int64) // 2
        at = np.unique(self._places(np.unique(np.concatenate((even, late)))))
        upto = at + 1.0 if self.weight is None else self._upto[at]
        return Curve(self.rising[at], upto / self.n)

    @cached_property
    def _upto(self) -> Floats:
        """How many values there are up to each, itself included; of use only where they have weights."""
        return np.empty(0) if self.weight is None else np.cumsum(self.weight)

    @cached_property
    def _finite(self) -> int:
        return int(np.searchsorted(self.rising, np.inf))

    @cached_property
    def _some(self) -> int:
        """In how many stretches there is anything."""
        return int(np.count_nonzero(self._per_stretch(self.rising.size)))

    def _number(self, size: int) -> int:
        return size if self.weight is None else int(self._upto[size - 1]) if size else 0

    def _places(self, ranks: Any) -> Any:
        return ranks if self.weight is None else np.searchsorted(self._upto, np.asarray(ranks) + 1)

    def _at(self, rank: int) -> float:
        return float(self.rising[self._places(rank)])

    def _per_stretch(self, size: int) -> Floats:
        """How many of the first ``size`` values lie in each stretch."""
        weight = None if self.weight is None else self.weight[:size]
        return np.bincount(self.stretch[:size], weight, self.stretches).astype(np.float64)

    def _effect(self, q: float) -> float:
        """By how much the variance of the share up to the ``q`` quantile exceeds that of independent values."""
        size = int(np.searchsorted(self.rising, self.quantile(q), "right"))
        upto = self._number(size) / self.n
        if upto >= 1.0:
            return 1.0
        drawn = weights(self.stretches) @ np.column_stack((self._per_stretch(size), self._all))
        drawn = drawn[drawn[:, 1] > 0]
        return float(np.var(drawn[:, 0] / drawn[:, 1])) * self.n / (upto * (1.0 - upto))

    def _crowds(self, q: float) -> float:
        """Over how many stretches the values are spread that lie beyond the ``q`` quantile, as seen from the median."""
        size = int(np.searchsorted(self.rising, self.quantile(q), "right" if q > 0.5 else "left"))
        upto = self._per_stretch(size)
        beyond = self._all - upto if q > 0.5 else upto
        squares = float((beyond**2).sum())
        return float(beyond.sum()) ** 2 / squares if squares else 0.0

    @cached_property
    def _all(self) -> Floats:
        return self._per_stretch(self.rising.size)


def share(some: Floats, all_: Floats) -> Estimate:
    """Which share ``some`` are of ``all_``, both counts per stretch of time.

    Where it is all or nothing every draw says the same. Then the other end is where so much would still come out in
    2.5 % of cases, were requests independent.
    """
    n = int(all_.sum())
    found = interval(np.column_stack((some, all_)), lambda total: total[..., 0] / total[..., 1], n)
    if n and found.value in (0.0, 1.0):
        edge = 0.025 ** (1.0 / n)
        return Estimate(found.value, edge, 1.0, n) if found.value else Estimate(0.0, 0.0, 1.0 - edge, n)
    return found


def quantiles_by_group(values: Floats, group: Ints, groups: int, qs: tuple[float, ...]) -> list[Floats]:
    """The quantiles of the values of each group, (groups,) for each of ``qs``: nan where a group has too few values to
    have one beyond it (1 / (1 − q)). Values that are nan, and groups below 0, are left out."""
    there = ~np.isnan(values) & (group >= 0)
    values, group = values[there], group[there].astype(np.uint16)
    rising = values[np.argsort(group, kind="stable")]
    count = np.bincount(group, minlength=groups)
    begin = np.cumsum(count) - count
    for first, size in zip(begin, count, strict=True):
        rising[first : first + size].sort()
    found = []
    for q in qs:
        enough = count * (1.0 - q) >= 1.0 - 1e-9
        out = np.full(groups, np.nan)
        out[enough] = rising[(begin + rank(count, q))[enough]]
        found.append(out)
    return found


def _runs(stretches: int) -> float:
    return stretches / run_length(stretches)


def _widening(runs: float) -> float:
    """How many standard errors a 95 % interval reaches, where they are the bootstrap's of so many runs."""
    return float(stdtrit(runs - 1.0, 0.975) * np.sqrt(runs / (runs - 1.0)))
