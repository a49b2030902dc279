"""Whole numbers in buckets: nothing is lost, and what is read off is right to a bucket's width."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from groundswell.stats.token_counts import BUCKETS, LOWER, WIDE_BUCKETS, Distribution, count, gather

NUMBERS = st.lists(st.integers(0, 127) | st.integers(0, 2**24 - 1), min_size=1, max_size=60)


def distribution(values: NDArray[np.int32]) -> Distribution:
    counts = np.zeros(BUCKETS)
    count(values, counts)
    return Distribution(counts, float(values.min()), float(values.max()))


@given(st.integers(0, 2**24 - 1))
def test_a_number_lies_in_its_bucket(value: int) -> None:
    counts = np.zeros(BUCKETS)
    count(np.array([value], np.int32), counts)
    bucket = int(counts.argmax())
    assert LOWER[bucket] <= value < LOWER[bucket + 1]
    assert LOWER[bucket + 1] - LOWER[bucket] <= max(1, value / 64)


@given(NUMBERS, st.floats(0, 1))
def test_quantiles_are_right_to_a_bucket(numbers: list[int], q: float) -> None:
    values = np.sort(np.array(numbers, np.int32))
    exact = values[max(int(np.ceil(q * values.size - 1e-9)), 1) - 1]
    assert distribution(values).quantile(q) == pytest.approx(exact, rel=1 / 64, abs=0.5)


@given(NUMBERS)
def test_curves_are_the_data(numbers: list[int]) -> None:
    values = np.array(numbers, np.int32)
    found = distribution(values)
    cdf, tail, histogram = found.cdf(), found.tail(), found.histogram()
    for curve in (cdf, tail, histogram):
        assert curve.x.size == curve.y.size <= 200
        assert ((curve.y >= -1e-12) & (curve.y <= 1 + 1e-12)).all()
    # What lies a bucket's width below is counted, what lies a bucket's width above is not.
    wide = 1 + 1 / 32
    for x, y in zip(cdf.x, cdf.y, strict=True):
        assert (values <= x / wide - 1).mean() - 1e-9 <= y <= (values <= x * wide).mean() + 1e-9
    for x, y in zip(tail.x, tail.y, strict=True):
        assert (values >= x * wide + 1).mean() - 1e-9 <= y <= (values >= x / wide).mean() + 1e-9
    assert histogram.y.sum() == pytest.approx((values > 0).mean(), abs=0.5 * (values <= 1).mean() + 1e-9)
    assert (found.n, tail.y[0], cdf.y[-1]) == (values.size, pytest.approx(1), pytest.approx(1))


@given(NUMBERS, st.data())
def test_rows_hold_what_is_between_their_bounds(numbers: list[int], data: st.DataObject) -> None:
    values = np.array(numbers, np.int32)
    inner = data.draw(st.lists(st.integers(0, values.size), max_size=4))
    begins = np.array([0, *sorted(inner), values.size])
    counts, moments, wide = np.zeros(BUCKETS), np.zeros((begins.size - 1, 3)), np.zeros((begins.size - 1, WIDE_BUCKETS))
    gather(values, begins, counts, moments, wide)
    plain = np.zeros(BUCKETS)
    count(values, plain)
    np.testing.assert_array_equal(counts, plain)
    for k, (a, b) in enumerate(pairwise(begins)):
        part = values[a:b].astype(float)
        np.testing.assert_allclose(moments[k], [part.size, part.sum(), (part**2).sum()])
        assert wide[k].sum() == part.size
    # A part is known by its wide buckets; all parts together are the whole.
    whole = distribution(values)
    np.testing.assert_allclose(whole.like(wide.sum(axis=0)).counts, counts)


def test_a_part_that_holds_one_value_of_a_wide_bucket_has_that_value() -> None:
    values = np.repeat(np.array([1024, 4096], np.int32), 50)
    begins = np.array([0, 50, 100])
    counts, moments, wide = np.zeros(BUCKETS), np.zeros((2, 3)), np.zeros((2, WIDE_BUCKETS))
    gather(values, begins, counts, moments, wide)
    whole = Distribution(counts, 1024.0, 4096.0)
    assert [whole.like(row).quantile(0.5) for row in wide] == pytest.approx([1024, 4096], rel=1 / 64)


def test_no_numbers_have_no_quantile() -> None:
    assert np.isnan(Distribution(np.zeros(BUCKETS), np.inf, -np.inf).quantile(0.5))
