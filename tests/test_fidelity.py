"""Comparing workloads: the noise is told from a difference, and a difference from the noise."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from groundswell.errors import DataError
from groundswell.fidelity import compare, profile
from groundswell.fidelity.aspects import aspects
from groundswell.fidelity.resample import Aspect
from groundswell.table import Workload


def poisson(seed: int, n: int = 6_000, rate_per_s: float = 5.0, median_tokens: float = 400.0) -> Workload:
    random = np.random.default_rng(seed)
    return Workload.from_columns(
        np.cumsum(random.exponential(1 / rate_per_s, n)),
        np.zeros(n, np.uint32),
        ("all",),
        (median_tokens * random.lognormal(0, 1, n)).astype(np.int32),
        random.exponential(200, n).astype(np.int32),
    )


def of(reference: Workload, candidate: Workload) -> dict[str, Aspect]:
    found = compare([reference], {"candidate": [candidate]})
    return {aspect.key: aspect for aspect in found.candidates[0].aspects}


def test_two_draws_of_one_process_are_seldom_told_apart() -> None:
    pairs, wrong = 24, Counter[str]()
    for seed in range(pairs):
        for aspect in aspects(profile([poisson(2 * seed)], "a"), profile([poisson(2 * seed + 1)], "b")):
            wrong[aspect.key] += aspect.verdict == "differs"
    assert wrong
    for key, count in wrong.items():
        assert count <= pairs * 0.05 + 5 * np.sqrt(pairs * 0.05 * 0.95), key


def test_a_higher_rate_is_told_and_nothing_else() -> None:
    found = of(poisson(1, 12_000), poisson(2, 12_000, rate_per_s=6.0))
    assert found["rate"].verdict == "differs"
    assert found["rate"].distance == pytest.approx(np.log(6 / 5), abs=0.05)
    assert found["input_lengths"].verdict == "indistinguishable"


def test_longer_prompts_are_told_by_their_factor() -> None:
    found = of(poisson(1, 12_000), poisson(2, 12_000, median_tokens=440.0))
    assert found["input_lengths"].verdict == "differs"
    assert found["input_lengths"].distance == pytest.approx(np.log(1.1), abs=0.03)
    assert found["output_lengths"].verdict == "indistinguishable"


def test_bursts_are_told() -> None:
    random = np.random.default_rng(3)
    reference = poisson(1, 12_000)
    gaps = random.gamma(0.25, 4 / 5, 12_000)
    bursty = Workload(reference.frame.with_columns(arrival_s=np.cumsum(gaps)))
    found = of(reference, bursty)
    assert {key for key, aspect in found.items() if aspect.verdict == "differs"} >= {
        "short_spread",
        "dispersion",
        "gaps",
    }


def test_long_prompts_in_busy_seconds_are_told_though_every_margin_agrees() -> None:
    reference = poisson(1, 24_000)
    at_s = reference.arrival_s
    busy = np.bincount((at_s // 4).astype(int))[(at_s // 4).astype(int)]
    order = np.argsort(busy + np.random.default_rng(0).random(at_s.size), kind="stable")
    dragged = np.empty(at_s.size, np.int32)
    dragged[order] = np.sort(reference.input_tokens)
    found = of(reference, Workload(reference.frame.with_columns(input_tokens=dragged)))
    assert found["joint_input"].verdict == "differs"
    assert found["joint_output"].verdict == "indistinguishable"
    assert found["short_spread"].distance == 0.0


def test_a_fold_of_parts_is_the_fold_of_the_whole() -> None:
    whole, cuts = poisson(5, 3_000), (0, 1, 2, 700, 701, 3_000)
    parts = [Workload(whole.frame[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]
    one, other = profile([whole], "whole"), profile(parts, "parts")
    np.testing.assert_allclose(one.bins.whole.sums, other.bins.whole.sums)
    for name in ("gap", "input", "output", "joint"):
        a, b = getattr(one, name).sums, getattr(other, name).sums
        np.testing.assert_allclose(a.sums, b.sums)


def test_too_short_for_a_verdict_is_said() -> None:
    found = of(poisson(1, 5), poisson(2, 5))
    assert found["joint_input"].verdict == "cannot be said"


def test_nothing_to_compare() -> None:
    with pytest.raises(DataError, match="no requests"):
        compare([poisson(1, 10)], {"b": []})
