"""Figures of arrivals: however the trace is cut, on odd traces, and their rates, CVs and families."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrival_traces import daily, figures, gamma, poisson, rising, workload
from groundswell.characterize._gaps import FAMILIES
from groundswell.characterize._shift import rate_shift
from groundswell.characterize._windows import Windows, mean_cv
from groundswell.characterize.arrivals import Fold
from groundswell.characterize.setting import Setting

HOUR = Setting(window_s=3600.0)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All numbers, texts and arrays in figures, by name."""
    if dataclasses.is_dataclass(value):
        for f in dataclasses.fields(value):
            yield from leaves(getattr(value, f.name), f"{name}.{f.name}")
    elif isinstance(value, (dict, tuple)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{name}.{key}")
    else:
        yield name, value


def assert_alike(a: Any, b: Any) -> None:
    found, wanted = dict(leaves(a)), dict(leaves(b))
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        if value is None or isinstance(value, str):
            assert found[name] == value, name
        else:
            np.testing.assert_allclose(found[name], value, rtol=1e-7, atol=1e-9, err_msg=name)


@st.composite
def traces(draw: st.DrawFn) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Arrivals with pauses, bursts and simultaneous ones, some just on the bounds of windows, bins and hours."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    gaps = rng.gamma(0.3, 10.0 ** draw(st.floats(-2, 3)), draw(st.integers(1, 250)))
    gaps[rng.uniform(size=gaps.size) < draw(st.sampled_from([0.0, 0.3]))] = 0.0
    gaps[rng.integers(gaps.size)] += draw(st.sampled_from([0.0, 1e4, 1e6]))
    arrival_s = np.cumsum(gaps)
    tick = draw(st.sampled_from([0.0, 0.1, 100.0]))
    return np.floor(arrival_s / tick) * tick if tick else arrival_s


@settings(max_examples=40)
@given(traces(), st.lists(st.integers(0, 250), max_size=6), st.sampled_from([0.3, 100.0, 1200.0]))
def test_figures_do_not_depend_on_where_the_stream_is_cut(arrival_s: Any, cuts: list[int], window_s: float) -> None:
    setting = Setting(window_s=window_s, midnight_s=5000.0)
    assert_alike(figures(arrival_s, setting, tuple(cuts)), figures(arrival_s, setting))


@settings(max_examples=10)
@given(traces())
def test_figures_of_blocks_of_one_row_are_those_of_the_whole(arrival_s: Any) -> None:
    setting = Setting(window_s=100.0, midnight_s=0.0)
    assert_alike(figures(arrival_s, setting, tuple(range(arrival_s.size))), figures(arrival_s, setting))


@pytest.mark.parametrize("window_s", [0.2, 60.0])
def test_figures_do_not_depend_on_the_order_of_adding(window_s: float) -> None:
    arrival_s = np.floor(gamma(3000, 2.0, 2.0, 1))
    setting = Setting(window_s=window_s)
    a, b, c, d = (Fold.of(workload(part), setting) for part in np.split(arrival_s, [700, 701, 2500]))
    sample = pl.DataFrame({"arrival_s": arrival_s})
    assert_alike((a + (b + (c + d))).finish(setting, sample), (((a + b) + c) + d).finish(setting, sample))


def test_the_busiest_window_and_the_spread_of_the_tested_ones_survive_many_cuts() -> None:
    arrival_s = poisson(400_000.0, 0.5, 1)
    setting = Setting(window_s=400.0)
    whole = figures(arrival_s, setting)
    assert_alike(figures(arrival_s, setting, tuple(range(0, arrival_s.size, 997))), whole)
    counts = np.bincount((arrival_s // 400).astype(int))
    assert whole.example is not None
    assert whole.example.start_s == 400.0 * counts.argmax()
    starts = np.array([window.start_s for window in whole.windows])
    assert 20 <= starts.size <= 48
    assert np.diff(starts, prepend=0.0, append=400_000.0).max() < 3 * 400_000 / starts.size


def test_windows_that_wake_in_step_with_a_period_are_tested_too() -> None:
    busy = np.arange(1, 2000, 2) * 100.0  # every other window
    arrival_s = (busy[:, None] + np.linspace(0, 99, 60)).ravel()
    assert len(figures(arrival_s, Setting(window_s=100.0)).windows) >= 20


def test_a_trace_without_requests_has_no_figures() -> None:
    assert Fold().finish(HOUR, pl.DataFrame({"arrival_s": np.empty(0)})) is None
    assert not Fold.of(workload(np.empty(0)), HOUR).windows.number.size


@pytest.mark.parametrize("arrival_s", [[5.0], [5.0] * 300, [5.0, 7.0], [0.0, 1e9], [*range(300), 1e13]])
def test_odd_traces_have_figures_without_infinities(arrival_s: list[float]) -> None:
    found = figures(np.array(arrival_s, float), Setting(midnight_s=0.0))
    assert found.requests == len(arrival_s)
    assert found.span_s == arrival_s[-1] - arrival_s[0]
    for name, value in leaves(found):
        if isinstance(value, (float, np.ndarray)):
            assert not np.isinf(value).any(), name


def test_series_are_bounded_and_count_every_request() -> None:
    arrival_s = poisson(1e6, 0.1, 1)
    found = figures(arrival_s, Setting(window_s=300.0))
    assert 250 <= found.rate.value.size <= 500
    assert found.rate.n.sum() == pytest.approx(arrival_s.size, abs=2 * found.rate.width_s)
    inner = slice(1, -1)
    np.testing.assert_allclose(found.rate.value[inner] * found.rate.width_s, found.rate.n[inner])
    np.testing.assert_allclose(found.rate.start_s % found.rate.width_s, 0.0)
    assert found.window_cv.value.size <= 500


def test_the_rate_is_that_of_the_gaps() -> None:
    arrival_s = poisson(5000.0, 2.0, 1)
    found = figures(arrival_s)
    assert found.rate_per_s.value == pytest.approx((arrival_s.size - 1) / np.ptp(arrival_s))


@pytest.mark.parametrize("gaps", [10, 20, 100, 2000])
def test_a_poisson_process_has_cv_1_in_windows_of_any_size(gaps: int) -> None:
    rng = np.random.default_rng(1)
    windows = 100_000 // gaps
    inside = np.sort(rng.uniform(size=(windows, gaps + 1)), axis=1)
    cv = Windows.of((inside + np.arange(windows)[:, None]).ravel(), 1.0).cv()
    # To 1.5 % from ten gaps, whose first order is not all there is.
    assert cv.mean() == pytest.approx(1.0, abs=5 * cv.std() / np.sqrt(windows) + 1.5 / gaps**2)


@pytest.mark.parametrize("rate_per_s", [0.2, 5.0])
@pytest.mark.parametrize("cv", [0.5, 2.0, 3.0])
def test_the_cv_of_gamma_gaps_is_found_in_short_windows_and_long(cv: float, rate_per_s: float) -> None:
    found = [mean_cv(Windows.of(gamma(20_000, rate_per_s, cv, seed), 1200.0)).value for seed in range(20)]
    assert np.mean(found) == pytest.approx(cv, abs=5 * np.std(found) / np.sqrt(20) + 0.005 * cv)


@pytest.mark.parametrize("spread", [1, 40])
@pytest.mark.parametrize("slope", [False, True])
def test_a_poisson_process_is_not_called_bursty(slope: bool, spread: int) -> None:
    def trace(seed: int) -> Any:
        span_s = 100.0 * spread * 12
        return rising(4000, span_s, seed) if slope else poisson(span_s, 4000 / span_s, seed)

    found = [mean_cv(Windows.of(trace(seed), 1200.0)) for seed in range(100)]
    assert all(estimate.known for estimate in found)
    assert np.mean([estimate.above(1.0) for estimate in found]) <= 0.025 + 5 * np.sqrt(0.025 * 0.975 / 100)
    assert np.mean([estimate.value for estimate in found]) == pytest.approx(1.0, abs=0.004)


def test_a_plain_cv_is_recovered_from_the_sums() -> None:
    arrival_s = gamma(50_000, 50.0, 1.5, 1)
    windows = Windows.of(arrival_s, 1e6)
    gaps = np.diff(arrival_s)
    assert windows.squares[0] == pytest.approx((gaps**2).sum())
    assert windows.cv()[0] == pytest.approx(gaps.std() / gaps.mean(), rel=2e-3)


@pytest.mark.parametrize("cv", [0.5, 1.0, 2.0])
def test_intervals_of_rate_and_cv_cover(cv: float) -> None:
    setting = Setting(window_s=300.0)
    covered = np.zeros(2)
    for seed in range(60):
        fold = Fold.of(workload(gamma(4000, 1.0, cv, seed)), setting)
        rate = fold.counts.rate_per_s(fold.windows.first_s, fold.windows.last_s)
        level = mean_cv(fold.windows)
        covered += [rate.low <= 1.0 <= rate.high, level.low <= cv <= level.high]
    assert (covered >= 60 * 0.95 - 5 * np.sqrt(60 * 0.95 * 0.05)).all()


def test_the_shift_of_rates_is_the_ratio_of_their_percentiles() -> None:
    rng = np.random.default_rng(1)
    rate = np.exp(rng.normal(0, 0.4, 400))
    count = rng.poisson(rate * 5000)
    arrival_s = np.sort(np.repeat(np.arange(400), count) + rng.uniform(size=count.sum()))
    shift = rate_shift(Windows.of(arrival_s, 1.0))
    wanted = np.quantile(count, 0.95, method="inverted_cdf") / np.quantile(count, 0.05, method="inverted_cdf")
    assert shift.value == pytest.approx(wanted, rel=0.02)
    assert shift.low <= np.exp(2 * 1.645 * 0.4) <= shift.high


def test_a_pause_makes_the_shift_of_rates_large_but_not_infinite() -> None:
    arrival_s = np.concatenate([poisson(6000.0, 1.0, 1), 12_000 + poisson(6000.0, 1.0, 2)])
    shift = rate_shift(Windows.of(arrival_s, 100.0))
    assert 100 < shift.value < 400


@pytest.mark.parametrize(
    ("family", "draw"),
    [
        ("exponential", lambda rng: rng.exponential(0.5, 40_000)),
        ("gamma", lambda rng: rng.gamma(0.3, 0.5 / 0.3, 40_000)),
        ("weibull", lambda rng: 0.3 * rng.weibull(0.6, 40_000)),
        ("lognormal", lambda rng: rng.lognormal(-1.0, 1.5, 40_000)),
    ],
)
def test_the_family_of_gaps_is_told(family: str, draw: Any) -> None:
    found = figures(np.cumsum(draw(np.random.default_rng(1))), Setting(window_s=2000.0))
    tested = len(found.windows)
    assert tested >= 5
    assert found.accepted[family] >= 0.95 - 5 * np.sqrt(0.05 * 0.95 / tested)
    assert found.best[family] == max(found.best.values())
    assert sum(found.best.values()) == pytest.approx(1.0)
    assert set(found.best) == set(found.accepted) == set(FAMILIES)
    assert found.example is not None
    curve = found.example.fits[0].curve
    assert np.abs(curve.y - found.example_gaps.y).max() < 2.0 / np.sqrt(found.example.n)


@pytest.mark.parametrize("tick_s", [0.05, 1.0, 3.0])
def test_a_coarse_clock_is_found_and_what_it_makes_is_not_called_a_burst(tick_s: float) -> None:
    arrival_s = np.floor(poisson(5000.0, 20.0, 1) / tick_s) * tick_s
    found = figures(arrival_s)
    assert found.tick_s == pytest.approx(tick_s)
    assert not found.cv.known
    assert not found.cv_shift.known
    assert (found.dispersion.x >= tick_s).all()
    assert (found.dispersion.low <= 1.1).all()


def test_a_clock_that_ticks_unevenly_is_found() -> None:
    rng = np.random.default_rng(1)
    tick = np.repeat(np.arange(1200), rng.poisson(10, 1200))
    jitter = rng.choice([-1e-3, 0.0, 1e-3], 1200)
    assert figures(3.0 * tick + 0.01 + jitter[tick]).tick_s == pytest.approx(3.0)


def test_requests_that_come_in_batches_are_no_coarse_clock() -> None:
    found = figures(np.repeat(poisson(5000.0, 5.0, 1), 4))
    assert found.tick_s == 0.0
    assert found.cv.above(2.0)
    on_milliseconds = np.repeat(np.round(poisson(5000.0, 5.0, 1), 3), 4)
    assert figures(on_milliseconds).tick_s == 0.0


def test_what_the_day_does_not_hold_is_not_told() -> None:
    found = figures(daily(0.5, 0.2, 0.5, 1), Setting(midnight_s=0.0))
    assert not found.day.x.size
    assert np.isnan(found.day_ratio.value)
    assert np.isnan(found.day_strength.value)
