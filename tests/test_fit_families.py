"""Families of gaps are told apart, from one window or from many short ones, whatever the windows' levels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from groundswell.fit.cells import Cells
from groundswell.fit.families import FAMILIES, GAMMA, WEIBULL, Gaps, choose

LAWS = {
    "poisson": stats.expon(),
    "gamma 2": stats.gamma(0.25),
    "gamma 0.6": stats.gamma(2.8),
    "weibull 2": stats.weibull_min(0.543),
    "weibull 0.6": stats.weibull_min(1.72),
}


def cells_of(gaps: list[np.ndarray]) -> Cells:
    """One window each, all of client 0."""
    at_s, window = [], []
    for w, own in enumerate(gaps):
        at_s.append(1e4 * w + np.concatenate([[0.0], np.cumsum(own)]))
        window.append(np.full(own.size + 1, w))
    arrival_s = np.concatenate(at_s)
    return Cells.of(arrival_s, np.zeros(arrival_s.size, np.uint32), np.concatenate(window), 1)


@pytest.mark.parametrize("name", LAWS)
def test_families_are_told_apart_from_2000_gaps(name: str) -> None:
    rng = np.random.default_rng(1)
    right = 0
    for _ in range(100):
        chosen = choose(cells_of([LAWS[name].rvs(2000, random_state=rng)]), 1)
        right += FAMILIES[chosen.family[0]] == name.split()[0]
    # exponential gaps are called something else where two times the gain in log likelihood, chi squared, exceeds 2
    assert right >= (75 if name == "poisson" else 95)


@pytest.mark.parametrize("name", LAWS)
def test_many_short_windows_of_unlike_levels_tell_the_family_together(name: str) -> None:
    rng = np.random.default_rng(2)
    right = 0
    for _ in range(40):
        gaps = [LAWS[name].rvs(20, random_state=rng) * np.exp(rng.normal()) for _ in range(150)]
        right += FAMILIES[choose(cells_of(gaps), 1).of_client[0]] == name.split()[0]
    assert right >= (28 if name == "poisson" else 36)


def test_a_window_that_clearly_differs_has_a_family_of_its_own() -> None:
    rng = np.random.default_rng(3)
    gaps = [rng.gamma(0.25, 1, 500) for _ in range(30)] + [rng.weibull(0.543, 2000)]
    chosen = choose(cells_of(gaps), 1)
    assert chosen.of_client[0] == GAMMA
    assert chosen.family[-1] == WEIBULL
    assert (chosen.family[:-1] == GAMMA).all()


@pytest.mark.parametrize("shape", [0.3, 0.5, 0.8, 1.3, 2.0, 3.0])
def test_the_weibull_shape_and_scale_are_those_of_maximum_likelihood(shape: float) -> None:
    own = np.random.default_rng(4).weibull(shape, 5000) * 3.0
    chosen = choose(cells_of([own]), 1)
    c, _, scale = stats.weibull_min.fit(own, floc=0)
    assert chosen.weibull_shape[0] == pytest.approx(c, rel=0.01)
    assert chosen.weibull_scale_s[0] == pytest.approx(scale, rel=0.01)


@pytest.mark.parametrize("name", LAWS)
def test_the_interpolated_curve_is_that_of_the_gaps_around_their_shape(name: str) -> None:
    own = LAWS[name].rvs(3000, random_state=5)
    cells = cells_of([own])
    gaps, shape = Gaps.of(cells), choose(cells, 1).weibull_shape[0]
    for c in (0.8 * shape, shape, 1.2 * shape):
        exact = np.log(np.mean((own / own.mean()) ** c))
        assert gaps.curve(np.array([c]), np.array([shape < 1]))[0] == pytest.approx(exact, abs=5e-3)


def test_gaps_on_ticks_and_windows_of_two_requests_say_nothing() -> None:
    ticks = np.floor(np.random.default_rng(6).exponential(1, 500))
    chosen = choose(cells_of([ticks]), 1)
    assert chosen.family[0] == GAMMA
    assert np.isnan(chosen.weibull_shape[0])
    assert choose(cells_of([np.array([1.0])] * 9), 1).of_client[0] == GAMMA


def test_cells_joined_from_parts_are_those_of_the_whole() -> None:
    rng = np.random.default_rng(7)
    arrival_s = np.sort(rng.uniform(0, 100, 500))
    code, window = rng.integers(0, 4, 500).astype(np.uint32), (arrival_s // 10).astype(np.int64)
    whole = Cells.joined([Cells.of(arrival_s, code, window, 4)])
    edges = [0, 7, 8, 200, 499, 500]
    parts = [Cells.of(arrival_s[a:b], code[a:b], window[a:b], 4) for a, b in pairwise(edges)]
    together = Cells.joined([Cells.joined(parts[:2]), *parts[2:]])
    np.testing.assert_array_equal(together.client, whole.client)
    np.testing.assert_array_equal(together.window, whole.window)
    np.testing.assert_allclose(together.sums, whole.sums)
