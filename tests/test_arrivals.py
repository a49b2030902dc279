"""What every arrival process promises, over all of them; then each one's gaps against its closed form.

Statistics use five standard errors, or a Kolmogorov–Smirnov p of 1e-6, with fixed seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from groundswell.arrivals import ARRIVALS, Process, first_gaps, unit_gaps
from groundswell.errors import UsageError

Floats = NDArray[np.float64]

TEXTS = {
    "deterministic": ["deterministic"],
    "gamma": ["gamma:cv=0.5", "gamma:cv=1", "gamma:cv=3"],
    "onoff": ["onoff", "onoff:duty=0.5,burst=3", "onoff:duty=1,burst=5"],
    "poisson": ["poisson"],
    "weibull": ["weibull:cv=0.5", "weibull:cv=1", "weibull:cv=2.5"],
}
every_text = pytest.mark.parametrize("text", [text for name in ARRIVALS for text in TEXTS[name]])
random_text = pytest.mark.parametrize("text", [t for name in ARRIVALS for t in TEXTS[name] if name != "deterministic"])
N = 1_000_000


def in_streams(process: Process, keys: NDArray[np.uint64], n: int, begin: int = 0, gaps: float = np.inf) -> Floats:
    """Gaps number ``begin`` onward of each stream, shape [streams, n]; ``gaps`` as the process's shapes take it."""
    cells = np.ones(keys.size)
    kept = [cells * number for number in process.parameters()]
    a, b = process.shapes(cells * process.cv, kept[0], kept[1], cells * gaps)
    out = np.empty(keys.size * n)
    process.fill(out, np.arange(keys.size + 1) * n, keys, np.full(keys.size, begin), a, b)
    return out.reshape(keys.size, n)


def assert_mean(sample: Floats, expected: float) -> None:
    assert abs(sample.mean() - expected) <= 5 * sample.std() / np.sqrt(sample.size) + 1e-12


def h2(duty: float, burst: float) -> tuple[float, float, float]:
    """The hyperexponential gaps of an interrupted Poisson process: share and rate of one phase, rate of the other.

    Kuczura, "The interrupted Poisson process as an overflow process", Bell System Technical Journal 52 (1973).
    """
    on, leave, enter = 1 / duty, 1 / (burst * duty), 1 / (burst * (1 - duty))
    middle, half = (on + leave + enter) / 2, np.sqrt((on + leave + enter) ** 2 / 4 - on * enter)
    fast, slow = middle + half, middle - half
    return (on - slow) / (fast - slow), fast, slow


def closed_form(process: Any, text: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Distribution functions of a gap and of an equilibrium first gap, from elsewhere than the code under test."""
    name = text.partition(":")[0]
    if name == "gamma":
        shape = process.cv**-2
        law = stats.gamma(shape, scale=1 / shape)
        return law.cdf, lambda x: x * law.sf(x) + special.gammainc(shape + 1, x * shape)
    if name == "weibull":
        shape = special_shape(process.cv)
        scale = 1 / special.gamma(1 + 1 / shape)
        law = stats.weibull_min(shape, scale=scale)
        return law.cdf, lambda x: x * law.sf(x) + special.gammainc(1 + 1 / shape, (x / scale) ** shape)
    if name == "onoff" and process.duty < 1:
        p, fast, slow = h2(process.duty, process.burst)
        late = (p / fast, (1 - p) / slow)
        return (
            lambda x: 1 - p * np.exp(-fast * x) - (1 - p) * np.exp(-slow * x),
            lambda x: 1 - (late[0] * np.exp(-fast * x) + late[1] * np.exp(-slow * x)) / sum(late),
        )
    return stats.expon.cdf, stats.expon.cdf


def special_shape(cv: float) -> float:
    from scipy.optimize import brentq

    def excess(shape: float) -> float:
        return float(stats.weibull_min(shape).std() / stats.weibull_min(shape).mean() - cv)

    return float(brentq(excess, 0.2, 20))


def test_every_process_is_tested() -> None:
    assert set(TEXTS) == set(ARRIVALS.names())


@every_text
def test_gaps_have_mean_1(text: str) -> None:
    assert_mean(unit_gaps(ARRIVALS.build(text), N, seed=1), 1.0)


@every_text
def test_gaps_have_the_cv_that_the_process_states(text: str) -> None:
    process = ARRIVALS.build(text)
    assert_mean(unit_gaps(process, 4 * N, seed=2) ** 2, 1.0 + process.cv**2)


@every_text
def test_the_first_gap_is_that_of_a_random_instant(text: str) -> None:
    process = ARRIVALS.build(text)
    assert_mean(first_gaps(process, N, seed=3), (1.0 + process.cv**2) / 2)


@random_text
def test_gaps_follow_their_closed_form(text: str) -> None:
    process = ARRIVALS.build(text)
    gap, first = closed_form(process, text)
    assert stats.kstest(unit_gaps(process, N, seed=4), gap).pvalue > 1e-6
    assert stats.kstest(first_gaps(process, N, seed=5), first).pvalue > 1e-6


def test_a_clock_starts_at_a_random_phase() -> None:
    assert stats.kstest(first_gaps(ARRIVALS.build("deterministic"), N), stats.uniform.cdf).pvalue > 1e-6
    assert (unit_gaps(ARRIVALS.build("deterministic"), 10) == 1).all()


@random_text
def test_successive_gaps_are_unrelated(text: str) -> None:
    rank = stats.rankdata(unit_gaps(ARRIVALS.build(text), N, seed=6))
    for lag in (1, 2, 3):
        assert abs(np.corrcoef(rank[lag:], rank[:-lag])[0, 1]) < 5 / np.sqrt(N)


@random_text
def test_a_stream_is_unrelated_to_another_and_to_its_own_first_gap(text: str) -> None:
    process = ARRIVALS.build(text)
    keys = np.arange(N, dtype=np.uint64)
    first = first_gaps(process, N)  # of the same keys
    for other in (in_streams(process, keys, 1)[:, 0], in_streams(process, keys + np.uint64(1), 1)[:, 0]):
        assert abs(stats.spearmanr(first, other).statistic) < 5 / np.sqrt(N)
    one, two = in_streams(process, np.array([1, 2], np.uint64), N)
    assert abs(stats.spearmanr(one, two).statistic) < 5 / np.sqrt(N)


@every_text
def test_gaps_do_not_depend_on_the_blocks_they_are_made_in(text: str) -> None:
    process, keys = ARRIVALS.build(text), np.array([7, 8, 9], np.uint64)
    whole = in_streams(process, keys, 1000)
    pieces = [in_streams(process, keys, size, begin) for begin, size in ((0, 1), (1, 399), (400, 600))]
    assert (np.concatenate(pieces, axis=1) == whole).all()
    for key, gaps in zip(keys, whole, strict=True):
        assert (in_streams(process, np.array([key]), 1000)[0] == gaps).all()


@every_text
def test_a_hundred_clients_at_one_request_an_hour_send_a_third_of_a_hundred_in_twenty_minutes(text: str) -> None:
    process, clients, runs = ARRIVALS.build(text), 100, 400
    keys = np.arange(clients * runs, dtype=np.uint64)
    times = first_gaps(process, keys.size)[:, None]
    later = times + np.cumsum(in_streams(process, keys, 100), axis=1)
    assert (later[:, -1] > 1 / 3).all()
    sent = ((times < 1 / 3).sum(axis=1) + (later < 1 / 3).sum(axis=1)).reshape(runs, clients).sum(axis=1)
    assert_mean(sent.astype(np.float64), 100 / 3)


@pytest.mark.parametrize("cv", [0.5, 1.0, 2.0, 3.2])
@pytest.mark.parametrize("m", [12, 100, 5000])
def test_gamma_gaps_scaled_to_fill_a_window_keep_the_asked_cv(cv: float, m: int) -> None:
    squared = squared_cv_in_windows(ARRIVALS.build(f"gamma:cv={cv}"), m)
    assert_mean(squared, cv**2)


@pytest.mark.parametrize("cv", [0.5, 1.0, 2.0, 2.8])
@pytest.mark.parametrize("m", [12, 100, 5000])
def test_weibull_gaps_scaled_to_fill_a_window_keep_the_asked_cv_to_the_tables_one_percent(cv: float, m: int) -> None:
    squared = squared_cv_in_windows(ARRIVALS.build(f"weibull:cv={cv}"), m)
    noise = 5 * squared.std() / np.sqrt(squared.size)
    assert abs(squared.mean() - cv**2) < 0.02 * cv**2 + noise


def squared_cv_in_windows(process: Process, m: int) -> Floats:
    """For each of many windows of ``m`` gaps, scaled to sum to m, their squared CV."""
    gaps = in_streams(process, np.arange(4 * N // m, dtype=np.uint64), m, gaps=m)
    squared: Floats = np.var(gaps * (m / gaps.sum(axis=1, keepdims=True)), axis=1)
    return squared


@every_text
def test_a_process_is_rebuilt_from_its_text(text: str) -> None:
    process = ARRIVALS.build(text)
    assert ARRIVALS.build(ARRIVALS.text(process)) == process


@pytest.mark.parametrize(
    "text",
    [
        "gamma:cv=0",
        "gamma:cv=-1",
        "gamma:cv=nan",
        "gamma:cv=inf",
        "gamma:cv=much",
        "weibull:cv=0",
        "weibull:cv=nan",
        "onoff:duty=0",
        "onoff:duty=1.1",
        "onoff:burst=0",
        "onoff:burst=nan",
        "poisson:cv=2",
        "gamma:shape=2",
    ],
)
def test_a_parameter_that_cannot_be_is_told_of_in_a_line(text: str) -> None:
    with pytest.raises(UsageError) as told:
        ARRIVALS.build(text)
    assert text.partition(":")[0] in str(told.value)
    assert "\n" not in str(told.value)
