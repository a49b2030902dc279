"""Comparing workloads: the noise is told from a difference, and a difference from the noise."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from comparing import few, poisson
from groundswell.clients.client import Client, pool_of
from groundswell.compose import compose
from groundswell.errors import DataError
from groundswell.fidelity import compare, profile, said
from groundswell.fidelity.aspects import aspects
from groundswell.fidelity.resample import Aspect
from groundswell.fidelity.text import describe
from groundswell.prefix import with_blocks
from groundswell.table import Workload


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
    assert said.apart(found["rate"]) in {f"{percent} % higher" for percent in range(15, 26)}
    assert found["input_lengths"].verdict == "indistinguishable"


def test_longer_prompts_are_told_by_their_factor() -> None:
    found = of(poisson(1, 12_000), poisson(2, 12_000, median_tokens=440.0))
    assert found["input_lengths"].verdict == "differs"
    assert found["input_lengths"].distance == pytest.approx(np.log(1.1), abs=0.03)
    assert found["input_lengths"].reference == pytest.approx(400, rel=0.05)
    assert found["input_lengths"].candidate == pytest.approx(440, rel=0.05)
    assert found["output_lengths"].verdict == "indistinguishable"


def test_lengths_that_spread_both_ways_are_moved_and_not_longer() -> None:
    reference = poisson(1, 12_000)
    random = np.random.default_rng(2)
    wider = (reference.input_tokens * random.choice([0.5, 2.0], 12_000)).astype(np.int32)
    found = of(reference, Workload(reference.frame.with_columns(input_tokens=wider)))["input_lengths"]
    assert found.verdict == "differs"
    assert said.apart(found).startswith("moved by ")


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
    parts = [Workload(whole.frame[a:b]) for a, b in pairwise(cuts)]
    one, other = profile([whole], "whole"), profile(parts, "parts")
    np.testing.assert_allclose(one.bins.whole.sums, other.bins.whole.sums)
    for name in ("gap", "input", "output", "joint"):
        a, b = getattr(one, name).sums, getattr(other, name).sums
        np.testing.assert_allclose(a.sums, b.sums)


def test_curves_are_those_of_the_law() -> None:
    found = compare([poisson(1, 40_000)], {"b": [poisson(2, 40_000)]}).curves
    gaps = 1 - np.exp(-5.0 * found.gaps.x)
    assert np.abs(found.gaps.y - gaps).max() < 5 * np.sqrt(0.25 / 40_000) + 1e-9
    whole = np.ceil(found.output.x)  # of whole numbers, those below x
    assert np.abs(found.output.y - (1 - np.exp(-whole / 200))).max() < 5 * np.sqrt(0.25 / 40_000)
    np.testing.assert_allclose(found.dispersion.y, 1.0, atol=5 * np.sqrt(2 / 500))
    for curve in (found.gaps, found.input, found.output, found.dispersion):
        assert 1 < curve.x.size <= 200
        assert (np.diff(curve.x) > 0).all()


SIZES = {"one": poisson(1, 1), "two": few(), "at once": poisson(1, 40, rate_per_s=1e12), "short": poisson(2, 60)}
SIZES |= {"usual": poisson(3), "sparse": poisson(4, 300, rate_per_s=1e-3)}


@pytest.mark.parametrize("reference", list(SIZES))
def test_workloads_of_any_size_can_be_compared(reference: str) -> None:
    found = compare([SIZES[reference]], {name: [workload] for name, workload in SIZES.items()}, reference)
    text = describe(found, 80)
    assert "nan" not in text
    assert "inf" not in text
    assert {name: candidate.requests for name, candidate in zip(SIZES, found.candidates, strict=True)} == {
        name: len(workload) for name, workload in SIZES.items()
    }
    same = next(candidate for candidate in found.candidates if candidate.name == reference)
    assert {aspect.verdict for aspect in same.aspects} <= {"indistinguishable", "cannot be said"}


def test_a_comparison_is_read_in_80_columns() -> None:
    found = compare([poisson(1)], {"same": [poisson(2)], "other": [poisson(3, rate_per_s=15.0, median_tokens=2e4)]})
    lines = describe(found, 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert "indistinguishable at this sample size in " in " ".join(lines)
    assert any(line.startswith("✗ mean rate") and "3× higher" in line for line in lines)


def test_a_figure_and_its_distance_are_said_in_its_own_meaning() -> None:
    def told(kind: str, a: float, b: float, distance: float, unit: str = "", key: str = "turns") -> tuple[str, str]:
        aspect = Aspect(key, "", a, b, distance, 0.01, kind, unit=unit)  # type: ignore[arg-type]
        return said.figure(aspect, b), said.apart(aspect)

    assert told("share", 0.44, 0.45, 0.012, key="gaps") == ("45 %", "1.2 points more")
    assert told("shift", 400.0, 200.0, np.log(2)) == ("200", "2× shorter")
    assert told("shift", 400.0, 400.0, 0.0) == ("400", "the same")
    assert told("difference", 0.1, -0.02, 0.12) == ("−0.02", "0.12 lower")
    assert told("difference", 90.0, 30.0, 60.0, "s") == ("30 s", "1m lower")
    assert told("difference", 0.5, 0.25, 0.25, "share") == ("25 %", "25 points lower")
    assert said.noise(Aspect("rate", "", 5.0, 4.0, 0.3, np.log(5 / 4), "ratio")) == "20 %"
    assert said.noise(Aspect("rate", "", 5.0, 6.0, 0.3, np.log(5 / 4), "ratio")) == "25 %"
    assert told("cloud", 0.2, 0.0, 0.31) == ("0", "0.31 SD apart")
    assert told("difference", 0.5, np.nan, np.nan, "share") == ("–", "candidate has none")


def test_too_short_for_a_verdict_is_said() -> None:
    found = of(poisson(1, 5), poisson(2, 5))
    assert found["joint_input"].verdict == "cannot be said"


def test_nothing_to_compare() -> None:
    with pytest.raises(DataError, match="no requests"):
        compare([poisson(1, 10)], {"b": []})


def test_conversations_are_found_in_the_same_way_in_both() -> None:
    """A trace without names, and the same with names that say something else than its prefix blocks."""
    client = Client(
        "c",
        2.0,
        "poisson",
        {
            "input_tokens": 200,
            "output_tokens": 50,
            "turns": "empirical:values=(1,4)",
            "think_ms": 20_000,
            "new_tokens": 64,
        },
    )
    whole = with_blocks(compose(pool_of([client], 3600), seed=1).collect())
    unnamed = Workload(whole.frame.drop("conversation", "turn", "think_s"), whole.metadata)
    alone = Workload(
        whole.frame.with_columns(conversation=pl.int_range(len(whole)), turn=pl.lit(1, pl.Int16)), whole.metadata
    )
    found = of(unnamed, alone)["multi_turn"]
    assert found.candidate == found.reference
    assert found.reference > 0.5
    assert of(alone, unnamed)["multi_turn"].verdict == "cannot be said"
