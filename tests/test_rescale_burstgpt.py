"""BurstGPT's model: gaps and lengths from laws that are fitted stretch by stretch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import polygamma

from groundswell.arrivals import ARRIVALS, unit_gaps
from groundswell.errors import UsageError
from groundswell.lengths import LENGTHS
from groundswell.rescale import rescale
from groundswell.stats.fits import fit
from groundswell.table import Workload
from rescaling import whole
from workloads import cut, random_workload

STRETCH_S = 1200.0


def modelled(cvs: tuple[float, ...], exponents: tuple[float, ...], rate_per_s: float, seed: int = 0) -> Workload:
    """Stretches of Gamma gaps of the given CVs, with Zipf inputs of the given exponents, and outputs of 7 tokens."""
    rng = np.random.default_rng(seed)
    times, inputs = [], []
    for w, (cv, exponent) in enumerate(zip(cvs, exponents, strict=True)):
        gaps = unit_gaps(ARRIVALS.build(f"gamma:cv={cv}"), int(rate_per_s * STRETCH_S), seed * 10 + w)
        times.append(w * STRETCH_S + gaps.cumsum() / gaps.sum() * STRETCH_S * (1.0 - 1e-9))
        values, probability = LENGTHS.build(f"zipf:exponent={exponent},most=4000").atoms()
        inputs.append(rng.choice(values, gaps.size, p=probability))
    n = sum(map(len, times))
    return Workload.from_columns(
        np.concatenate(times),
        np.zeros(n, np.uint32),
        ("one",),
        np.concatenate(inputs).astype(np.int32),
        np.full(n, 7, np.int32),
    )


def test_each_stretch_is_fitted_on_its_own_and_redrawn_at_the_new_rate() -> None:
    w = modelled((1.0, 2.0, 0.5), (1.1, 1.6, 1.3), 5.0)
    after = whole(rescale([w], 4.0, "burstgpt", 1))
    arrival_s = after["arrival_s"].to_numpy()
    for k, (cv, exponent) in enumerate(zip((1.0, 2.0, 0.5), (1.1, 1.6, 1.3), strict=True)):
        inside = (arrival_s >= k * STRETCH_S) & (arrival_s < (k + 1) * STRETCH_S)
        n = 4 * 5 * STRETCH_S
        assert abs(inside.sum() - n) < 5 * cv * np.sqrt(n)
        gaps = np.diff(arrival_s[inside])
        # The fitted shape a has the variance 1/(n (ψ'(a) - 1/a)), and CV = 1/√a; the original has a quarter of them.
        a = cv**-2.0
        error = 0.5 / a * np.sqrt((1.0 + 4.0) / gaps.size / (polygamma(1, a) - 1.0 / a))
        assert abs(fit(gaps, ["gamma"])[0].parameters["cv"] / cv - 1.0) < 5 * error
        found = fit(after["input_tokens"].to_numpy()[inside].astype(float), ["zipf"])[0].parameters
        assert found["exponent"] == pytest.approx(exponent, abs=0.05)
    assert (after["output_tokens"] == 7).all()


@pytest.mark.parametrize("factor", [0.25, 1.0, 8.0])
def test_the_expected_number_of_requests_is_the_factors_in_a_stretch_that_is_cut_off_too(factor: float) -> None:
    w = modelled((2.0, 2.0), (1.2, 1.2), 1.0)
    w = Workload(w.frame.filter(w.frame["arrival_s"] < 1.4 * STRETCH_S))
    found = [sum(map(len, rescale([w], factor, "burstgpt", seed))) for seed in range(100)]
    assert abs(np.mean(found) - factor * len(w)) < 5 * np.std(found) / np.sqrt(len(found)) + factor
    assert whole(rescale([w], factor, "burstgpt"))["arrival_s"][-1] <= w.arrival_s[-1]


@given(places=st.lists(st.integers(0, 3000), max_size=5))
@settings(max_examples=15)
def test_where_blocks_are_cut_changes_nothing(places: list[int]) -> None:
    w = modelled((1.0, 2.0), (1.1, 1.1), 1.0)
    assert whole(rescale(cut(w, places), 2.0, "burstgpt")).equals(whole(rescale([w], 2.0, "burstgpt")))


def test_stretches_without_requests_stay_empty_and_few_requests_are_enough() -> None:
    w = modelled((1.0, 1.0, 1.0), (1.1, 1.1, 1.1), 0.5)
    middle = w.frame["arrival_s"].is_between(STRETCH_S, 2 * STRETCH_S)
    after = whole(rescale([Workload(w.frame.filter(~middle))], 3.0, "burstgpt"))
    assert not after["arrival_s"].is_between(STRETCH_S, 2 * STRETCH_S).any()
    few = Workload(random_workload(3).frame)
    assert all(len(block) < 200 for block in rescale([few], 2.0, "burstgpt"))


def test_equal_gaps_and_lengths_stay_about_equal() -> None:
    n = 1200
    w = Workload.from_columns(
        np.arange(n, dtype=np.float64), np.zeros(n, np.uint32), ("a",), np.full(n, 9, np.int32), np.full(n, 3, np.int32)
    )
    after = whole(rescale([w], 2.0, "burstgpt"))
    gaps = np.diff(after["arrival_s"].to_numpy())
    assert gaps.std() / gaps.mean() < 0.05
    assert after["input_tokens"].unique().to_list() == [9]


def test_a_stretch_of_no_length_is_told() -> None:
    with pytest.raises(UsageError, match="window_s"):
        rescale([random_workload(3)], 2.0, "burstgpt:window_s=0")
