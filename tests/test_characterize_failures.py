"""What is said of failures: known rates, a known dependence on load, and any cut of the trace."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from characterizing import assert_same, in_parts
from groundswell.characterize import _failure_sums
from groundswell.characterize.failures import Fold, rate_of
from groundswell.characterize.figures import FailureFigures
from groundswell.characterize.setting import Setting
from groundswell.stats.fits import Floats
from groundswell.table import Workload

SETTING = Setting()
SAMPLE = pl.DataFrame()
MODELS = pl.Series(["small", "large", None])


def trace(at_s: Floats, failed: Sequence[bool | None] | np.ndarray, seed: int = 1, clients: int = 12) -> Workload:
    """Requests of clients and models drawn at random, of which some ``failed``; c0 is the busiest client."""
    random = np.random.default_rng(seed)
    share = 1.0 / np.arange(1, clients + 1)
    who = random.choice(clients, at_s.size, p=share / share.sum()).astype(np.uint32)
    ones = np.ones(at_s.size, np.int32)
    base = Workload.from_columns(at_s, who, [f"c{i}" for i in range(clients)], ones, ones)
    model = MODELS.gather(random.integers(3, size=at_s.size))
    return Workload(base.frame.with_columns(model=model, failed=pl.Series(failed, dtype=pl.Boolean)))


def bursts(random: np.random.Generator, calm: float = 0.02, busy: float = 0.06) -> Workload:
    """A day of minutes; each tenth has three times the requests of the others, and its own rate of failures."""
    minute = np.arange(1440)
    crowded = minute % 10 == 3
    count = random.poisson(np.where(crowded, 120, 40))
    at_s = np.sort(np.repeat(minute, count) * 60.0 + random.uniform(0, 60, count.sum()))
    odds = np.where(crowded, busy, calm)[(at_s // 60).astype(int)]
    return trace(at_s, random.uniform(size=at_s.size) < odds)


def figures_of(workload: Workload) -> FailureFigures:
    figures = Fold.of(workload, SETTING).finish(SETTING, SAMPLE)
    assert figures is not None
    return figures


def test_a_trace_that_does_not_say_what_failed_says_nothing() -> None:
    whole = bursts(np.random.default_rng(1))
    assert Fold.of(Workload(whole.frame.drop("failed")), SETTING).finish(SETTING, SAMPLE) is None
    assert Fold.of(Workload(whole.frame[:0]), SETTING).finish(SETTING, SAMPLE) is None
    assert (Fold() + Fold()).finish(SETTING, SAMPLE) is None


def test_rates_are_counts_over_counts_also_where_some_are_not_known() -> None:
    whole = bursts(np.random.default_rng(1))
    unknown = np.random.default_rng(2).uniform(size=len(whole)) < 0.3
    whole = Workload(
        whole.frame.with_columns(failed=pl.when(pl.Series(unknown)).then(None).otherwise(pl.col("failed")))
    )
    figures = figures_of(whole)
    frame = whole.frame.with_columns(pl.col("failed").fill_null(value=False))
    assert figures.failed == frame["failed"].sum()
    assert figures.rate.value == pytest.approx(frame["failed"].mean())
    by_client = frame.group_by(pl.col("client").cast(pl.String)).agg(pl.len(), pl.col("failed").mean())
    busiest = by_client.sort("len", descending=True).head(10)
    assert list(figures.by_client) == busiest["client"].to_list()
    for name, n, mean in busiest.iter_rows():
        assert figures.by_client[name].value == pytest.approx(mean)
        assert figures.by_client[name].n == n
    by_model = dict(frame.drop_nulls("model").group_by("model").agg(pl.col("failed").mean()).iter_rows())
    assert {name: rate.value for name, rate in figures.by_model.items()} == pytest.approx(by_model)


def test_failures_that_come_with_bursts_are_within_their_intervals() -> None:
    rate = (0.1 * 120 * 0.06 + 0.9 * 40 * 0.02) / (0.1 * 120 + 0.9 * 40)
    hits = np.zeros(2)
    for seed in range(60):
        figures = figures_of(bursts(np.random.default_rng(seed)))
        hits += [
            figures.rate.low <= rate <= figures.rate.high,
            figures.load_ratio.low <= 3.0 <= figures.load_ratio.high,
        ]
        assert figures.load_ratio.above(1.0)
    assert hits.min() >= 60 * 0.95 - 5 * np.sqrt(60 * 0.95 * 0.05)


def test_failures_that_do_not_know_of_load_have_ratio_1() -> None:
    ratios = [figures_of(bursts(np.random.default_rng(seed), busy=0.02)).load_ratio for seed in range(40)]
    assert sum(ratio.above(1.0) or ratio.below(1.0) for ratio in ratios) <= 40 * 0.05 + 5 * np.sqrt(40 * 0.05 * 0.95)
    values = [ratio.value for ratio in ratios]
    assert abs(np.mean(values) - 1.0) < 5 * np.std(values) / np.sqrt(39) + 0.001


def test_by_load_has_a_point_a_tenth_and_rises_where_failures_do() -> None:
    band = figures_of(bursts(np.random.default_rng(1))).by_load
    assert band.x.size == 10
    assert (np.diff(band.x) > 0).all()
    assert band.x[-1] == pytest.approx(120 / 60, rel=0.05)
    assert band.low[-1] > band.middle[:-1].max()
    assert band.n.sum() == len(bursts(np.random.default_rng(1)))
    assert ((band.low <= band.middle) & (band.middle <= band.high)).all()


def test_minutes_that_are_alike_have_no_busiest_tenth() -> None:
    at_s = np.arange(0.5, 36_000, 1.0)
    figures = figures_of(trace(at_s, np.random.default_rng(1).uniform(size=at_s.size) < 0.1))
    assert np.isnan(figures.load_ratio.value)
    assert figures.by_load.x.size == 1


def test_none_failing_of_a_few_is_not_never() -> None:
    at_s = np.linspace(0, 3600, 50)
    rate = figures_of(trace(at_s, np.zeros(50, bool))).rate
    exact = binomtest(0, 50).proportion_ci(0.95, "wilson")
    assert (rate.value, rate.low) == (0.0, 0.0)
    assert rate.high == pytest.approx(exact.high)


def test_the_interval_is_at_least_that_of_independent_requests() -> None:
    sums = np.column_stack([np.full(40, 50.0), np.full(40, 5.0)])  # as even as no chance is
    exact = binomtest(200, 2000).proportion_ci(0.95, "wilson")
    rate = rate_of(sums)
    assert rate.low == pytest.approx(exact.low)
    assert rate.high == pytest.approx(exact.high)


def test_failures_over_time_are_those_of_each_stretch() -> None:
    whole = bursts(np.random.default_rng(3))
    series = figures_of(whole).over_time
    assert series.value.size <= 500
    assert (series.value * series.n).sum() == pytest.approx(whole.frame["failed"].sum())
    place = (whole.arrival_s // series.width_s).astype(int)
    np.testing.assert_allclose(series.value, np.bincount(place, whole.frame["failed"]) / np.bincount(place))


@settings(max_examples=40)
@given(
    st.integers(1, 300),
    st.lists(st.integers(0, 300), max_size=6),
    st.sampled_from([5.0, 5_000.0, 2e6]),
)
def test_parts_say_what_the_whole_says(n: int, cuts: list[int], span_s: float) -> None:
    random = np.random.default_rng(n)
    whole = trace(np.sort(random.uniform(0, span_s, n)), random.uniform(size=n) < 0.3, seed=n)
    folds = [Fold.of(part, SETTING) for part in in_parts(whole, cuts)]
    assert_same(functools.reduce(operator.add, folds, Fold()).finish(SETTING, SAMPLE), figures_of(whole))


def test_one_row_a_block_says_what_the_whole_says() -> None:
    whole = Workload(bursts(np.random.default_rng(1)).frame[:300])
    folds = [Fold.of(part, SETTING) for part in in_parts(whole, range(300))]
    assert_same(functools.reduce(operator.add, folds).finish(SETTING, SAMPLE), figures_of(whole))


def test_of_a_very_long_trace_minutes_are_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_failure_sums, "MOST_MINUTES", 400)
    whole = bursts(np.random.default_rng(1))
    folds = [Fold.of(part, SETTING) for part in in_parts(whole, range(0, len(whole), 9000))]
    figures = functools.reduce(operator.add, folds).finish(SETTING, SAMPLE)
    assert figures is not None
    assert figures.load_s == 240.0
    assert_same(figures, figures_of(whole))
