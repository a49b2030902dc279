"""What chance makes of a trace is not told as a finding, and what too little says nothing of is not judged."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from groundswell.characterize._shift import shift_by_chance
from groundswell.characterize.as_json import as_json
from groundswell.characterize.engine import Characterization, characterize
from groundswell.characterize.failures import Fold as Failures
from groundswell.characterize.failures import rate_of
from groundswell.characterize.lengths import modes_of_logs
from groundswell.characterize.setting import Setting
from groundswell.stats.batches import FEWEST, interval
from groundswell.stats.fits import fit
from groundswell.stats.variation import cv_estimate
from groundswell.table import Workload, list_column


def workload(at_s: Any, inputs: Any = 100, outputs: Any = 10, **columns: Any) -> Workload:
    n = len(at_s)
    given, got = (np.broadcast_to(np.asarray(tokens, np.int32), n).copy() for tokens in (inputs, outputs))
    base = Workload.from_columns(np.asarray(at_s, float), np.zeros(n, np.uint32), ("a",), given, got)
    return Workload(base.frame.with_columns(**columns)) if columns else base


def verdict(whole: Characterization, key: str) -> str:
    return next(finding.verdict for finding in whole.findings if finding.key == key)


def poisson(n: int, rate_per_s: float, seed: int = 0) -> Any:
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate_per_s, n))


def test_a_constant_rate_of_few_requests_a_window_does_not_shift() -> None:
    whole = characterize([workload(poisson(4_320, 0.05))])
    assert whole.arrivals is not None
    assert whole.arrivals.rate_shift.above(1.2)  # 60 a window: Poisson counts alone lie so far apart
    assert verdict(whole, "S2") == "does not hold"


def test_a_rate_that_doubles_shifts_still() -> None:
    at_s = np.concatenate([poisson(4_320, 0.1), 43_200 + poisson(8_640, 0.2, 1)])
    assert verdict(characterize([workload(at_s)]), "S2") == "holds"


@pytest.mark.parametrize(("requests", "jitter"), [(600.0, 1.0), (600.0, 4.0), (60.0, 1.0), (5.0, 1.0)])
def test_the_shift_of_chance_is_no_less_than_that_of_counts(requests: float, jitter: float) -> None:
    random = np.random.default_rng(0)
    # Batches of ``jitter`` at Poisson times have that index of dispersion.
    counts = jitter * random.poisson(requests / jitter, 100_000)
    low, high = np.quantile(counts, [0.05, 0.95], method="inverted_cdf")
    assert high / max(low, 0.5) <= 1.02 * shift_by_chance(requests, jitter) <= 2.5 * high / max(low, 0.5)


@pytest.mark.parametrize("mean", [3, 13])
def test_small_whole_numbers_have_one_mode(mean: int) -> None:
    outputs = np.random.default_rng(1).geometric(1 / mean, 130_000).astype(float)
    assert modes_of_logs(outputs)[1] > 0.5


def test_two_kinds_of_small_whole_numbers_have_two() -> None:
    random = np.random.default_rng(1)
    outputs = np.where(random.random(20_000) < 0.5, random.poisson(5, 20_000), random.poisson(60, 20_000))
    assert modes_of_logs(outputs.astype(float))[1] < 0.01


def test_one_way_of_thinking_in_short_replies_is_one() -> None:
    random = np.random.default_rng(2)
    output = random.integers(10, 40, 20_000)
    reason = random.binomial(output, random.beta(12, 8, output.size)).astype(np.int32)
    whole = characterize([workload(poisson(output.size, 5.0), 100, output, reason_tokens=pl.Series(reason))])
    assert whole.reasoning is not None
    assert whole.reasoning.dip_p > 0.05


def test_replies_of_reasoning_alone_have_no_ratio_and_no_verdict() -> None:
    output = np.random.default_rng(3).geometric(0.02, 2_000).astype(np.int32)
    whole = characterize([workload(poisson(2_000, 1.0), 100, output, reason_tokens=pl.Series(output))])
    assert whole.reasoning is not None
    assert np.isnan(whole.reasoning.times.value)
    assert verdict(whole, "S9") == "cannot be said"


def test_a_dozen_requests_are_not_judged() -> None:
    random, n = np.random.default_rng(4), 12
    items = list_column("image_tokens", np.ones(n, np.int64), random.integers(1, 900, n).astype(np.int32))
    frame = workload(poisson(n, 1.0), random.integers(1, 900, n), random.integers(1, 90, n), image_tokens=items).frame
    names = pl.Series("client", random.choice(["a", "b"], n), dtype=pl.Enum(["a", "b"]))
    whole = characterize([Workload(frame.with_columns(names))])
    assert {finding.verdict for finding in whole.findings} == {"cannot be said"}


def test_images_of_no_tokens_are_nothing_to_divide_by() -> None:
    items = list_column("image_tokens", np.ones(500, np.int64), np.zeros(500, np.int32))
    whole = characterize([workload(poisson(500, 0.5), 100, image_tokens=items)])
    assert verdict(whole, "S7") == "cannot be said"
    assert json.loads(as_json(whole))["modalities"]["modal_share"]["value"] is None


def test_a_gamma_of_few_gaps_is_one() -> None:
    whole = characterize([workload(poisson(1_080, 0.075))])
    assert verdict(whole, "B1") == "holds"


def test_turns_as_bursty_as_the_rest_are_not_called_calmer() -> None:
    calmer = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        name = pl.Series(np.where(random.random(4_000) < 0.5, random.integers(1, 400, 4_000), -np.arange(4_000)))
        calmer += verdict(characterize([workload(poisson(4_000, 1.0, seed), conversation=name)]), "S10") == "holds"
    assert calmer <= 3  # one in forty each


def test_log_normal_lengths_do_not_ask_for_a_tail() -> None:
    asked = [
        fit(np.floor(np.random.default_rng(seed).lognormal(6, 1, 800)) + 1, ("lognormal", "pareto+lognormal"))[0].family
        for seed in range(30)
    ]
    assert asked.count("pareto+lognormal") <= 2


def test_a_busy_tenth_without_failures_may_fail_as_often_as_the_rest() -> None:
    minute = np.repeat(np.arange(100.0), np.where(np.arange(100) % 10 == 0, 30, 10))
    at_s = np.sort(60 * (minute + np.random.default_rng(5).random(minute.size)))
    failed = np.zeros(at_s.size, bool)
    failed[np.flatnonzero(np.floor(at_s / 60) % 10 == 5)[::10]] = True
    setting = Setting()
    figures = Failures.of(workload(at_s, failed=pl.Series(failed)), setting).finish(setting, pl.DataFrame())
    assert figures is not None
    assert figures.load_ratio.value == 0.0
    assert figures.load_ratio.high > 1.0


def test_a_failure_rate_of_few_stretches_is_known_where_it_is_known_how_failures_come() -> None:
    sums = np.zeros((67, 2))
    sums[::10] = 100.0, 2.0
    assert not rate_of(sums).known
    found = rate_of(sums, 1.0)
    assert found.low < 0.02 < found.high


def test_few_stretches_in_which_something_happened_give_no_interval() -> None:
    sums = np.zeros((128, 2))
    sums[: FEWEST - 1] = 1.0, 2.0
    assert not interval(sums, lambda s: s[..., 1] / s[..., 0]).known
    sums[: 3 * FEWEST] = 1.0, 2.0
    assert interval(sums, lambda s: s[..., 1] / s[..., 0]).known


def test_a_figure_that_is_infinite_is_not_known() -> None:
    sums = np.column_stack([np.zeros(64), np.ones(64)])
    assert np.isnan(interval(sums, lambda s: s[..., 1] / s[..., 0]).value)


def test_two_bursts_far_apart_have_a_cv_without_an_interval() -> None:
    sums = np.zeros((128, 3))
    sums[0], sums[-1] = (500.0, 2e5, 4e8), (500.0, 3e5, 6e8)
    found = cv_estimate(sums)
    assert found.value > 0
    assert not found.known
