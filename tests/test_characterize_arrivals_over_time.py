"""Dispersion of counts over scales, autocorrelation, and the rhythm of day and week, against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import ncf

from arrival_traces import daily, figures, poisson
from groundswell.characterize._dispersion import Counts, autocorrelation
from groundswell.characterize._rhythm import Hours, Rhythm, _noncentral_f, rhythm
from groundswell.characterize.setting import Setting

DAY_S = 86_400.0
MIDNIGHT = Setting(midnight_s=0.0)


def batches(span_s: float, rate_per_s: float, size: int, seed: int) -> Any:
    """Batches of a size that come as a Poisson process: their counts are ``size`` times Poisson counts."""
    return np.repeat(poisson(span_s, rate_per_s / size, seed), size)


def on_off(cycles: int, rate_per_s: float, on_s: float, off_s: float, seed: int) -> Any:
    """A Poisson process that is on and off for exponential times."""
    rng = np.random.default_rng(seed)
    on, off = rng.exponential(on_s, cycles), rng.exponential(off_s, cycles)
    begin = np.cumsum(on + off) - on
    count = rng.poisson(on * rate_per_s)
    return np.sort(np.repeat(begin, count) + rng.uniform(size=count.sum()) * np.repeat(on, count))


def on_off_dispersion(scale_s: Any, rate_per_s: float, on_s: float, off_s: float) -> Any:
    """1 + Var(∫λ)/E(∫λ), where λ has the covariance r² p (1 − p) exp(−g t) (Heffes and Lucantoni, 1986)."""
    g, p = 1 / on_s + 1 / off_s, on_s / (on_s + off_s)
    return 1 + 2 * rate_per_s * (1 - p) / g**2 * (g * scale_s - 1 + np.exp(-g * scale_s)) / scale_s


def test_dispersion_is_that_of_plain_counts_at_every_scale() -> None:
    arrival_s = on_off(200, 20.0, 5.0, 15.0, 1)
    band = Counts.of(arrival_s).dispersion(0.0)
    assert band.x.tolist() == [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120]
    for scale, value, n in zip(band.x, band.middle, band.n, strict=True):
        number = np.floor(arrival_s * 10).astype(int) // round(scale * 10)
        counts = np.bincount(number - number[0])[1:-1]
        assert n == counts.size
        assert value == pytest.approx(counts.var(ddof=1) / counts.mean())


@pytest.mark.parametrize("size", [1, 7])
def test_batches_of_a_poisson_process_have_their_size_as_dispersion_at_all_scales(size: int) -> None:
    bands = [Counts.of(batches(40_000.0, 2.0 * size, size, seed)).dispersion(0.0) for seed in range(20)]
    scales = min(band.x.size for band in bands)
    assert bands[0].x[scales - 1] == 1800.0
    values = np.array([band.middle[:scales] for band in bands])
    assert (np.abs(values.mean(axis=0) - size) < 5 * values.std(axis=0) / np.sqrt(20)).all()


def test_the_dispersion_of_an_on_off_process_grows_as_it_must() -> None:
    bands = [Counts.of(on_off(1500, 10.0, 20.0, 60.0, seed)).dispersion(0.0) for seed in range(20)]
    values = np.array([band.middle[:13] for band in bands])
    wanted = on_off_dispersion(bands[0].x[:13], 10.0, 20.0, 60.0)
    assert (np.abs(values.mean(axis=0) - wanted) < 5 * values.std(axis=0) / np.sqrt(20)).all()


@pytest.mark.parametrize(
    ("trace", "wanted"),
    [
        (lambda seed: batches(20_000.0, 3.0, 3, seed), lambda scale: np.full(scale.size, 3.0)),
        (lambda seed: on_off(250, 10.0, 20.0, 60.0, seed), lambda scale: on_off_dispersion(scale, 10.0, 20.0, 60.0)),
    ],
    ids=["batches", "on-off"],
)
def test_intervals_of_the_dispersion_cover(trace: Any, wanted: Any) -> None:
    bands = [Counts.of(trace(seed)).dispersion(0.0) for seed in range(60)]
    scales = min(band.x.size for band in bands)
    truth = wanted(bands[0].x[:scales])
    covered = sum((band.low[:scales] <= truth) & (truth <= band.high[:scales]) for band in bands)
    assert (np.asarray(covered) >= 60 * 0.95 - 5 * np.sqrt(60 * 0.95 * 0.05)).all()


def modulated(stretches: int, mean: float, correlation: float, spread: float, seed: int) -> Any:
    """A Poisson process whose rate in each second is the exponential of an autoregression of first order."""
    rng = np.random.default_rng(seed)
    state = np.empty(stretches)
    state[0] = rng.normal()
    for i in range(1, stretches):
        state[i] = correlation * state[i - 1] + np.sqrt(1 - correlation**2) * rng.normal()
    count = rng.poisson(mean * np.exp(spread * state - spread**2 / 2))
    return np.sort(np.repeat(np.arange(stretches), count) + rng.uniform(size=count.sum()))


def test_the_autocorrelation_of_a_modulated_rate_is_that_of_its_rate_less_what_chance_adds() -> None:
    mean, correlation, spread = 1000.0, 0.9, 0.3
    # Stretches are shorter than the second in which the rate is constant: 0.1 s.
    bands = [autocorrelation(Counts.of(modulated(5000, mean, correlation, spread, seed)), 0.0) for seed in range(5)]
    assert bands[0].x[0] == pytest.approx(0.1)
    covariance = (mean / 10) ** 2 * (np.exp(spread**2 * correlation ** np.arange(20)) - 1)
    for seconds in (1, 2, 5, 10):
        at = int(np.argmin(np.abs(bands[0].x - seconds)))
        part, lag = np.modf(bands[0].x[at])
        wanted = (1 - part) * covariance[int(lag)] + part * covariance[int(lag) + 1]
        wanted /= covariance[0] + mean / 10
        # A mean that is taken off lowers it by some 2·9.5/5000.
        assert np.mean([band.middle[at] for band in bands]) == pytest.approx(wanted, abs=0.06)
    assert bands[0].x[-1] <= 5000 / 4
    assert bands[0].x.size <= 200


def test_a_poisson_process_stays_in_the_band_without_correlation() -> None:
    band = autocorrelation(Counts.of(poisson(20_000.0, 1.0, 1)), 0.0)
    outside = (band.middle < band.low) | (band.middle > band.high)
    assert outside.mean() <= 0.05 + 5 * np.sqrt(0.05 * 0.95 / outside.size)


def test_a_metronome_has_no_autocorrelation_to_tell() -> None:
    assert not figures(np.arange(0.0, 5000.0, 0.1)).autocorrelation.x.size


def found_rhythm(arrival_s: Any, setting: Setting = MIDNIGHT) -> Rhythm:
    """The rhythm alone."""
    jitter = Counts.of(arrival_s).jitter()
    return rhythm(Hours.of(arrival_s, setting), float(arrival_s[0]), float(arrival_s[-1]), jitter, setting)


def hourly(amplitude: float) -> Any:
    """The means of :func:`daily` of unit rate over the hours of the day."""
    edge = 2 * np.pi * np.arange(25) / 24
    return 1 - amplitude * np.diff(np.sin(edge)) * 24 / (2 * np.pi)


@pytest.mark.parametrize("days", [1, 4])
def test_a_daily_sine_has_its_ratio_and_its_profile(days: int) -> None:
    wanted = hourly(0.6)
    found = [found_rhythm(daily(days, 0.5, 0.6, seed)) for seed in range(40)]
    assert found[0].day.x.tolist() == [hour + 0.5 for hour in range(24)]
    middle = np.array([f.day.middle for f in found])
    assert (np.abs(middle.mean(axis=0) - 0.5 * wanted) < 5 * middle.std(axis=0) / np.sqrt(40)).all()
    inside = [((f.day.low <= 0.5 * wanted) & (0.5 * wanted <= f.day.high)).mean() for f in found]
    assert np.mean(inside) >= 0.95 - 5 * np.sqrt(0.95 * 0.05 / (40 * 24))
    ratio = wanted.max() / wanted.min()
    covered = sum(f.day_ratio.low <= ratio <= f.day_ratio.high for f in found)
    assert covered >= 40 * 0.95 - 5 * np.sqrt(40 * 0.95 * 0.05)
    values = [f.day_ratio.value for f in found]
    assert np.mean(values) == pytest.approx(ratio, abs=5 * np.std(values) / np.sqrt(40))


def test_a_constant_rate_is_not_said_to_have_a_busiest_hour() -> None:
    ratios = [found_rhythm(poisson(2 * DAY_S, 0.2, seed)).day_ratio for seed in range(40)]
    assert np.mean([ratio.above(1.0) for ratio in ratios]) <= 0.05 + 5 * np.sqrt(0.05 * 0.95 / 40)


def test_the_hour_of_the_day_explains_the_share_of_variance_that_it_must() -> None:
    for amplitude in (0.0, 0.05, 0.6):
        signal = 3600**2 * 0.5**2 * hourly(amplitude).var()
        wanted = signal / (signal + 3600 * 0.5)
        found = [found_rhythm(daily(4, 0.5, amplitude, seed)).day_strength for seed in range(40)]
        covered = sum(e.low <= wanted <= e.high for e in found)
        assert covered >= 40 * 0.95 - 5 * np.sqrt(40 * 0.95 * 0.05)
        values = [e.value for e in found]
        # A share that is cut off at 0 is a little above it on average.
        assert np.mean(values) == pytest.approx(wanted, abs=5 * np.std(values) / np.sqrt(40) + 0.05 * (amplitude == 0))
        assert all(e.low > 0.95 for e in found) == (amplitude == 0.6)


def test_the_rhythm_of_the_week_is_told_apart_from_that_of_the_day() -> None:
    both = daily(21, 0.2, 0.5, 1)
    weekend = (both // DAY_S) % 7 >= 5
    quiet = both[~weekend | (np.random.default_rng(1).uniform(size=both.size) < 0.3)]
    every_day, working_days = found_rhythm(both), found_rhythm(quiet)
    assert every_day.week_strength.low < 0.01
    assert every_day.week_strength.value < 0.01
    assert working_days.week_strength.low > 0.2
    assert working_days.week.value.size == 168
    level = working_days.week.value.reshape(7, 24).mean(axis=1)
    assert level[5:].mean() / level[:5].mean() == pytest.approx(0.3, rel=0.05)
    assert np.isnan(found_rhythm(daily(13, 0.2, 0.5, 1)).week_strength.value)


def test_without_midnight_the_rhythm_is_told_but_not_its_hours() -> None:
    arrival_s = daily(15, 0.2, 0.5, 1)
    known, unknown = found_rhythm(arrival_s), found_rhythm(arrival_s, Setting())
    assert known.day.x.size == 24
    assert not unknown.day.x.size
    assert not unknown.week.value.size
    assert unknown.day_strength == known.day_strength
    assert unknown.day_ratio.value == pytest.approx(known.day_ratio.value)


def test_hours_are_those_of_the_clock() -> None:
    arrival_s = np.sort(np.concatenate([daily(2, 0.2, 0.0, 1), poisson(3600.0, 5.0, 1) + 3600]))
    busiest = int(found_rhythm(arrival_s, Setting(midnight_s=5 * 3600.0)).day.middle.argmax())
    assert busiest == 6


def test_the_approximate_noncentral_f_is_near_the_exact_one() -> None:
    for f, added, freedom, shift in ((2, 23, 24, 10), (0.5, 23, 100, 0), (50, 23, 144, 1000), (3, 15.2, 80, 5)):
        assert _noncentral_f(f, added, freedom, shift) == pytest.approx(ncf.cdf(f, added, freedom, shift), abs=0.003)


def test_a_short_trace_has_a_rate_in_stretches_shorter_than_windows() -> None:
    arrival_s = np.cumsum(np.random.default_rng(3).exponential(0.2, 20_000))
    rate = figures(arrival_s).rate
    assert 100 <= rate.value.size <= 300
    assert rate.n.min() >= 1
    np.testing.assert_allclose(rate.value, rate.n / rate.width_s)
    at = rate.start_s[7]
    assert rate.n[7] == ((arrival_s >= at) & (arrival_s < at + rate.width_s)).sum()
