"""What is said of reasoning: against known truths, however the trace is cut, and on the edges."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from characterizing import assert_same, in_parts
from groundswell.characterize.figures import ReasoningFigures
from groundswell.characterize.reasoning import PARTS, Fold, modes
from groundswell.characterize.setting import Setting
from groundswell.stats.sample import Sample
from groundswell.table import Workload

SETTING = Setting()
SPAN_S = 86_400.0


def trace(at_s: Any, reason: Any, output: Any, client: Any = None, failed: Any = None) -> Workload:
    n = len(at_s)
    code = np.zeros(n, np.uint32) if client is None else np.asarray(client).astype(np.uint32)
    whole = Workload.from_columns(
        np.asarray(at_s, np.float64),
        code,
        [f"c{i}" for i in range(int(code.max(initial=0)) + 1)],
        np.full(n, 100, np.int32),
        np.asarray(output).astype(np.int32),
        np.asarray(reason).astype(np.int32),
    )
    return whole if failed is None else Workload(whole.frame.with_columns(failed=pl.Series(failed, dtype=pl.Boolean)))


def thinking(seed: int, n: int = 20_000, often: float = 1.0) -> Workload:
    """Replies of which half are reasoning for some nine tenths, half for some two fifths; some do not reason at all."""
    random = np.random.default_rng([seed, n])
    output = 20 + np.rint(random.lognormal(6, 0.8, n))
    part = np.where(random.random(n) < 0.5, random.beta(90, 10, n), random.beta(40, 60, n))
    reason = np.where(random.random(n) < often, np.maximum(np.rint(part * output), 1), 0)
    return trace(np.sort(random.uniform(0, SPAN_S, n)), reason, output, random.integers(0, 6, n))


def figures_of(workload: Workload, sample: pl.DataFrame | None = None, setting: Setting = SETTING) -> ReasoningFigures:
    figures = Fold.of(workload, setting).finish(setting, Sample.of(workload).frame if sample is None else sample)
    assert figures is not None
    return figures


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 60), max_size=8), st.sampled_from([1.0, 1e4, 1e7]), st.booleans())
def test_figures_do_not_depend_on_the_cut(seed: int, cuts: list[int], span_s: float, failures: bool) -> None:
    random, n = np.random.default_rng(seed), 60
    output = random.integers(1, 900, n)
    reason = np.where(random.random(n) < 0.7, random.integers(0, output + 1), 0)
    failed = random.random(n) < 0.3 if failures else None
    whole = trace(np.sort(random.uniform(0, span_s, n)), reason, output, random.integers(0, 3, n), failed)
    sample, setting = Sample.of(whole).frame, Setting(midnight_s=30_000.0)
    parts = functools.reduce(operator.add, (Fold.of(part, setting) for part in in_parts(whole, cuts)), Fold())
    assert_same(parts.finish(setting, sample), Fold.of(whole, setting).finish(setting, sample))


def test_reasoning_and_answer_make_the_output() -> None:
    whole = thinking(1, often=0.6)
    found = figures_of(whole)
    reason = whole.frame["reason_tokens"].to_numpy().astype(float)
    answer = (whole.output_tokens - reason)[reason > 0]
    reason = reason[reason > 0]
    assert found.share.value == pytest.approx(reason.size / len(whole))
    assert (found.reason.n, found.answer.n) == (reason.size, reason.size)
    assert found.reason.mean.value == pytest.approx(reason.mean())
    assert found.answer.mean.value == pytest.approx(answer.mean())
    assert found.times.value == pytest.approx(reason.sum() / answer.sum())
    counted, _ = np.histogram(reason / (reason + answer), PARTS, (0, 1))
    np.testing.assert_allclose(found.ratio.y, counted / reason.size, atol=2 / reason.size)


def test_intervals_cover_the_truth() -> None:
    held: dict[str, list[bool]] = {"share": [], "times": []}
    # Tokens of reasoning over those of answers: the parts are drawn apart from the outputs.
    part = 0.5 * 0.9 + 0.5 * 0.4
    for seed in range(100):
        whole = thinking(seed + 100, 4000, often=0.6)
        found = figures_of(whole, Sample.of(whole).frame.head(20))
        held["share"].append(found.share.low <= 0.6 <= found.share.high)
        held["times"].append(found.times.low <= part / (1 - part) <= found.times.high)
    for name in held:
        assert sum(held[name]) >= 95 - 5 * np.sqrt(100 * 0.95 * 0.05), name


def test_two_modes_are_found_where_they_are() -> None:
    found = figures_of(thinking(2))
    assert found.modes == pytest.approx((0.40, 0.90), abs=0.03)
    assert found.dip_p < 0.001
    assert len(found.ratio_periods) == 4
    assert [name for name, _ in found.ratio_clients] == [
        name for name, _ in found.ratio_clients if name.startswith("c")
    ]
    assert len(found.ratio_clients) == 4
    for _, curve in (*found.ratio_periods, *found.ratio_clients):
        assert curve.y.sum() == pytest.approx(1)
        assert modes(1000 * curve.y) == pytest.approx((0.40, 0.90), abs=0.05)


def test_one_mode_is_one() -> None:
    p = []
    for seed in range(20):
        random, n = np.random.default_rng([seed, 3]), 3000
        output = 500 + random.integers(0, 2000, n)
        whole = trace(np.sort(random.uniform(0, SPAN_S, n)), np.rint(output * random.beta(8, 4, n)), output)
        found = figures_of(whole)
        p.append(found.dip_p)
        assert found.modes == pytest.approx((0.7,), abs=0.08)
    assert sum(value < 0.05 for value in p) <= 4


def test_noise_has_no_modes_of_its_own() -> None:
    random = np.random.default_rng(4)
    flat = [len(modes(random.multinomial(5000, np.full(PARTS, 1 / PARTS)).astype(float))) for _ in range(200)]
    assert max(flat) <= 1


@pytest.mark.parametrize("part", [0, PARTS - 1])
def test_a_mode_can_lie_at_an_end(part: int) -> None:
    counts = np.zeros(PARTS)
    counts[part] = 1000.0
    assert modes(counts) == pytest.approx(((part + 0.5) / PARTS,))


def test_reason_and_answer_are_correlated_by_rank() -> None:
    random, n = np.random.default_rng(5), 20_000
    reason = np.ceil(random.lognormal(6, 1, n))
    answer = np.ceil(reason**0.5 * random.lognormal(2, 0.3, n))
    found = figures_of(trace(np.sort(random.uniform(0, SPAN_S, n)), reason, reason + answer))
    assert found.spearman.above(0.75)
    busy = found.by_reason.n > 300
    np.testing.assert_allclose(found.by_reason.middle[busy], np.exp(2) * found.by_reason.x[busy] ** 0.5, rtol=0.1)


def test_what_failed_does_not_count() -> None:
    whole = thinking(6, 2000)
    failed = np.arange(2000) % 2 == 0
    marked = Workload(whole.frame.with_columns(failed=pl.Series(failed)))
    kept = Workload(whole.frame.filter(pl.Series(~failed)))
    assert_same(figures_of(marked), figures_of(kept))


def test_a_reply_holds_its_reasoning_whatever_a_trace_says() -> None:
    found = figures_of(trace(np.arange(200.0), np.full(200, 30), np.full(200, 10)))
    assert found.answer.mean.value == 0
    assert found.ratio.y[-1] == 1
    assert found.modes == (0.99,)


def test_nothing_has_no_figures() -> None:
    for whole in (
        trace(np.arange(5.0), np.zeros(5), np.ones(5)),
        trace([], [], []),
        trace(np.arange(5.0), np.ones(5), np.ones(5), failed=np.ones(5, bool)),
        Workload(trace(np.arange(5.0), np.ones(5), np.ones(5)).frame.drop("reason_tokens")),
    ):
        assert Fold.of(whole, SETTING).finish(SETTING, Sample.of(whole).frame) is None
    assert Fold().finish(SETTING, pl.DataFrame()) is None


def test_one_row_has_figures() -> None:
    found = figures_of(trace([3.0], [5], [9]))
    assert found.reason.n == 1
    assert found.times.value == pytest.approx(1.25)
