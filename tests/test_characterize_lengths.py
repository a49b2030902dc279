"""What is said of lengths: against closed forms, however the trace is cut, and on the edges."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from characterizing import assert_same, in_parts
from groundswell.characterize._course import Grid
from groundswell.characterize.figures import LengthFigures
from groundswell.characterize.lengths import Fold, modes_of_logs, zipf_exponent
from groundswell.characterize.setting import Setting
from groundswell.stats.fits import Floats
from groundswell.stats.sample import Sample
from groundswell.table import Workload

HOUR_S = 3600.0


def trace(at_s: Any, inputs: Any, outputs: Any, failed: Any = None) -> Workload:
    n = len(at_s)
    whole = Workload.from_columns(
        np.asarray(at_s, np.float64),
        np.zeros(n, np.uint32),
        ["a"],
        np.asarray(inputs, np.float64).astype(np.int32),
        np.asarray(outputs, np.float64).astype(np.int32),
    )
    return whole if failed is None else Workload(whole.frame.with_columns(failed=pl.Series(failed, dtype=pl.Boolean)))


def figures_of(workload: Workload, setting: Setting | None = None, sample: pl.DataFrame | None = None) -> LengthFigures:
    setting = setting or Setting()
    figures = Fold.of(workload, setting).finish(setting, Sample.of(workload).frame if sample is None else sample)
    assert figures is not None
    return figures


def times(random: np.random.Generator, n: int, span_s: float) -> Floats:
    return np.sort(random.uniform(0, span_s, n))


def coverage(held: list[bool]) -> bool:
    """Whether so many were held as intervals of 95 % hold, five standard errors allowed."""
    n = len(held)
    return bool(sum(held) >= 0.95 * n - 5 * np.sqrt(n * 0.95 * 0.05))


@settings(max_examples=25)
@given(
    st.integers(0, 2**32),
    st.lists(st.integers(0, 40), max_size=8),
    st.sampled_from([1.0, 1e3, 1e6, 1e8]),
    st.sampled_from([None, 30_000.0]),
    st.booleans(),
)
def test_figures_do_not_depend_on_the_cut(
    seed: int, cuts: list[int], span_s: float, midnight_s: float | None, failures: bool
) -> None:
    random, n = np.random.default_rng(seed), 40
    failed = random.random(n) < 0.5 if failures else None
    whole = trace(times(random, n, span_s), random.lognormal(5, 1, n), random.exponential(200, n), failed)
    setting = Setting(midnight_s=midnight_s)
    sample = Sample.of(whole).frame
    parts = functools.reduce(operator.add, (Fold.of(part, setting) for part in in_parts(whole, cuts)), Fold())
    assert_same(parts.finish(setting, sample), figures_of(whole, setting, sample))


def test_rows_one_by_one_are_the_whole() -> None:
    random, n = np.random.default_rng(1), 300
    whole = trace(times(random, n, 1e5), random.lognormal(5, 1, n), random.exponential(200, n), random.random(n) < 0.1)
    setting, sample = Setting(), Sample.of(whole).frame
    parts = functools.reduce(operator.add, (Fold.of(part, setting) for part in in_parts(whole, list(range(n)))), Fold())
    assert_same(parts.finish(setting, sample), figures_of(whole, setting, sample))


def test_means_and_counts_are_exact_and_quantiles_nearly() -> None:
    random, n = np.random.default_rng(2), 5000
    inputs, outputs = np.floor(random.lognormal(6, 1, n)), np.floor(random.exponential(300, n))
    found = figures_of(trace(times(random, n, 1e5), inputs, outputs)).fields
    for name, values in (("input", inputs), ("output", outputs)):
        assert found[name].n == n
        assert found[name].mean.value == pytest.approx(values.mean())
        assert found[name].cv.value == pytest.approx(values.std() / values.mean())
        assert found[name].most == values.max()
        for q, estimate in ((0.5, found[name].p50), (0.9, found[name].p90), (0.99, found[name].p99)):
            assert estimate.value == pytest.approx(np.quantile(values, q, method="inverted_cdf"), rel=1 / 64)
        assert sum(period.n for period in found[name].periods) == n
        shown = found[name].series
        assert (shown.value * shown.n).sum() == pytest.approx(values.sum())


def test_intervals_cover_the_truth() -> None:
    mu, sigma = 6.0, 1.0
    truth = {
        "mean": np.exp(mu + sigma**2 / 2),
        "cv": np.sqrt(np.expm1(sigma**2)),
        "p50": np.exp(mu),
        "p90": np.exp(mu + sigma * norm.ppf(0.9)),
        "p99": np.exp(mu + sigma * norm.ppf(0.99)),
    }
    held: dict[str, list[bool]] = {name: [] for name in truth}
    for seed in range(200):
        random = np.random.default_rng([seed, 7])
        n = 5_000
        whole = trace(times(random, n, 1e4), np.rint(random.lognormal(mu, sigma, n)), np.ones(n))
        found = figures_of(whole, sample=Sample.of(whole).frame.head(30)).fields["input"]
        for name, value in truth.items():
            estimate = getattr(found, name)
            # A quantile is read off a whole number, up to half a token below.
            held[name].append(estimate.low - 0.5 <= value <= estimate.high + 0.5)
    assert {name: coverage(h) for name, h in held.items()} == dict.fromkeys(truth, True)


def test_lengths_that_depend_on_those_before_have_wider_intervals() -> None:
    random, n = np.random.default_rng(3), 20_000
    level = np.repeat(random.lognormal(5, 0.5, 100), n // 100)
    at = times(random, n, 1e5)
    slow = figures_of(trace(at, level, np.ones(n))).fields["input"]
    quick = figures_of(trace(at, random.permutation(level), np.ones(n))).fields["input"]
    assert slow.mean.high - slow.mean.low > 3 * (quick.mean.high - quick.mean.low)
    assert slow.p90.high - slow.p90.low > 3 * (quick.p90.high - quick.p90.low)


def test_failed_requests_have_inputs_but_no_outputs() -> None:
    random, n = np.random.default_rng(4), 2000
    failed = random.random(n) < 0.3
    outputs = np.where(failed, 0, 50 + random.integers(0, 50, n))
    found = figures_of(trace(times(random, n, 1e4), random.integers(1, 99, n), outputs, failed))
    assert (found.fields["input"].n, found.fields["output"].n) == (n, n - failed.sum())
    assert found.fields["output"].mean.value == pytest.approx(outputs[~failed].mean())
    assert found.spearman.n == n - failed.sum()


def test_where_all_failed_there_are_inputs_alone() -> None:
    found = figures_of(trace(np.arange(50.0), np.arange(1, 51), np.zeros(50), np.ones(50, bool)))
    assert (found.fields["input"].n, found.fields["output"].n) == (50, 0)
    assert not found.spearman.known
    assert np.isnan(found.output_dip_p)


def test_a_law_that_does_not_move_is_not_said_to_shift() -> None:
    held = []
    for seed in range(60):
        random = np.random.default_rng([seed, 1])
        n = 8000
        whole = trace(times(random, n, 48 * HOUR_S), random.lognormal(6, 1, n), np.ones(n))
        shift = figures_of(whole, sample=Sample.of(whole).frame.head(30)).fields["input"].shift
        held.append(shift.low <= 1.0 <= shift.high)
        assert shift.n == 8
        assert shift.value > 1.0
    assert coverage(held)


def test_a_shift_is_found_with_its_size() -> None:
    held = []
    for seed in range(60):
        random = np.random.default_rng([seed, 2])
        n = 8000
        at = times(random, n, 48 * HOUR_S)
        level = np.where(at % (24 * HOUR_S) < 6 * HOUR_S, 2.0, 1.0)
        whole = trace(at, level * random.lognormal(6, 1, n), np.ones(n))
        shift = figures_of(whole, sample=Sample.of(whole).frame.head(30)).fields["input"].shift
        held.append(shift.low <= 2.0 <= shift.high)
        assert shift.above(1.0)
    assert coverage(held)


def test_periods_begin_at_midnight_where_it_is_known() -> None:
    random, n = np.random.default_rng(5), 3000
    at = times(random, n, 60 * HOUR_S)
    found = figures_of(trace(at, np.full(n, 5), np.ones(n)), Setting(midnight_s=20 * HOUR_S)).fields["input"]
    assert [p.start_s / HOUR_S for p in found.periods] == pytest.approx(np.arange(-2, 60, 6))
    assert [p.n for p in found.periods] == np.histogram(at / HOUR_S, np.arange(-2, 65, 6))[0].tolist()


@pytest.mark.parametrize(
    ("span_s", "periods"), [(HOUR_S, 6), (10 * HOUR_S, 4), (30 * HOUR_S, 5), (400 * 24 * HOUR_S, 50)]
)
def test_there_are_some_periods_and_not_too_many(span_s: float, periods: int) -> None:
    random, n = np.random.default_rng(6), 5000
    found = figures_of(trace(times(random, n, span_s), np.full(n, 5), np.ones(n))).fields["input"]
    assert len(found.periods) == periods
    assert len(found.series.value) <= 500


def test_what_shifts_together_is_told_from_what_does_not() -> None:
    random, n, spans = np.random.default_rng(8), 40_000, 40
    at = times(random, n, spans * 6 * HOUR_S)
    period = (at // (6 * HOUR_S)).astype(int)
    a, b = random.lognormal(0, 0.3, (2, spans))

    def together(of_output: Floats) -> Any:
        lengths = (k[period] * random.lognormal(6, 0.5, n) for k in (a, of_output))
        whole = trace(at, *lengths)
        return figures_of(whole, sample=Sample.of(whole).frame.head(30)).together

    assert together(a).above(0.8)
    assert together(b).low < 0 < together(b).high


def test_the_interval_of_independent_shifts_covers_nothing_shared() -> None:
    held = []
    for seed in range(60):
        random = np.random.default_rng([seed, 9])
        n, spans = 4000, 20
        at = times(random, n, spans * 6 * HOUR_S)
        period = (at // (6 * HOUR_S)).astype(int)
        a, b = random.lognormal(0, 0.5, (2, spans))
        whole = trace(at, a[period] * random.lognormal(6, 0.5, n), b[period] * random.lognormal(6, 0.5, n))
        found = figures_of(whole, sample=Sample.of(whole).frame.head(30)).together
        held.append(found.low <= 0 <= found.high)
    assert coverage(held)


def test_output_follows_input_in_the_band() -> None:
    random, n = np.random.default_rng(10), 50_000
    inputs = np.ceil(random.lognormal(6, 1, n))
    found = figures_of(trace(times(random, n, 1e4), inputs, np.rint(2 * inputs * random.lognormal(0, 0.5, n))))
    band = found.by_input
    mid = band.n > 500
    np.testing.assert_allclose(band.middle[mid] / (2 * band.x[mid]), 1, atol=0.12)
    np.testing.assert_allclose(band.low[mid] / band.middle[mid], np.exp(0.5 * norm.ppf(0.05)), rtol=0.15)
    np.testing.assert_allclose(band.high[mid] / band.middle[mid], np.exp(0.5 * norm.ppf(0.95)), rtol=0.15)
    assert found.spearman.above(0.8)


def test_the_zipf_exponent_covers_its_truth() -> None:
    held, k = [], np.arange(1.0, 2001.0)
    mass = k**-1.1 / (k**-1.1).sum()
    for seed in range(100):
        random = np.random.default_rng([seed, 11])
        inputs = random.choice(k, 3000, p=mass)
        sample = Sample.of(trace(times(random, 3000, 1e4), inputs, np.ones(3000))).frame
        found = zipf_exponent(sample)
        held.append(found.low <= 1.1 <= found.high)
    assert coverage(held)


def test_one_mode_is_not_taken_for_two_and_two_are_seen() -> None:
    p = []
    for seed in range(40):
        random, n = np.random.default_rng([seed, 12]), 3000
        p.append(modes_of_logs(np.rint(random.lognormal(3, 1, n)))[1])
    assert sum(value < 0.05 for value in p) <= 40 * 0.05 + 5 * np.sqrt(40 * 0.05 * 0.95)
    random = np.random.default_rng(13)
    two = np.where(random.random(5000) < 0.4, random.lognormal(3, 0.5, 5000), random.lognormal(6.5, 0.5, 5000))
    found = figures_of(trace(times(random, 5000, 1e4), np.ones(5000), two))
    assert found.output_dip_p < 0.001
    assert found.output_modes.above(0.0)


@pytest.mark.parametrize("law", ["lognormal", "exponential", "gamma"])
def test_the_law_is_named(law: str) -> None:
    random, n = np.random.default_rng(14), 20_000
    values = {
        "lognormal": random.lognormal(6, 1, n),
        "exponential": random.exponential(300, n),
        "gamma": random.gamma(3.0, 100, n),
    }[law]
    fits = figures_of(trace(times(random, n, 1e4), np.rint(values), np.ones(n))).fields["input"].fits
    assert next(f for f in fits if f.family == law).aic < 8
    assert [f.curve.x.size for f in fits] == [fits[0].curve.x.size] * 6


@pytest.mark.parametrize(
    "whole",
    [
        trace([0.0], [5], [0]),
        trace(np.zeros(100), np.full(100, 7), np.full(100, 3)),
        trace(np.arange(100.0), np.zeros(100), np.zeros(100)),
        trace([0.0, 1e9], [1, 2**24], [2**31 - 1, 0]),
        trace(np.full(50, 3e7), np.arange(50), np.arange(50)),
    ],
    ids=["one row", "all alike", "all 0", "far apart", "at one time"],
)
def test_edges_have_figures(whole: Workload) -> None:
    found = figures_of(whole, Setting(midnight_s=80_000.0))
    for field in found.fields.values():
        assert field.n == len(whole)
        assert field.mean.value == pytest.approx(whole.frame[f"{field.name}_tokens"].mean())
        assert field.p50.value <= field.most
        assert field.tail.y.size == field.tail.x.size <= 200


def test_nothing_has_no_figures() -> None:
    empty = trace([], [], [])
    assert Fold.of(empty, Setting()).finish(Setting(), Sample.of(empty).frame) is None
    assert Fold().finish(Setting(), pl.DataFrame()) is None


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=50), st.integers(1, 64))
def test_a_grid_thinned_is_the_grid_of_fewer(at: list[float], most: int) -> None:
    at_s = np.sort(np.array(at))
    fine = Grid.over(at_s, 0.125, 64)
    thin, plain = fine.thinned(most), Grid.over(at_s, 0.125, most)
    assert (thin.width_s, thin.first, thin.begins.tolist()) == (plain.width_s, plain.first, plain.begins.tolist())
