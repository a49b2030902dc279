"""What is said of clients: against closed forms, however the trace is cut, and on the edges."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from characterizing import assert_same, in_parts
from groundswell.characterize import _client_windows
from groundswell.characterize._client_cv import cv_of_gaps
from groundswell.characterize.clients import Fold
from groundswell.characterize.figures import ClientFigures
from groundswell.characterize.setting import Setting
from groundswell.clients.servegen import read_servegen
from groundswell.compose import compose
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Floats
from groundswell.table import Workload

SETTING = Setting()
SAMPLE = pl.DataFrame()


def trace(at_s: Floats, client: Any, inputs: Any = 100.0) -> Workload:
    """Requests of clients c0, c1, …, in any order."""
    order = np.argsort(at_s, kind="stable")
    code = np.asarray(client)[order].astype(np.uint32)
    tokens = np.broadcast_to(inputs, at_s.shape)[order].round().astype(np.int32)
    return Workload.from_columns(at_s[order], code, [f"c{i}" for i in range(code.max() + 1)], tokens, tokens // 2)


def figures_of(workload: Workload, setting: Setting = SETTING) -> ClientFigures:
    figures = Fold.of(workload, setting).finish(setting, SAMPLE)
    assert figures is not None
    return figures


def zipf(random: np.random.Generator, clients: int = 60, n: int = 20_000, span_s: float = 40_000.0) -> Workload:
    """Poisson clients whose rates follow Zipf's law; clients of higher numbers are rarer."""
    share = zipf_shares(clients)
    return trace(random.uniform(0, span_s, n), random.choice(clients, n, p=share), random.exponential(500.0, n))


def zipf_shares(clients: int = 60) -> Floats:
    share = 1.0 / np.arange(1, clients + 1)
    return np.asarray(share / share.sum())


def averaged(make: Callable[[np.random.Generator], Workload], what: Callable[[ClientFigures], float], n: int) -> Any:
    """(mean, its standard error) of a figure over ``n`` traces."""
    values = [what(figures_of(make(np.random.default_rng([seed, 3])))) for seed in range(n)]
    return np.mean(values), np.std(values) / np.sqrt(n - 1)


def covered(
    make: Callable[[np.random.Generator], Workload], truths: dict[str, tuple[float, Callable[[Any], Estimate]]]
) -> dict[str, int]:
    """Of 60 traces, in how many each interval holds the truth."""
    hits = dict.fromkeys(truths, 0)
    for seed in range(60):
        figures = figures_of(make(np.random.default_rng([seed, 5])))
        for name, (truth, of) in truths.items():
            estimate = of(figures)
            assert estimate.known
            hits[name] += estimate.low <= truth <= estimate.high
    return hits


ENOUGH = 60 * 0.95 - 5 * np.sqrt(60 * 0.95 * 0.05)


def test_shares_and_gini_of_zipf_clients_are_within_their_intervals() -> None:
    p = zipf_shares()
    gini = float(((2 * np.arange(60, 0, -1) - 61) * p).sum() / 60)
    hits = covered(
        zipf,
        {
            "top": (p[0], lambda f: f.top_share[1]),
            "top ten": (p[:10].sum(), lambda f: f.top_share[10]),
            "gini": (gini, lambda f: f.gini),
            "explained": (p[0], lambda f: f.explained[1]),  # a Poisson client's variance is its rate
        },
    )
    assert min(hits.values()) >= ENOUGH, hits


def test_skew_is_what_sorting_the_clients_gives() -> None:
    workload = zipf(np.random.default_rng(1), clients=400)
    figures = figures_of(workload)
    sent = np.sort(np.bincount(workload.client_code))[::-1]
    assert figures.count == np.count_nonzero(sent)
    made = np.cumsum(sent) / sent.sum()
    for percent, needed in figures.needed.items():
        assert made[needed - 1] >= percent / 100 > made[needed - 2]
    for k, share in figures.top_share.items():
        assert share.value == pytest.approx(made[k - 1])
    np.testing.assert_allclose(figures.skew.y, made[figures.skew.x.astype(int) - 1])
    apart = np.abs(sent[:, None] - sent[None, :]).mean() / 2 / sent.mean()
    assert figures.gini.value == pytest.approx(apart)


def test_the_cdfs_are_over_clients_weighted_by_requests() -> None:
    workload = zipf(np.random.default_rng(2))
    figures = figures_of(workload)
    sent = np.bincount(workload.client_code)
    mean = np.bincount(workload.client_code, workload.input_tokens) / sent
    order = np.argsort(mean)
    np.testing.assert_allclose(figures.input_cdf.x, mean[order])
    np.testing.assert_allclose(figures.input_cdf.y, np.cumsum(sent[order]) / sent.sum())
    assert figures.rate_cdf.x[-1] == pytest.approx(sent.max() / np.ptp(workload.arrival_s))


def modulated(random: np.random.Generator) -> Workload:
    """Eleven clients over two days; the rate of the first is drawn anew every window, with CV 1/3."""
    windows, width_s = 144, 1200.0
    at_s, who = [], []
    for client, mean in enumerate([100.0] + [100.0 / k for k in range(2, 12)]):
        level = random.gamma(9.0, 1 / 9.0, windows) if client == 0 else np.ones(windows)
        count = random.poisson(mean * level)
        at_s.append(np.repeat(np.arange(windows), count) * width_s + random.uniform(0, width_s, count.sum()))
        who.append(np.full(count.sum(), client))
    return trace(np.concatenate(at_s), np.concatenate(who))


def test_independent_clients_explain_their_part_of_the_variance() -> None:
    variance = np.array([100.0 + 100.0**2 / 9] + [100.0 / k for k in range(2, 12)])
    truth = {k: variance[:k].sum() / variance.sum() for k in (1, 5, 10)}
    for k in truth:
        mean, error = averaged(modulated, lambda f, k=k: f.explained[k].value, 20)  # type: ignore[misc]
        assert abs(mean - truth[k]) < 5 * error + 0.01  # 144 windows: the ratio of two variances is off by some 1/144
    hits = covered(modulated, {"top": (truth[1], lambda f: f.explained[1])})
    assert hits["top"] >= ENOUGH


def test_of_a_rate_held_constant_nothing_is_explained() -> None:
    at_s = np.arange(0, 86_400, 2.0)
    who = (np.random.default_rng(1).uniform(size=at_s.size) < 0.3).astype(int)
    assert np.isnan(figures_of(trace(at_s, who)).explained[1].value)


@pytest.mark.parametrize("gaps", [2, 3, 7, 12, 40, 300])
def test_a_poisson_clients_cv_is_1_from_two_gaps_on(gaps: int) -> None:
    random = np.random.default_rng(gaps)
    at_s = np.sort(random.uniform(0, 60, (20_000, gaps + 1)), axis=1)  # given how many came, they are uniform
    gap_s = np.diff(at_s, axis=1)
    cv = cv_of_gaps(np.full(20_000, float(gaps)), gap_s.sum(axis=1), (gap_s**2).sum(axis=1))
    assert abs(cv.mean() - 1.0) < 5 * cv.std() / np.sqrt(20_000) + 0.001


@pytest.mark.parametrize("truth", [0.5, 2.0])
def test_the_cv_of_a_gamma_client_falls_short_as_theory_has_it(truth: float) -> None:
    shape = truth**-2
    for gaps in (50, 400):
        gap_s = np.random.default_rng(gaps).gamma(shape, size=(10_000, gaps))
        cv = cv_of_gaps(np.full(10_000, float(gaps)), gap_s.sum(axis=1), (gap_s**2).sum(axis=1))
        # Half of (c² - 1)/m is the bias of the squared CV against a Poisson client's, a quarter that of the root:
        # the relative variance of the squared CV is (2 + 2c²)/m.
        short = 0.75 * (truth**2 - 1.0) / gaps
        assert abs(cv.mean() / truth - 1.0 + short) < 5 * cv.std() / truth / 100 + 0.25 * abs(short) + 0.002


def test_a_metronome_has_cv_0_and_too_few_gaps_have_none() -> None:
    steady = np.arange(0.5, 7200, 1.0)
    few = np.linspace(3, 7000, 40)
    figures = figures_of(trace(np.concatenate([steady, few]), [0] * steady.size + [1] * few.size))
    assert figures.top[0].cv == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(figures.top[1].cv)
    assert figures.cv_known == pytest.approx(steady.size / (steady.size + 40))


def half_bursty(random: np.random.Generator) -> Workload:
    """Twelve clients over twelve hours; every other one has Gamma gaps with CV 2.5."""
    at_s, who = [], []
    for client in range(12):
        mean_s, shape = 20.0 * (client + 1), 2.5**-2 if client % 2 else 1.0
        at = np.cumsum(random.gamma(shape, mean_s / shape, round(43_200 / mean_s * 1.5 + 50)))
        at_s.append(at[at < 43_200])
        who.append(np.full(at_s[-1].size, client))
    return trace(np.concatenate(at_s), np.concatenate(who))


def test_the_share_of_bursty_clients_is_within_its_interval() -> None:
    rate = 1.0 / np.arange(1, 13)
    hits = covered(half_bursty, {"bursty": (rate[1::2].sum() / rate.sum(), lambda f: f.bursty_share)})
    assert hits["bursty"] >= ENOUGH


def moving(random: np.random.Generator, own: float = 0.3, whole: float = 0.0) -> Workload:
    """Nine equal clients over 14 days, whose mean inputs move from 6 hours to 6 hours with CV ``own``, each by itself,
    and with CV ``whole``, all together."""
    periods, clients, n = 56, 9, 200
    level = np.ones((clients, periods))
    for cv, size in ((own, (clients, periods)), (whole, (1, periods))):
        level = level * np.exp(random.normal(0.0, np.sqrt(np.log1p(cv * cv)), size))
    period = np.repeat(np.arange(periods), clients * n)
    who = np.tile(np.repeat(np.arange(clients), n), periods)
    at_s = (period + random.uniform(size=period.size)) * 21_600.0
    return trace(at_s, who, random.exponential(1000.0, period.size) * level[who, period])


def test_clients_that_move_by_themselves_move_the_whole_by_less_and_the_mix_explains_nothing() -> None:
    hits = covered(moving, {"own": (0.3, lambda f: f.own_drift), "whole": (0.3 / np.sqrt(9), lambda f: f.whole_drift)})
    assert min(hits.values()) >= ENOUGH, hits
    figures = figures_of(moving(np.random.default_rng(1)))
    assert figures.period_s == 21_600.0
    assert figures.mix_explains.high < 0.05


def test_what_does_not_move_has_no_drift_but_by_chance() -> None:
    still = [figures_of(moving(np.random.default_rng(seed), own=0.0)) for seed in range(24)]
    # The drift is a root of no less than 0; its square, with its sign, is 0 on average. So some half of them are 0.
    assert abs(sum(f.whole_drift.value == 0.0 for f in still) - 12) <= 5 * np.sqrt(24 / 4)
    assert sum(f.own_drift.value == 0.0 for f in still) >= 12 - 5 * np.sqrt(24 / 4)
    assert sum(f.whole_drift.low == 0.0 for f in still) >= 24 * 0.95 - 5 * np.sqrt(24 * 0.95 * 0.05)
    for figures in still:
        assert figures.own_drift.value < 0.03  # chance alone moves the mean of 200 such lengths by 0.07
        assert np.isnan(figures.mix_explains.value) or figures.whole_drift.low > 0


def test_clients_that_move_together_are_not_explained_by_their_mix() -> None:
    figures = figures_of(moving(np.random.default_rng(2), own=0.0, whole=0.3))
    assert figures.own_drift.value == pytest.approx(figures.whole_drift.value, rel=0.1)
    assert figures.mix_explains.high < 0.01


def mixing(random: np.random.Generator, n: float = 400.0) -> Workload:
    """Two clients over 14 days, whose mean inputs stay at 200 and 1,000, and whose rates move from 6 hours to 6."""
    count = random.poisson(n * random.gamma(4.0, 0.25, (2, 56)))
    period = np.concatenate([np.repeat(np.arange(56), c) for c in count])
    who = np.repeat([0, 1], count.sum(axis=1))
    at_s = (period + random.uniform(size=period.size)) * 21_600.0
    return trace(at_s, who, random.exponential(np.where(who, 1000.0, 200.0)))


def test_where_only_the_mix_moves_it_explains_everything() -> None:
    hits = covered(mixing, {"mix": (1.0, lambda f: f.mix_explains)})
    assert hits["mix"] >= ENOUGH
    assert figures_of(mixing(np.random.default_rng(1))).own_drift.value < 0.03


def test_what_chance_adds_to_the_whole_is_not_held_against_the_mix() -> None:
    few = functools.partial(mixing, n=30.0)  # chance adds half as much variance as the mix makes
    mean, error = averaged(few, lambda f: f.mix_explains.value, 40)
    assert abs(mean - 1.0) < 5 * error


def test_clients_that_come_and_go_are_a_mix() -> None:
    random = np.random.default_rng(3)
    period = np.repeat(np.arange(56), 40)  # each its own client
    at_s = (period + random.uniform(size=period.size)) * 21_600.0
    level = np.exp(random.normal(0.0, 0.3, 56))
    figures = figures_of(trace(at_s, period, 1000.0 * level[period] * random.exponential(size=period.size)))
    assert figures.mix_explains.value == pytest.approx(1.0)


def test_clients_of_one_request_each_do_not_explain_what_moves() -> None:
    random = np.random.default_rng(4)
    moved = moving(random, own=0.0, whole=0.3)
    alone = trace(moved.arrival_s, np.arange(len(moved)) // 2, moved.input_tokens.astype(float))
    assert figures_of(alone).mix_explains.value < 0.05


# --- however it is cut ------------------------------------------------------------------------------------------------


def added(parts: Sequence[Workload]) -> ClientFigures | None:
    folds = [Fold.of(part, SETTING) for part in parts]
    return functools.reduce(operator.add, folds, Fold()).finish(SETTING, SAMPLE)


@settings(max_examples=30)
@given(
    st.integers(1, 300),
    st.lists(st.integers(0, 300), max_size=6),
    st.sampled_from([10.0, 5_000.0, 60_000.0, 2e6]),
)
def test_parts_say_what_the_whole_says(n: int, cuts: list[int], span_s: float) -> None:
    whole = zipf(np.random.default_rng(n), clients=8, n=n, span_s=span_s)
    assert_same(added(in_parts(whole, cuts)), figures_of(whole))


@pytest.mark.parametrize("span_s", [900.0, 100_000.0])
def test_one_row_a_block_says_what_the_whole_says(span_s: float) -> None:
    whole = zipf(np.random.default_rng(1), clients=8, n=300, span_s=span_s)
    assert_same(added(in_parts(whole, range(300))), figures_of(whole))


# --- edges ------------------------------------------------------------------------------------------------------------


def test_no_requests_say_nothing() -> None:
    empty = Workload(zipf(np.random.default_rng(1), n=5).frame[:0])
    assert Fold.of(empty, SETTING).finish(SETTING, SAMPLE) is None
    assert (Fold() + Fold()).finish(SETTING, SAMPLE) is None


def test_one_client_has_figures_and_no_mix() -> None:
    random = np.random.default_rng(1)
    figures = figures_of(trace(np.cumsum(random.exponential(1.0, 20_000)), np.zeros(20_000, int)))
    assert figures.count == 1
    assert figures.needed == {50: 1, 90: 1, 99: 1}
    assert figures.top_share[1].value == 1.0
    assert figures.top_share.keys() == {1}
    assert figures.gini.value == 0.0
    assert figures.top[0].cv == pytest.approx(1.0, abs=5 / np.sqrt(20_000))
    assert np.isnan(figures.explained[1].value)
    assert np.isnan(figures.mix_explains.value)


def test_one_request_and_requests_at_one_instant_have_neither_rate_nor_cv() -> None:
    for n in (1, 500):
        figures = figures_of(trace(np.full(n, 7.0), np.arange(n) % 3))
        assert figures.count == min(n, 3)
        assert np.isnan(figures.top[0].rate_per_s)
        assert np.isnan(figures.top[0].cv)
        assert figures.cv_known == 0.0
        assert figures.rate_cdf.x.size == 0


def test_an_hour_has_windows_short_enough_for_intervals() -> None:
    figures = figures_of(zipf(np.random.default_rng(1), span_s=3600.0))
    assert figures.window_s == 150.0
    assert figures.gini.known
    assert figures.explained[1].known


def test_a_long_trace_of_many_clients_has_bounded_figures() -> None:
    figures = figures_of(zipf(np.random.default_rng(1), clients=900, n=60_000, span_s=1500 * 1200.0))
    for curve in (figures.skew, figures.rate_cdf, figures.cv_cdf, figures.input_cdf, figures.window_cv_cdf):
        assert 0 < curve.x.size <= 200
        assert (np.diff(curve.y) >= 0).all()
        assert curve.y[-1] == pytest.approx(1.0)
    for client in figures.top:
        assert client.rate.value.size <= 500
        assert (client.rate.value * client.rate.width_s).sum() == pytest.approx(client.requests, rel=0.01)
        assert (client.input.value * client.input.n).sum() / client.requests == pytest.approx(client.mean_input)


def test_a_silent_client_has_rate_0_and_no_lengths() -> None:
    always, twice = np.arange(0.0, 20 * 1200.0 * 2, 10.0), np.array([30.0, 47_000.0])
    figures = figures_of(trace(np.concatenate([always, twice]), [0] * always.size + [1, 1]))
    rare = figures.top[1]
    assert (rare.rate.value == 0).sum() == rare.rate.value.size - 2
    assert rare.input.value.size == 2


def test_more_pairs_than_memory_is_for_make_windows_wider_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = zipf(np.random.default_rng(1), span_s=200_000.0)
    before = figures_of(whole)
    monkeypatch.setattr(_client_windows, "MOST_PAIRS", 1000)
    after = added(in_parts(whole, range(0, 20_000, 700)))
    assert after is not None
    assert before.window_s == 1200.0
    assert after.window_s > 1200.0
    assert after.gini.value == pytest.approx(before.gini.value)
    assert_same(after.top[0].requests, before.top[0].requests)


def test_a_composed_pool_has_the_skew_of_its_record(public_data: Path) -> None:
    pool = read_servegen(public_data / "servegen" / "data" / "reason" / "deepseek-r1")
    folds = (Fold.of(block, SETTING) for block in compose(pool, seed=1))
    figures = functools.reduce(operator.add, folds).finish(SETTING, SAMPLE)
    share = np.sort(np.nan_to_num(pool.rate_per_s).sum(axis=1))[::-1]
    share = share / share.sum()
    assert figures is not None
    assert figures.count == len(pool.names)
    for k, estimate in figures.top_share.items():
        assert estimate.value == pytest.approx(share[:k].sum(), abs=0.002)
    assert figures.needed == {50: 5, 90: 25, 99: 50}
