"""What a summary says, against numpy on the whole; and that it may be folded in any way."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.errors import UsageError
from groundswell.histogram import Histogram
from groundswell.summary import Figures, Summary, describe
from groundswell.table import Workload
from workloads import CLIENTS, cut, random_workload

WHOLE = random_workload(2000, reason=True, items=True)


def agree(a: Figures, b: Figures) -> bool:
    """Equal but for the order in which sums of squares were taken."""
    return repr(rounded(a)) == repr(rounded(b))


def rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(map(rounded, value))
    return rounded(vars(value)) if hasattr(value, "__dataclass_fields__") else value


def test_figures_are_those_of_the_whole_columns() -> None:
    figures = Summary.of(WHOLE).finish(duration_s=400.0)
    t = WHOLE.arrival_s
    gaps = np.diff(t)
    assert figures.requests == 2000
    assert figures.mean_rate_per_s == 5.0
    assert figures.peak_rate_per_s == np.bincount((t // 10).astype(int)).max() / 10
    assert figures.cv == pytest.approx(gaps.std() / gaps.mean(), rel=1e-12)
    for name, column in (
        ("input", WHOLE.input_tokens),
        ("output", WHOLE.output_tokens),
        ("reason", WHOLE.frame["reason_tokens"].to_numpy()),
    ):
        told = figures.tokens[name]
        assert (told.count, told.total, told.most) == (2000, column.sum(), column.max())
        assert told.mean == pytest.approx(column.mean(), rel=1e-12)
        for value, q in ((told.p50, 0.5), (told.p90, 0.9), (told.p99, 0.99)):
            assert value == pytest.approx(np.quantile(column, q, method="inverted_cdf"), rel=0.01)
    images = WHOLE.frame["image_tokens"]
    assert figures.items["image"].share == (images.list.len() > 0).mean()
    assert figures.items["image"].tokens.total == images.list.sum().sum()
    assert figures.items["image"].tokens.count == images.list.len().sum()


def test_top_clients_have_their_own_shares_and_mean_lengths() -> None:
    figures = Summary.of(WHOLE).finish(top=3)
    assert (figures.clients, figures.active_clients) == (5, 4)
    assert [c.name for c in figures.top] == list(CLIENTS[:3])
    for c, told in enumerate(figures.top):
        own = WHOLE.client_code == c
        assert told.requests == own.sum()
        assert told.share == own.sum() / 2000
        assert told.mean_input_tokens == pytest.approx(WHOLE.input_tokens[own].mean(), rel=1e-12)
        assert told.mean_output_tokens == pytest.approx(WHOLE.output_tokens[own].mean(), rel=1e-12)


def test_without_a_duration_the_span_is_from_first_to_last_arrival() -> None:
    figures = Summary.of(WHOLE).finish()
    assert figures.span_s == WHOLE.arrival_s[-1] - WHOLE.arrival_s[0]
    assert figures.mean_rate_per_s == pytest.approx(1 / np.diff(WHOLE.arrival_s).mean())


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 2000), max_size=6), st.data())
def test_any_cut_folded_in_any_way_is_the_whole(places: list[int], data: st.DataObject) -> None:
    parts = [Summary.of(block) for block in cut(WHOLE, places)]
    while len(parts) > 1:
        i = data.draw(st.integers(0, len(parts) - 2))
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    assert agree(parts[0].finish(400.0), Summary.of(WHOLE).finish(400.0))
    assert (parts[0].busy_count == np.bincount((WHOLE.arrival_s // 10).astype(int))).all()


def test_blocks_that_know_other_clients_add_up_by_name() -> None:
    first, second = cut(random_workload(100), [40])
    names = ("new", "bob", "alice", "idle", 'c,"d"', "élan")
    code = np.array([names.index(name) for name in second.frame["client"].to_list()], np.uint32)
    other = Workload.from_columns(second.arrival_s, code, names, second.input_tokens, second.output_tokens)
    figures = (Summary.of(first) + Summary.of(other)).finish()
    assert figures.clients == 6
    assert agree(Figures(top=figures.top), Figures(top=Summary.of(random_workload(100)).finish().top))


def test_summaries_out_of_order_do_not_add_up() -> None:
    first, second = cut(WHOLE, [1000])
    with pytest.raises(UsageError, match="time order"):
        Summary.of(second) + Summary.of(first)


def test_an_empty_workload_has_figures_too() -> None:
    none = Summary.of(cut(WHOLE, [0])[0])
    assert (none + none).finish(10.0).requests == 0
    assert describe(none.finish(10.0)) == "requests  none in 10s"
    one = Summary.of(cut(WHOLE, [1])[0]).finish()
    assert one.requests == 1
    assert describe(one)


def test_the_text_holds_the_figures_and_fits_a_terminal() -> None:
    text = describe(Summary.of(WHOLE).finish(400.0))
    assert "2,000 from 4 of 5 clients" in text
    assert "6m40s" in text
    assert "5 req/s on average" in text
    assert "alice" in text
    assert max(map(len, text.splitlines())) <= 80


def test_memory_grows_with_the_span_and_not_with_the_requests() -> None:
    far = Workload.from_columns(
        np.array([0.0, 1e15]), np.zeros(2, np.uint32), ["a"], np.ones(2, np.int32), np.ones(2, np.int32)
    )
    assert Summary.of(far).busy.size == 2
    whole = reduce(add, (Summary.of(block) for block in cut(WHOLE, range(0, 2000, 10))))
    assert whole.busy.size <= WHOLE.arrival_s[-1] / 10 + 1


VALUES = st.lists(st.one_of(st.integers(0, 2**31 - 1), st.floats(1e-6, 1e12)), min_size=1, max_size=200)


@given(VALUES, st.floats(0, 1))
def test_a_quantile_is_within_one_percent_below(values: list[float], q: float) -> None:
    exact = float(np.quantile(values, q, method="inverted_cdf"))
    assert exact * 0.99 <= Histogram.of(values).quantile(q) <= exact


@given(VALUES, VALUES)
def test_histograms_add_up(a: list[float], b: list[float]) -> None:
    both, whole = Histogram.of(a) + Histogram.of(b), Histogram.of([*a, *b])
    assert (both.buckets == whole.buckets).all()
    assert (both.count, both.least, both.most) == (whole.count, whole.least, whole.most)
    assert both.mean == pytest.approx(whole.mean)


def test_small_whole_numbers_are_told_exactly() -> None:
    values = np.arange(1, 257, dtype=np.int32)
    h = Histogram.of(values)
    assert [h.quantile(k / 256) for k in range(1, 257)] == values.tolist()


def test_an_empty_histogram_has_no_quantile() -> None:
    assert np.isnan(Histogram.of([]).quantile(0.5))
    assert np.isnan(Histogram.of([]).mean)
