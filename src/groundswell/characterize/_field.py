"""One kind of length over all requests that have it: its distribution, its fits, and how it moves over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.characterize._course import Course, Grid, base_s, offset_s
from groundswell.characterize.figures import UNKNOWN, Band, Field, Period, Series
from groundswell.characterize.setting import Setting
from groundswell.stats.batches import MOST, interval
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve, fit
from groundswell.stats.token_counts import BUCKETS, WIDE_BUCKETS, Distribution, gather, gather_moments
from groundswell.stats.variation import cv_estimate

Floats = NDArray[np.float64]

FAMILIES = ("lognormal", "pareto", "pareto+lognormal", "exponential", "gamma", "zipf")
FEWEST_SHIFTING = 100
"""A period with fewer requests is left out of the shift."""
_STRETCHES = 2048
_PARTS = 64  # stretches of a period, at most, from which its interval comes
_POINTS = 500
_SURE = 1.96
_BAND_BINS = 30
_BAND_FEWEST = 20


def grid(arrival_s: Floats, setting: Setting) -> Grid:
    """The stretches of time that fields are folded in, for rising arrivals."""
    return Grid.over(arrival_s + offset_s(setting), base_s(setting), _STRETCHES)


@dataclass(frozen=True, eq=False)
class FieldFold:
    """What is remembered of a column of whole numbers: their buckets; in up to 128 stretches of time their wide
    buckets, number, sum and sum of squares; these three in up to 2,048 stretches; the least and the most.
    """

    counts: Floats = field(default_factory=lambda: np.zeros(BUCKETS))
    stretches: Course = field(default_factory=Course)
    """A column each for number, sum, sum of squares, and then for each wide bucket."""
    moments: Course = field(default_factory=Course)
    least: float = np.inf
    most: float = -np.inf

    @classmethod
    def of(cls, values: NDArray[Any], fine: Grid) -> FieldFold:
        """Of values that lie in the stretches of :func:`grid`."""
        if not values.size:
            return cls()
        coarse = fine.thinned(MOST)
        counts, moments = np.zeros(BUCKETS), np.zeros((len(fine), 3))
        stretches = np.zeros((len(coarse), 3 + WIDE_BUCKETS))
        gather(values, coarse.begins, counts, stretches[:, :3], stretches[:, 3:])
        gather_moments(values, fine.begins, moments)
        return cls(
            counts,
            Course(coarse.width_s, coarse.first, stretches, MOST),
            Course(fine.width_s, fine.first, moments, _STRETCHES),
            float(values.min()),
            float(values.max()),
        )

    def __add__(self, other: FieldFold) -> FieldFold:
        return FieldFold(
            self.counts + other.counts,
            self.stretches + other.stretches,
            self.moments + other.moments,
            min(self.least, other.least),
            max(self.most, other.most),
        )

    @property
    def n(self) -> int:
        """How many values there were."""
        return int(self.counts.sum())

    @property
    def distribution(self) -> Distribution:
        """Of all values."""
        return Distribution(self.counts, self.least, self.most)

    def finish(self, name: str, setting: Setting, sample: Floats) -> Field:
        """The figures; ``sample`` are values of the sample, on which the fits rest (those above 0)."""
        if not self.n:
            return _nothing(name)
        whole, cdf = self.distribution, self.distribution.cdf()
        periods = self._periods(setting)
        return Field(
            name=name,
            n=self.n,
            mean=interval(self.stretches.sums[:, :3], mean, self.n),
            p50=self._quantile(0.50),
            p90=self._quantile(0.90),
            p99=self._quantile(0.99),
            most=self.most,
            cv=cv_estimate(self.stretches.sums[:, :3]),
            histogram=whole.histogram(),
            tail=whole.tail(),
            fits=fit(sample[sample > 0], FAMILIES, cdf.x, seed=setting.seed),
            cdf=cdf,
            periods=periods,
            shift=shift(periods, setting.seed),
            series=self._series(setting),
        )

    def _quantile(self, q: float) -> Estimate:
        """A quantile with Woodruff's interval (1952): the quantiles at the bounds of the share that lies below it."""
        whole, sums = self.distribution, self.stretches.sums
        value = whole.quantile(q)
        # The share below, in every stretch: its buckets below, and as much of the one it lies in as makes q in all.
        running = np.cumsum(sums[:, 3:], axis=1)
        total = running.sum(axis=0)
        bucket = int(np.searchsorted(total, q * total[-1] * (1.0 - 1e-12)))
        before = running[:, bucket - 1] if bucket else np.zeros(len(sums))
        part = (q * total[-1] - before.sum()) / (total[bucket] - before.sum())
        below = before + part * (running[:, bucket] - before)
        share = interval(np.column_stack([sums[:, 0], below]), lambda s: s[..., 1] / s[..., 0], self.n)
        if not share.known:
            return Estimate(value, n=self.n)
        return Estimate(value, min(whole.quantile(share.low), value), max(whole.quantile(share.high), value), self.n)

    def _periods(self, setting: Setting) -> tuple[Period, ...]:
        rows, whole = self.stretches.periods(setting), self.distribution
        parts = self.moments
        while parts.width_s * _PARTS < rows.width_s:
            parts = parts.widened(2.0 * parts.width_s)
        inside = np.floor((parts.number + 0.5) * parts.width_s / rows.width_s).astype(np.int64)
        periods = []
        for number, sums in zip(rows.number, rows.sums, strict=True):
            if not sums[0]:
                continue
            there = whole.like(sums[3:])
            found = interval(parts.sums[inside == number], mean)
            at, n = float(sums[1] / sums[0]), int(sums[0])
            known = Estimate(at, min(found.low, at), max(found.high, at), n) if found.known else Estimate(at, n=n)
            start_s = float(number * rows.width_s - offset_s(setting))
            periods.append(Period(start_s, n, known, *(there.quantile(q) for q in (0.5, 0.9, 0.99))))
        return tuple(periods)

    def _series(self, setting: Setting) -> Series:
        rows = self.moments.thinned(_POINTS)
        some = rows.sums[:, 0] > 0
        n, total = rows.sums[some, 0], rows.sums[some, 1]
        return Series(rows.width_s, rows.start_s[some] - offset_s(setting), np.asarray(total / n), n)


def _nothing(name: str) -> Field:
    """The figures of a field that no request has."""
    mean = p50 = p90 = p99 = cv = moved = UNKNOWN
    return Field(name, 0, mean, p50, p90, p99, np.nan, cv, Curve(), Curve(), (), Curve(), (), moved, Series())


def mean(s: Floats) -> Floats:
    """Of number and sum."""
    return np.asarray(s[..., 1] / s[..., 0])


def shift(periods: Sequence[Period], seed: int) -> Estimate:
    """Largest over smallest mean of the periods with at least 100 requests.

    Even if nothing shifts, the largest of several means is above the smallest. The interval accounts for that: it is
    such that with 95 % the ratios of all pairs of periods lie within theirs at the same time (as Tukey's, 1949, with
    each period's own noise), and holds the ratio of the largest to the smallest whichever they are.
    """
    kept = [p.mean for p in periods if p.n >= FEWEST_SHIFTING and p.mean.known and p.mean.low > 0]
    if len(kept) < 2:
        return Estimate(n=len(kept))
    log = np.log([p.value for p in kept])
    noise = np.log([p.high / p.low for p in kept]) / (2.0 * _SURE) + 1e-12
    apart = np.sqrt(noise[:, None] ** 2 + noise**2)
    drawn = np.random.default_rng(seed).normal(size=(400, log.size)) * noise
    # Row by row, for 64 periods have 2,016 pairs.
    most = [np.max(np.abs(row[:, None] - row) / apart) for row in drawn]
    room = np.quantile(most, 0.95) * apart
    between = log[:, None] - log
    np.fill_diagonal(room, 0.0)
    value, low, high = (float(np.exp(d.max())) for d in (between, between - room, between + room))
    return Estimate(value, low, high, len(kept))


def band(x: Floats, y: Floats, low: float, high: float) -> Band:
    """The median and the ``low`` and ``high`` quantiles of y in up to 30 bins of equal ratio of x > 0; bins with fewer
    than 20 pairs are left out.
    """
    x, y = x[x > 0], y[x > 0]
    if x.size < _BAND_FEWEST or x.min() == x.max():
        return Band()
    edge = np.geomspace(x.min(), x.max() * (1 + 1e-9), _BAND_BINS + 1)
    number = np.searchsorted(edge, x, side="right")
    order = np.argsort(number, kind="stable")
    groups = np.split(y[order], np.searchsorted(number[order], np.arange(2, _BAND_BINS + 1)))
    kept = [k for k, group in enumerate(groups) if group.size >= _BAND_FEWEST]
    found = np.array([np.quantile(groups[k], [0.5, low, high]) for k in kept]).reshape(-1, 3)
    size = np.array([float(groups[k].size) for k in kept])
    return Band(np.sqrt(edge[:-1] * edge[1:])[kept], found[:, 0], found[:, 1], found[:, 2], size)
