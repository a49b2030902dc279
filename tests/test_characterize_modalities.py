"""What is said of images, audio and video: against counts and known truths, however the trace is cut."""

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
from groundswell.characterize.figures import ModalityFigures
from groundswell.characterize.modalities import Fold
from groundswell.characterize.setting import Setting
from groundswell.stats.fits import Floats
from groundswell.stats.sample import Sample
from groundswell.table import Workload

SETTING = Setting()


def trace(at_s: Floats, text: Any, **items: Any) -> Workload:
    """Requests with ``image=(how many each, all sizes)`` and the like."""
    n = at_s.size
    return Workload.from_columns(
        at_s,
        np.zeros(n, np.uint32),
        ["a"],
        np.broadcast_to(text, n).astype(np.int32),
        np.ones(n, np.int32),
        items={f"{name}_tokens": (np.asarray(k), np.asarray(v).astype(np.int32)) for name, (k, v) in items.items()},
    )


def pictures(seed: int, n: int, span_s: float = 1e5) -> Workload:
    """A third of requests have one to three images of 400 or 800 tokens; a tenth a clip of 50 to 5,000."""
    random = np.random.default_rng([seed, n])
    images = np.where(random.random(n) < 1 / 3, random.integers(1, 4, n), 0)
    clips = (random.random(n) < 0.1).astype(int)
    return trace(
        np.sort(random.uniform(0, span_s, n)),
        random.integers(0, 300, n),
        image=(images, random.choice([400, 800], images.sum())),
        audio=(clips, random.integers(50, 5000, clips.sum())),
    )


def figures_of(workload: Workload, sample: pl.DataFrame | None = None, setting: Setting = SETTING) -> ModalityFigures:
    figures = Fold.of(workload, setting).finish(setting, Sample.of(workload).frame if sample is None else sample)
    assert figures is not None
    return figures


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 60), max_size=8), st.sampled_from([1.0, 1e4, 1e8]))
def test_figures_do_not_depend_on_the_cut(seed: int, cuts: list[int], span_s: float) -> None:
    whole, setting = pictures(seed, 60, span_s), Setting(midnight_s=30_000.0)
    sample = Sample.of(whole).frame
    parts = functools.reduce(operator.add, (Fold.of(part, setting) for part in in_parts(whole, cuts)), Fold())
    assert_same(parts.finish(setting, sample), Fold.of(whole, setting).finish(setting, sample))


def test_figures_are_counts() -> None:
    whole = pictures(1, 5000)
    found = figures_of(whole)
    text = whole.input_tokens.astype(float)
    modal = np.zeros(len(whole))
    for name in ("image", "audio"):
        lists = whole.frame[f"{name}_tokens"].to_list()
        number = np.array([len(x) for x in lists])
        tokens = np.array([sum(x) for x in lists])
        modal += tokens
        kind = found.modalities[name]
        assert kind.share.value == pytest.approx((number > 0).mean())
        assert kind.mean_items.value == pytest.approx(number[number > 0].mean())
        assert kind.mean_tokens.value == pytest.approx(tokens.sum() / number.sum())
        at, times = np.unique(number[number > 0], return_counts=True)
        np.testing.assert_array_equal(kind.per_request.x, at)
        np.testing.assert_allclose(kind.per_request.y, times / times.sum())
        sizes = np.concatenate([np.array(x) for x in lists])
        assert kind.tokens.y[-1] == pytest.approx(1)
        middle = np.interp(0.5, kind.tokens.y, kind.tokens.x)
        assert middle == pytest.approx(np.quantile(sizes, 0.5), rel=0.05, abs=400 if name == "image" else 0)
    assert found.modalities.keys() == {"image", "audio"}
    share = modal[modal > 0] / (modal + text)[modal > 0]
    assert found.modal_share.value == pytest.approx(share.mean())
    assert found.share_spread == pytest.approx(share.std())
    for x, y in zip(found.share_cdf.x[:-1], found.share_cdf.y[:-1], strict=True):
        assert y == pytest.approx((share < x).mean(), abs=1e-3)


def test_standard_sizes_are_those_that_are_frequent() -> None:
    found = figures_of(pictures(2, 20_000)).modalities
    assert sorted(size for size, _ in found["image"].sizes) == [400, 800]
    assert sum(share for _, share in found["image"].sizes) == pytest.approx(1)
    assert found["image"].sizes[0][1] >= found["image"].sizes[1][1]
    assert found["audio"].sizes == ()


def test_intervals_cover_the_truth() -> None:
    truth = {"share": 1 / 3, "mean_items": 2.0, "mean_tokens": 600.0}
    held: dict[str, list[bool]] = {name: [] for name in truth}
    independent = []
    for seed in range(200):
        whole = pictures(seed, 3000)
        image = figures_of(whole).modalities["image"]
        for name, value in truth.items():
            estimate = getattr(image, name)
            held[name].append(estimate.low <= value <= estimate.high)
        independent.append(image.spearman.low <= 0 <= image.spearman.high)
    for name, which in (held | {"spearman": independent}).items():
        assert sum(which) >= 190 - 5 * np.sqrt(200 * 0.95 * 0.05), name


def loads(seed: int, joint: bool) -> Workload:
    """Images that come and go by the hour, with the text or apart from it."""
    random, n, hours = np.random.default_rng(seed), 40_000, 100
    at = np.sort(random.uniform(0, 3600.0 * hours, n))
    hour = (at // 3600).astype(int)
    chance = random.uniform(0, 1, hours)[hour]
    images = (random.random(n) < chance).astype(int)
    text = 1000 * chance if joint else 1000 * random.uniform(0, 1, hours)[hour]
    return trace(at, text, image=(images, np.full(images.sum(), 500)))


def test_loads_that_rise_together_are_told_from_those_that_do_not() -> None:
    assert figures_of(loads(1, joint=True)).together["image"].above(0.7)
    held = []
    for seed in range(40):
        apart = figures_of(loads(seed, joint=False)).together["image"]
        held.append(apart.low <= 0.1 <= apart.high or apart.low <= 0 <= apart.high)
    assert sum(held) >= 38 - 5 * np.sqrt(40 * 0.95 * 0.05)


def test_a_load_that_shifts_has_its_size() -> None:
    random, n = np.random.default_rng(3), 100_000
    at = np.sort(random.uniform(0, 4 * 86_400.0, n))
    # The chance of an image rises from 0.1 to 0.9 and falls again, day by day: percentiles 95 and 5 are .86 and .14.
    chance = 0.1 + 0.8 * np.abs((at % 86_400) / 43_200 - 1)
    images = (random.random(n) < chance).astype(int)
    shift = figures_of(trace(at, 100, image=(images, np.full(images.sum(), 500)))).modalities["image"].shift
    assert shift.low <= 0.86 / 0.14 <= shift.high
    assert shift.value == pytest.approx(0.86 / 0.14, rel=0.2)


def test_a_rate_is_tokens_per_second() -> None:
    found = figures_of(pictures(5, 50_000))
    for series, mean in ((found.modalities["image"].rate, 0.5 * 2 / 3 * 600), (found.text_rate, 0.5 * 149.5)):
        assert series.value.mean() == pytest.approx(mean, rel=0.05)
        assert series.value.size <= 500


def test_an_empty_column_is_no_modality() -> None:
    nothing = np.zeros(10, int)
    whole = trace(np.arange(10.0), 5, image=(nothing, []), video=(nothing + 2, np.full(20, 7)))
    assert figures_of(whole).modalities.keys() == {"video"}
    none = trace(np.arange(10.0), 5, image=(nothing, []))
    assert Fold.of(none, SETTING).finish(SETTING, Sample.of(none).frame) is None
    assert Fold.of(trace(np.arange(10.0), 5), SETTING).finish(SETTING, pl.DataFrame()) is None
    assert Fold().finish(SETTING, pl.DataFrame()) is None


@pytest.mark.parametrize("at_s", [[0.0], [5.0, 5.0, 5.0], [0.0, 1e9]])
def test_edges_have_figures(at_s: list[float]) -> None:
    n = len(at_s)
    found = figures_of(trace(np.array(at_s), 0, image=(np.full(n, 300), np.full(300 * n, 70_000))))
    assert found.modalities["image"].per_request.x == 200
    assert found.modalities["image"].sizes == ()
    assert found.modal_share.value == 1


def test_nulls_count_as_none() -> None:
    whole = pictures(6, 200)
    column = pl.when(pl.col("image_tokens").list.len() > 0).then("image_tokens")
    assert_same(figures_of(Workload(whole.frame.with_columns(image_tokens=column))), figures_of(whole))
