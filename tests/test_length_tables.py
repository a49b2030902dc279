"""Many discrete distributions in flat arrays: drawing from them, and what they say of themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from groundswell import length_tables
from groundswell.chance import compiled
from groundswell.length_tables import TOP, LengthTables

Floats = NDArray[np.float64]

TABLES: list[tuple[list[float], list[float]]] = [
    ([5.0], [1.0]),
    ([1.0, 2.0], [0.5, 0.5]),
    ([10.0, 20.0, 30.0, 1000.0], [0.1, 0.6, 0.29, 0.01]),
    ([float(k) for k in range(1, 2001)], [1.0 / k for k in range(1, 2001)]),  # not normalised
    ([0.1, 0.5, 0.9], [1e-9, 1.0, 1e-12]),  # below the resolution of a word
    ([7.0, 8.0], [0.0, 1.0]),
]


@compiled
def _draws(words: Any, d: Any, first: Any, value: Any, threshold: Any, guide_first: Any, guide: Any, out: Any) -> None:
    for i in range(words.size):
        out[i] = length_tables.draw(words[i], d, first, value, threshold, guide_first, guide)


def drawn(tables: LengthTables, d: int, words: NDArray[np.uint32]) -> Floats:
    out = np.empty(words.size)
    _draws(words, d, tables.first, tables.value, tables.threshold, *tables.guide, out)
    return out


@pytest.fixture(scope="module")
def tables() -> LengthTables:
    return LengthTables.of(TABLES)


@pytest.mark.parametrize("d", range(len(TABLES)))
def test_a_table_keeps_its_values_and_probabilities(tables: LengthTables, d: int) -> None:
    values, probabilities = tables.table(d)
    weight = np.asarray(TABLES[d][1])
    assert values == pytest.approx(TABLES[d][0])
    assert probabilities == pytest.approx(weight / weight.sum(), abs=2.0**-31)
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("d", range(len(TABLES)))
def test_a_draw_is_the_quantile_at_its_word(tables: LengthTables, d: int) -> None:
    threshold = tables.threshold[tables.first[d] : tables.first[d + 1]].astype(np.int64)
    near = np.concatenate([threshold - 1, threshold, threshold + 1, [0, 1, TOP - 1, TOP]])
    anywhere = np.random.default_rng(d).integers(0, TOP, 100_000, endpoint=True)
    words = np.clip(np.concatenate([near, anywhere]), 0, TOP).astype(np.uint32)
    values, _ = tables.table(d)
    assert (drawn(tables, d, words) == values[np.searchsorted(threshold, words.astype(np.int64))]).all()


@pytest.mark.parametrize("d", range(len(TABLES)))
def test_draws_rise_with_their_words(tables: LengthTables, d: int) -> None:
    words = np.linspace(0, TOP, 10_001).astype(np.uint32)
    assert (np.diff(drawn(tables, d, words)) >= 0).all()


def test_even_words_draw_each_value_as_often_as_it_is_probable(tables: LengthTables) -> None:
    words = (np.arange(1_000_000) * (2**32 / 1_000_000)).astype(np.uint32)
    found, count = np.unique(drawn(tables, 2, words), return_counts=True)
    assert found.tolist() == [10, 20, 30, 1000]
    assert count / words.size == pytest.approx([0.1, 0.6, 0.29, 0.01], abs=2e-6)


def test_means_and_largest_values_are_the_tables(tables: LengthTables) -> None:
    expected = [np.average(values, weights=weights) for values, weights in TABLES]
    assert tables.mean == pytest.approx(expected, rel=1e-6)
    assert tables.largest == pytest.approx([values[-1] for values, _ in TABLES])


def test_a_quantile_is_the_least_value_with_that_much_mass(tables: LengthTables) -> None:
    assert tables.quantile(0.5)[:3].tolist() == [5, 1, 20]
    assert tables.quantile(0.995)[2] == 1000
    assert tables.quantile(0.0)[:3].tolist() == [5, 1, 10]
    assert tables.quantile(1.0)[:3].tolist() == [5, 2, 1000]


def test_tables_concatenate_and_are_taken_in_any_order(tables: LengthTables) -> None:
    both = tables.concat(LengthTables.of([([1.0, 4.0], [0.25, 0.75])]))
    assert both.size == tables.size + 1
    assert both.table(tables.size)[0].tolist() == [1, 4]
    some = both.take(np.array([6, 2, 2]))
    assert some.table(0)[1] == pytest.approx([0.25, 0.75])
    for d in (1, 2):
        assert (some.table(d)[0] == tables.table(2)[0]).all()
        assert (some.table(d)[1] == tables.table(2)[1]).all()
    assert some.mean == pytest.approx(both.mean[[6, 2, 2]])


def test_no_table_at_all_is_a_pool_of_tables_too(tables: LengthTables) -> None:
    none = LengthTables.empty()
    assert none.size == 0
    assert none.mean.size == 0
    assert LengthTables.of([]).size == 0
    assert none.concat(tables).size == tables.concat(none).size == tables.size
    assert (none.concat(tables).mean == tables.mean).all()
