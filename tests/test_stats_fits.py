"""Families fitted to values: as others fit them, told apart, and rejected as often as they should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special, stats

from groundswell.arrivals import ARRIVALS
from groundswell.errors import UsageError
from groundswell.lengths import LENGTHS
from groundswell.stats.fits import Fit, fit
from groundswell.stats.gammas import digamma, gamma_tails, trigamma
from groundswell.stats.harmonic import harmonic
from groundswell.stats.power_law import exponents

Floats = NDArray[np.float64]
SIMPLE = ("exponential", "gamma", "weibull", "lognormal", "pareto")
WEIBULL_OF_CV_2 = 0.5427


def drawn(family: str, n: int, seed: int) -> Floats:
    """Values with CV 2 (the exponential: 1)."""
    random = np.random.default_rng([seed, n])
    return {
        "exponential": lambda: random.exponential(2.0, n),
        "gamma": lambda: random.gamma(0.25, 4.0, n),
        "weibull": lambda: random.weibull(WEIBULL_OF_CV_2, n),
        "lognormal": lambda: random.lognormal(1.0, np.sqrt(np.log(5.0)), n),
        "pareto": lambda: 3.0 * (1.0 + random.pareto(1.5, n)),
    }[family]()


def one(values: Floats, family: str) -> Fit:
    (only,) = fit(values, [family])
    return only


@pytest.mark.parametrize("shape", [0.02, 0.5, 1.0, 3.0, 80.0, 4000.0])
def test_the_gamma_functions_are_scipys(shape: float) -> None:
    assert digamma(shape) == pytest.approx(special.digamma(shape), rel=1e-9)
    assert trigamma(shape) == pytest.approx(special.polygamma(1, shape), rel=1e-8)
    for x in shape * np.array([1e-3, 0.3, 0.9, 1.0, 1.1, 2.0]) + np.array([0.0, 0.0, 0.0, 0.0, 0.0, 9.0]):
        low, high = gamma_tails(shape, x)
        assert low == pytest.approx(special.gammainc(shape, x), rel=1e-9, abs=1e-300)
        assert high == pytest.approx(special.gammaincc(shape, x), rel=1e-9, abs=1e-300)


def test_a_gamma_law_of_large_shape_is_right_to_1e_6() -> None:
    for x in 1e4 + 100.0 * np.arange(-3.0, 4.0):
        assert gamma_tails(1e4, x)[0] == pytest.approx(special.gammainc(1e4, x), abs=1e-6)


def test_parameters_are_those_that_scipy_finds() -> None:
    x = drawn("gamma", 3000, 1)
    shape, _, scale = stats.gamma.fit(x, floc=0)
    assert one(x, "gamma").parameters["shape"] == pytest.approx(shape, rel=1e-4)
    assert one(x, "gamma").parameters["scale"] == pytest.approx(scale, rel=1e-4)
    shape, _, scale = stats.weibull_min.fit(x, floc=0)
    assert one(x, "weibull").parameters["shape"] == pytest.approx(shape, rel=1e-3)
    assert one(x, "weibull").parameters["scale"] == pytest.approx(scale, rel=1e-3)
    mu, sigma = np.log(x).mean(), np.log(x).std()
    assert one(x, "lognormal").parameters["mean"] == pytest.approx(np.exp(mu + sigma**2 / 2))
    assert one(x, "lognormal").parameters["cv"] == pytest.approx(np.sqrt(np.expm1(sigma**2)))
    alpha, _, least = stats.pareto.fit(drawn("pareto", 3000, 1), floc=0)
    assert one(drawn("pareto", 3000, 1), "pareto").parameters == pytest.approx({"alpha": alpha, "least": least})


@pytest.mark.parametrize("family", SIMPLE)
def test_distance_and_likelihood_are_scipys(family: str) -> None:
    x = drawn(family, 500, 2)
    found = {f.family: f for f in fit(x, SIMPLE)}
    law = {
        "exponential": lambda p: stats.expon(scale=p["mean"]),
        "gamma": lambda p: stats.gamma(p["shape"], scale=p["scale"]),
        "weibull": lambda p: stats.weibull_min(p["shape"], scale=p["scale"]),
        "lognormal": lambda p: stats.lognorm(
            np.sqrt(np.log1p(p["cv"] ** 2)), scale=p["mean"] / np.sqrt(1 + p["cv"] ** 2)
        ),
        "pareto": lambda p: stats.pareto(p["alpha"], scale=p["least"]),
    }
    aic = {
        name: 2 * (1 if name == "exponential" else 2) - 2 * law[name](f.parameters).logpdf(x * (1 + 1e-12)).sum()
        for name, f in found.items()
    }
    for name, f in found.items():
        assert f.ks == pytest.approx(stats.ks_1samp(x, law[name](f.parameters).cdf).statistic, abs=1e-9)
        assert f.aic == pytest.approx(aic[name] - min(aic.values()), abs=1e-4)


@pytest.mark.parametrize("family", ["gamma", "weibull", "lognormal"])
def test_families_are_told_apart_at_2000_values(family: str) -> None:
    best = [fit(drawn(family, 2000, seed), SIMPLE)[0].family for seed in range(50)]
    assert best.count(family) >= 45


def test_an_exponential_law_is_best_as_often_as_wilks_says() -> None:
    # Gamma and Weibull contain it: one more parameter gains more than its price in 16 % of samples (Wilks, 1938), and
    # the two gains are nearly the same.
    fits = [{f.family: f for f in fit(drawn("exponential", 2000, seed), SIMPLE)} for seed in range(200)]
    beaten = np.mean([f["exponential"].aic > f["gamma"].aic for f in fits])
    expected = stats.chi2(1).sf(2.0)
    assert abs(beaten - expected) < 5 * np.sqrt(expected * (1 - expected) / 200)
    assert min(f["lognormal"].aic for f in fits) > 50
    assert max(f["exponential"].aic for f in fits) < stats.chi2(1).isf(1e-6)


def test_the_exponential_is_asked_for_where_what_contains_it_gains_little() -> None:
    asked = [fit(drawn("exponential", 2000, seed), SIMPLE)[0].family for seed in range(200)]
    expected = stats.chi2(1).cdf(6.0)  # the gain of 4 and the price of a parameter
    assert asked.count("exponential") / 200 > expected - 5 * np.sqrt(expected * (1 - expected) / 200) - 0.01


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("family", SIMPLE)
def test_the_right_family_is_rejected_in_one_of_twenty(family: str, rounded: bool) -> None:
    p = []
    for seed in range(200):
        values = drawn(family, 800, seed)
        values = np.rint(3.0 * values) if rounded else values
        p.append(fit(values, [family], replicates=99, seed=seed)[0].p)
    for level in (0.05, 0.5):
        assert abs(np.mean(np.array(p) < level) - level) < 5 * np.sqrt(level * (1 - level) / 200)


@pytest.mark.parametrize(
    ("truth", "wrong"),
    [
        (a, b)
        for a in SIMPLE
        for b in SIMPLE
        if a != b and (a, b) not in {("exponential", "gamma"), ("exponential", "weibull")}
    ],
)
def test_a_wrong_family_is_rejected(truth: str, wrong: str) -> None:
    p = [fit(drawn(truth, 2000, seed), [wrong], replicates=99)[0].p for seed in range(10)]
    assert sum(value < 0.05 for value in p) >= 9


def test_large_samples_are_tested_with_small_replicates() -> None:
    p = np.array([fit(drawn("gamma", 50_000, seed), ["gamma"], replicates=99)[0].p for seed in range(40)])
    assert (p < 0.05).sum() <= 40 * 0.05 + 5 * np.sqrt(40 * 0.05 * 0.95)
    assert abs(p.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 40)


@pytest.mark.parametrize("text", ["exponential:mean=40", "lognormal:mean=300,cv=1.5", "pareto:alpha=1.2,least=3"])
def test_what_lengths_draw_is_found_again(text: str) -> None:
    law = LENGTHS.build(text)
    value, mass = law.atoms()
    x = np.random.default_rng(5).choice(value, 20_000, p=mass)
    grid = np.unique(np.rint(np.geomspace(1, 5000, 60)))
    found = fit(x, ["exponential", "lognormal", "pareto", "zipf"], grid)
    assert found[0].family == text.split(":")[0]
    assert found[0].ks < 1.5 / np.sqrt(20_000)
    # Five standard errors of the distribution function itself bound those of any law fitted to it.
    assert np.abs(found[0].curve.y - law.cdf(grid)).max() < 2.5 / np.sqrt(20_000)
    named = found[0].parameters
    again = LENGTHS.build(found[0].family + ":" + ",".join(f"{k}={v}" for k, v in named.items()))
    assert np.abs(again.cdf(grid) - law.cdf(grid)).max() < 3 / np.sqrt(20_000)


def test_parts_can_be_built_from_the_parameters() -> None:
    for family in ("gamma", "weibull"):
        cv = one(drawn(family, 20_000, 3), family).parameters["cv"]
        assert ARRIVALS.build(f"{family}:cv={cv}")
        assert cv == pytest.approx(2.0, abs=0.1)


def test_zipf_is_found_as_brute_force_finds_it() -> None:
    random = np.random.default_rng(7)
    k = np.arange(1.0, 3001.0)
    x = random.choice(k, 5000, p=k**-1.3 / (k**-1.3).sum())
    found = {f.family: f for f in fit(x, ["zipf", "lognormal", "pareto"], k)}["zipf"]
    most = np.arange(1.0, x.max() + 1)
    grid = np.arange(0.5, 2.5, 1e-4)
    score = [-s * np.log(x).mean() - np.log((most**-s).sum()) for s in grid]
    assert found.parameters["exponent"] == pytest.approx(grid[int(np.argmax(score))], abs=1e-4)
    assert found.parameters["most"] == x.max()
    assert found.aic == 0
    assert found.ks < 1.4 / np.sqrt(5000)
    law = LENGTHS.build(f"zipf:exponent={found.parameters['exponent']},most={x.max()}")
    np.testing.assert_allclose(found.curve.y, law.cdf(k), atol=1e-9)


@pytest.mark.parametrize("s", [0.0, 0.7, 1.0, 1.5, 4.0])
def test_harmonic_numbers_are_sums(s: float) -> None:
    n = np.array([1.0, 10.0, 1024.0, 1025.0, 40_000.0])
    np.testing.assert_allclose(harmonic(n, s), [(np.arange(1.0, m + 1) ** -s).sum() for m in n], rtol=1e-10)


def test_many_exponents_come_from_a_table() -> None:
    k = np.arange(1.0, 2001.0)
    s = np.array([0.3, 1.0, 1.77, 3.0])
    mean = np.array([(k**-v * np.log(k)).sum() / (k**-v).sum() for v in s])
    np.testing.assert_allclose(exponents(mean, 2000.0), s, atol=1e-4)


@given(st.lists(st.integers(0, 30), min_size=2, max_size=40), st.sampled_from(["exponential", "gamma", "weibull"]))
def test_rounded_values_are_held_against_cells(numbers: list[int], family: str) -> None:
    x = np.array(numbers, np.float64)
    n = np.arange(32.0)
    found = fit(x, [family], n)
    if x.min() == x.max():
        assert not found
        return
    share = np.searchsorted(np.sort(x), n, side="right") / x.size
    assert found[0].ks == pytest.approx(np.abs(found[0].curve.y - share).max(), abs=1e-9)


def test_a_tick_is_a_unit() -> None:
    x = np.rint(drawn("gamma", 2000, 4) * 20)
    plain, ticked = (fit(v, SIMPLE, replicates=50) for v in (x, 0.001 * x))
    for a, b in zip(plain, ticked, strict=True):
        assert (a.family, a.p) == (b.family, b.p)
        assert a.ks == pytest.approx(b.ks)
        for name, value in a.parameters.items():
            unit = 0.001 if name in {"mean", "scale", "least"} else 1.0
            assert b.parameters[name] == pytest.approx(unit * value)


def test_rounding_to_a_coarse_tick_hardly_moves_the_estimate() -> None:
    x = drawn("exponential", 20_000, 8)
    rounded = one(np.rint(x), "exponential").parameters["mean"]
    assert rounded == pytest.approx(2.0, abs=5 * 2.0 / np.sqrt(20_000) + 0.06)


def mixed(n: int, seed: int) -> Floats:
    """A fifth Pareto (alpha 1.5 from 2,000), the rest log-normal (mean 1,096, CV 1.31)."""
    random = np.random.default_rng(seed)
    tail = 2000.0 * (1.0 + random.pareto(1.5, n))
    return np.where(random.random(n) < 0.2, tail, random.lognormal(6.5, 1.0, n))


@pytest.mark.parametrize("rounded", [False, True])
def test_a_body_and_its_tail_are_found(rounded: bool) -> None:
    for seed in range(4):
        x = mixed(20_000, seed)
        x = np.maximum(np.rint(x), 1) if rounded else x
        found = fit(x, ["pareto+lognormal", *SIMPLE])
        assert found[0].family == "pareto+lognormal"
        assert found[1].aic > 100
        assert found[0].ks < 1.2 / np.sqrt(20_000)
        p = found[0].parameters
        # Least errors: were it known which value is whose, and where the tail begins; twice that since it is not.
        assert p["weight"] == pytest.approx(0.2, abs=10 * np.sqrt(0.2 * 0.8 / 20_000))
        assert p["alpha"] == pytest.approx(1.5, abs=10 * 1.5 / np.sqrt(4000))
        assert np.log1p(p["cv"] ** 2) == pytest.approx(1.0, abs=10 * np.sqrt(2 / 16_000))
        median = p["mean"] / np.sqrt(1 + p["cv"] ** 2)
        assert np.log(median) == pytest.approx(6.5, abs=10 / np.sqrt(16_000))
        assert p["least"] == pytest.approx(2000, rel=0.03)


def test_a_mixture_is_no_worse_than_its_parts() -> None:
    for family in ("lognormal", "pareto"):
        found = {f.family: f for f in fit(drawn(family, 5000, 3), ["pareto+lognormal", "lognormal", "pareto"])}
        assert found["pareto+lognormal"].aic - found[family].aic < 2 * 3 + 1


def test_one_frequent_value_does_not_capture_the_body() -> None:
    x = np.concatenate([mixed(10_000, 1), np.full(1500, 1024.0)])
    p = one(np.maximum(np.rint(x), 1), "pareto+lognormal").parameters
    assert 0.5 < p["cv"] < 3


def test_a_mixture_can_be_built_and_is_the_curve() -> None:
    grid = np.unique(np.rint(np.geomspace(1, 1e5, 60)))
    (found,) = fit(np.maximum(np.rint(mixed(20_000, 9)), 1), ["pareto+lognormal"], grid)
    p = found.parameters
    law = LENGTHS.build(
        f"mixture:body=(lognormal:mean={p['mean']},cv={p['cv']}),tail=(pareto:alpha={p['alpha']},least={p['least']}),"
        f"weight={p['weight']}"
    )
    assert np.abs(law.cdf(grid) - found.curve.y).max() < 1e-3


@pytest.mark.parametrize("values", [[], [3.0], [2.0, 2.0, 2.0], [0.0, 0.0]])
def test_equal_values_have_no_fit(values: list[float]) -> None:
    assert fit(np.array(values), [*SIMPLE, "pareto+lognormal", "zipf"], replicates=9) == ()


@given(st.lists(st.floats(0, 1e9) | st.integers(0, 5).map(float), min_size=2, max_size=30))
def test_whatever_the_values_there_are_figures(values: list[float]) -> None:
    for f in fit(np.array(values), [*SIMPLE, "pareto+lognormal", "zipf"], np.arange(5.0), replicates=5):
        assert 0 <= f.ks <= 1
        assert f.aic >= 0
        assert ((f.curve.y >= 0) & (f.curve.y <= 1)).all()


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(UsageError, match="gama"):
        fit(np.arange(5.0), ["gama"])
