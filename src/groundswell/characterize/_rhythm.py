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
from scipy.special import fdtr, stdtrit

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
_HARMONICS = 3
_KNOWN = 1e9  # degrees of freedom of a variance that is known


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
    """The rate at each hour of the day with its interval, and the ratio of the largest to the smallest of them."""
    place = seen.number % DAY
    expected = seen.expected(DAY)
    freedom = expected.size - DAY
    noise, alike, t_value = jitter * expected, 0.0, 1.96
    if freedom >= DAY:
        left = seen.count - expected
        beyond = left**2 * expected.size / freedom - noise
        noise = noise + max(float(beyond.sum() / (expected**2).sum()), 0.0) * expected**2
        alike, t_value = _lag_one(left / np.sqrt(np.maximum(noise, 1.0))), float(stdtrit(freedom, 0.975))
    requests, covered_s = _summed(place, seen.count, DAY), _summed(place, seen.covered_s, DAY)
    count = np.maximum(requests, 0.5)
    rate, error = count / covered_s, np.sqrt(np.maximum(_summed(place, noise, DAY), 0.5)) / count
    wide = np.exp(t_value * error)
    band = Band(np.linspace(0.5, DAY - 0.5, DAY), rate, rate / wide, rate * wide, requests)
    value, low, high = np.exp(_range(np.log(rate), error, alike, seed)).tolist()
    return band, Estimate(value, low, high, int(seen.count.sum()))


def _range(level: Floats, error: Floats, alike: float, seed: int) -> Floats:
    """The range of the means of which ``level`` came out with these errors, and the ends of its interval.

    The largest of 24 uncertain figures is likely one that came out too large. What that adds is found by drawing the
    errors again, around levels that are calmer than those found. Of their first three harmonics, and of the rest, as
    much variance is kept as errors do not explain: the likely share for the estimate; for the lower end the least (the
    limit of a noncentral chi-square); for the upper end all. ``alike`` is the correlation of the errors of neighbours.
    """
    apart = np.minimum(np.arange(DAY), DAY - np.arange(DAY))
    power = np.maximum(np.fft.rfft(max(alike, 0.0) ** apart).real, 0.0)
    random = np.random.default_rng(seed).standard_normal((_DRAWS, DAY))
    errors = error * np.fft.irfft(np.fft.rfft(random) * np.sqrt(power), DAY)
    calm = {odds: np.zeros(DAY) for odds in ("likely", "least", "all")}
    for first, last in ((1, _HARMONICS), (_HARMONICS + 1, DAY // 2)):
        waves = np.fft.rfft(level)
        waves[:first] = waves[last + 1 :] = 0.0
        part, freedom = np.fft.irfft(waves, DAY), min(2 * (last - first + 1), DAY - 1 - 2 * _HARMONICS)
        chance = float((error**2).mean() * power[first : last + 1].mean() * freedom)
        f = max(float((part**2).sum()), 1e-300) / chance
        calm["likely"] += part * np.sqrt(max(1 - 1 / f, 0.0))
        calm["least"] += part * np.sqrt(_noncentrality(f, freedom, _KNOWN, 0.975) / freedom / f)
        calm["all"] += part
    added = {odds: np.ptp(levels + errors, axis=1) - np.ptp(levels) for odds, levels in calm.items()}
    taken_off = added["likely"].mean(), np.quantile(added["least"], 0.975), np.quantile(added["all"], 0.025)
    return np.asarray(np.maximum(np.ptp(level) - np.array(taken_off), 0.0))


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


def _means(rate: Floats, place: Ints, period: int) -> Floats:
    return np.asarray((_summed(place, rate, period) / np.maximum(np.bincount(place, minlength=period), 1))[place])


def _summed(place: Ints, value: Floats, period: int) -> Floats:
    return np.asarray(np.bincount(place, value, period), np.float64)


def _lag_one(left: Floats) -> float:
    return float((left[1:] * left[:-1]).sum() / max(float((left**2).sum()), 1e-300))


def _explained(before: float, left: Floats, added: int, of_all: float | None = None) -> Estimate:
    """The share of variance that ``added`` parameters explain: ``before`` is the sum of squares without them, ``left``
    the residuals with them. The share is of the variance ``of_all``, if that is given, else of that without them.
    """
    n = left.size
    after = float((left**2).sum())
    freedom = n - added - 1 if of_all is None else n - WEEK
    variance = after / freedom
    if before <= 0 or variance <= 1e-12 * before / n:
        return Estimate(1.0 if before > 0 else np.nan, n=n)
    f = (before - after) / added / variance
    r = _lag_one(left)
    effective = (1 - r**2) / (1 + r**2)
    low, high = (_noncentrality(f, added * effective, freedom * effective, odds) / effective for odds in (0.975, 0.025))

    def share(noncentrality: float) -> float:
        signal = noncentrality / n  # the variance explained over that left
        return signal / (signal + 1) if of_all is None else min(signal * variance / of_all, 1.0)

    return Estimate(share(max((f - 1) * added, 0.0)), share(low), share(high), n)


def _noncentrality(f: float, added: float, freedom: float, odds: float) -> float:
    """The noncentrality with which a noncentral F is at most ``f`` with these ``odds``; 0 where there is none."""

    def beyond(noncentrality: float) -> float:
        return _noncentral_f(f, added, freedom, noncentrality) - odds

    return 0.0 if beyond(0.0) < 0 else float(brentq(beyond, 0.0, 100 * (f + 1) * (added + 1), xtol=1e-9))


def _noncentral_f(f: float, added: float, freedom: float, noncentrality: float) -> float:
    """P(F <= f), by a central F whose numerator has the same mean and variance (Patnaik, 1949)."""
    mean = added + noncentrality
    return float(fdtr(mean**2 / (mean + noncentrality), freedom, f * added / mean))


def _week(seen: _Seen) -> Series:
    """The rate in each hour of the mean week, which begins at the midnight before the trace."""
    place = seen.number % WEEK
    count, covered_s = _summed(place, seen.count, WEEK), _summed(place, seen.covered_s, WEEK)
    return Series(HOUR_S, np.linspace(0, (WEEK - 1) * HOUR_S, WEEK), count / covered_s, count)
