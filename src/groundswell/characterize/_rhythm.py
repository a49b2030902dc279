"""The rhythm of the day and of the week, from the number of arrivals in every hour.

**How sure the rate of an hour of the day is.** The count of an hour of mean e varies by φe + τ²e²: φ is how much more
than a Poisson count it varies by what happens within hours (from the differences of neighbouring stretches of some
minutes), τ how much days differ (from what is left around the hours' means, where there are several days).

**How much of the variance the hour explains** is 1 − MS(residual)/MS(total), which is 0 on average where there is no
rhythm (Ezekiel's adjusted R²). Its interval inverts the noncentral F distribution (Steiger and Fouladi, 1997). Hours
that follow on each other are alike beyond the rhythm, by the residuals' autocorrelation r, so there are effectively
(1 − r²)/(1 + r²) times as many for a variance (Bayley and Hammersley, 1946).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import ncf, t

from groundswell.characterize._dispersion import runs
from groundswell.characterize.figures import Band, Series
from groundswell.characterize.setting import Setting
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOUR_S = 3600.0
DAY = 24
WEEK = 168
_MOST_HOURS = 2**18
_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Hours:
    """The hours in which something arrived, numbered from the midnight before the trace or, where that is not known,
    from second 0; and how much arrived in each."""

    number: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    count: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def of(cls, arrival_s: Floats, setting: Setting) -> Hours:
        """Those of the sorted ``arrival_s``."""
        return cls(*runs(arrival_s, setting.midnight_s or 0.0, 1.0, HOUR_S))

    def __add__(self, other: Hours) -> Hours:
        if not self.number.size or not other.number.size:
            return other if not self.number.size else self
        shared = int(self.number[-1] == other.number[0])
        count = np.concatenate([self.count, other.count[shared:]])
        count[self.count.size - 1] += shared * other.count[0]
        return Hours(np.concatenate([self.number, other.number[shared:]]), count)


@dataclass(frozen=True, eq=False)
class Rhythm:
    """The figures of the same names in :class:`groundswell.characterize.figures.ArrivalFigures`."""

    day: Band = field(default_factory=Band)
    day_ratio: Estimate = field(default_factory=Estimate)
    day_strength: Estimate = field(default_factory=Estimate)
    week: Series = field(default_factory=Series)
    week_strength: Estimate = field(default_factory=Estimate)


def rhythm(hours: Hours, first_s: float, last_s: float, jitter: float, setting: Setting) -> Rhythm:
    """The rhythm of a trace from ``first_s`` to ``last_s``; ``jitter`` is the index of dispersion within hours.

    An hour counts if the trace sees at least half of it. A day's and a week's hours are told without knowing where
    midnight is, but for the profiles, which are left empty then.
    """
    seen = _seen_hours(hours, first_s, last_s, setting)
    if np.unique(seen.number % DAY).size < DAY:
        return Rhythm()
    day, ratio = _profile(seen, jitter, setting.seed)
    knows_midnight = setting.midnight_s is not None
    whole_week = np.unique(seen.number % WEEK).size == WEEK
    return Rhythm(
        day if knows_midnight else Band(),
        ratio,
        _day_strength(seen) if seen.number.size >= 2 * DAY else Estimate(),
        _week(seen) if knows_midnight and whole_week else Series(),
        _week_strength(seen) if whole_week and seen.number.size >= 2 * WEEK else Estimate(),
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """All hours that the trace sees at least half of: requests, and how many seconds it sees."""

    number: Ints
    count: Floats
    covered_s: Floats

    @property
    def rate(self) -> Floats:
        return np.asarray(self.count / self.covered_s)

    def expected(self, period: int) -> Floats:
        """The count of each hour by the rate of its place in the ``period``."""
        place = self.number % period
        rate = _summed(place, self.count, period) / np.maximum(_summed(place, self.covered_s, period), 1.0)
        return np.asarray(rate[place] * self.covered_s)


def _seen_hours(hours: Hours, first_s: float, last_s: float, setting: Setting) -> _Seen:
    size = int(hours.number[-1] - hours.number[0]) + 1
    if size > _MOST_HOURS:
        return _Seen(np.empty(0, np.int64), np.empty(0), np.empty(0))
    number = hours.number[0] + np.arange(size)
    count = np.zeros(size)
    count[hours.number - hours.number[0]] = hours.count
    begin_s = number * HOUR_S - (setting.midnight_s or 0.0)
    covered_s = np.minimum(begin_s + HOUR_S, last_s) - np.maximum(begin_s, first_s)
    keep = covered_s >= HOUR_S / 2
    return _Seen(number[keep], count[keep], covered_s[keep])


def _profile(seen: _Seen, jitter: float, seed: int) -> tuple[Band, Estimate]:
    """The rate at each hour of the day with its interval, and the ratio of the largest to the smallest of them.

    The largest of 24 uncertain rates is likely one that came out too large. The ratio is therefore corrected by what
    picking the extremes adds when the rates are drawn again (the basic bootstrap of its logarithm), and is 1 at least.
    """
    place = seen.number % DAY
    expected = seen.expected(DAY)
    freedom = expected.size - DAY
    noise = max(jitter, 0.0) * expected
    if freedom >= DAY:
        left = (seen.count - expected) ** 2 * expected.size / freedom
        noise = noise + max(float((left - noise).sum() / (expected**2).sum()), 0.0) * expected**2
    requests, covered_s = _summed(place, seen.count, DAY), _summed(place, seen.covered_s, DAY)
    count = np.maximum(requests, 0.5)
    error = np.sqrt(np.maximum(_summed(place, noise, DAY), 0.5)) / count
    rate = count / covered_s
    wide = np.exp((t.ppf(0.975, freedom) if freedom >= DAY else 1.96) * error)
    band = Band(np.linspace(0.5, DAY - 0.5, DAY), rate, rate / wide, rate * wide, requests)
    drawn = np.log(rate) + error * np.random.default_rng(seed).standard_normal((_DRAWS, DAY))
    again = np.ptp(drawn, axis=1)
    plain = np.ptp(np.log(rate))
    value, low, high = (
        float(np.exp(max(2 * plain - x, 0.0))) for x in (again.mean(), *np.quantile(again, [0.975, 0.025]))
    )
    return band, Estimate(value, low, high, int(seen.count.sum()))


def _day_strength(seen: _Seen) -> Estimate:
    """The share of the variance of the hourly rate that the hour of the day explains."""
    rate = seen.rate
    left = rate - _means(rate, seen.number % DAY, DAY)
    return _explained(float(((rate - rate.mean()) ** 2).sum()), left, DAY - 1)


def _week_strength(seen: _Seen) -> Estimate:
    """The share that the hour of the week explains beyond that."""
    rate = seen.rate
    by_day = rate - _means(rate, seen.number % DAY, DAY)
    left = rate - _means(rate, seen.number % WEEK, WEEK)
    # Its F is of what the day leaves; the variance of all is what the share is of.
    return _explained(float((by_day**2).sum()), left, WEEK - DAY, of_all=float(rate.var(ddof=1)))


def _summed(place: Ints, value: Floats, period: int) -> Floats:
    return np.asarray(np.bincount(place, value, period), np.float64)


def _means(rate: Floats, place: Ints, period: int) -> Floats:
    return np.asarray((_summed(place, rate, period) / np.maximum(np.bincount(place, minlength=period), 1))[place])


def _explained(before: float, left: Floats, added: int, of_all: float | None = None) -> Estimate:
    """The share of variance that ``added`` parameters explain: ``before`` is the sum of squares without them, ``left``
    the residuals with them.
    """
    n = left.size
    after = float((left**2).sum())
    freedom = n - added - 1 if of_all is None else n - WEEK
    variance = after / freedom
    if before <= 0 or variance <= 1e-12 * before / n:
        return Estimate(1.0 if before > 0 else np.nan, n=n)
    f = (before - after) / added / variance
    r = float((left[1:] * left[:-1]).sum()) / after
    effective = (1 - r**2) / (1 + r**2)

    def share(signal: float) -> float:
        """From the noncentrality per hour, which is the variance explained over that left."""
        return signal / (signal + 1) if of_all is None else min(signal * variance / of_all, 1.0)

    def at(odds: float) -> float:
        """The signal with which the F found would be beyond these ``odds``."""

        def beyond(signal: float) -> float:
            return float(ncf.cdf(f, added * effective, freedom * effective, signal * n * effective)) - odds

        high = 4 * (f * added / freedom + 1)
        return 0.0 if beyond(0.0) < 0 else share(float(brentq(beyond, 0.0, high, xtol=1e-6)))

    value = share(max((f - 1) * added / n, 0.0))
    return Estimate(value, at(0.975), at(0.025), n)


def _week(seen: _Seen) -> Series:
    """The rate in each hour of the mean week, which begins at the midnight before the trace."""
    place = seen.number % WEEK
    count, covered_s = _summed(place, seen.count, WEEK), _summed(place, seen.covered_s, WEEK)
    return Series(HOUR_S, np.linspace(0, (WEEK - 1) * HOUR_S, WEEK), count / covered_s, count)
