"""Composing from pools whose clock or scale is unusual."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from groundswell.compose import compose
from groundswell.errors import UsageError
from groundswell.length_tables import LengthTables
from pools import recorded_pool


def test_windows_that_start_half_way_have_requests_of_their_own() -> None:
    pool = dataclasses.replace(recorded_pool(np.full((1, 6), 0.2)), start_s=300.0)
    arrival_s = compose(pool, seed=1).collect().arrival_s
    first = [arrival_s[(arrival_s >= 600 * w) & (arrival_s < 600 * w + 600)][0] - 600 * w for w in range(6)]
    assert np.unique(np.round(first, 6)).size == 6


@pytest.mark.parametrize("by", [0.1, 10.0])
@pytest.mark.parametrize("shape", [1.0, 0.25])
def test_a_scaled_pool_is_active_when_the_pool_was(by: float, shape: float) -> None:
    full = recorded_pool(np.full((1, 1), 2.0), parameters=(shape, 0.5 / shape))
    part = recorded_pool(np.full((1, 1), 2.0), parameters=(shape, 0.1 / shape))
    for pool, most in ((full, 600.0), (part, 120.0)):
        arrival_s = compose(pool.scaled(by), seed=1).collect().arrival_s
        assert 0.85 * most < np.ptp(arrival_s) <= most


def test_scaling_leaves_what_a_client_states_alone() -> None:
    pool = recorded_pool(np.full((1, 1), 2.0), stated=True, parameters=(0.25, 4.0))
    assert pool.scaled(2.0).second_parameter[0, 0] == 4.0


def test_a_view_of_windows_that_straddle_slots_keeps_their_lengths() -> None:
    pool = recorded_pool(np.ones((1, 6)))
    lengths = LengthTables.of([([v], [1.0]) for v in (1, 2, 3, 4, 5)])
    table = np.array([[[0, 4], [1, 4], [2, 4], [3, 4]]], np.int32)
    pool = dataclasses.replace(pool, start_s=400.0, slot_s=1200.0, table=table, lengths=lengths)
    for low in range(6):
        view = pool.between(400.0 + 600.0 * low, pool.end_s)
        drawn = [p.lengths.mean[p.table[0, p.slot_of_window, 0]] for p in (pool, view)]
        np.testing.assert_array_equal(drawn[0][low:], drawn[1])


def test_a_run_shorter_than_the_clock_can_tell_is_a_run() -> None:
    pool = recorded_pool(np.ones((1, 2)))
    assert len(compose(pool, 1e9, 1e-7, seed=1).collect()) == 100
    assert len(compose(pool, 1e9, 1e-7, seed=1, start_s=1200.0 - 1e-7).collect()) == 100


@pytest.mark.parametrize("start_s", [np.nan, 1e9, 1200.0, -1.0])
def test_a_start_outside_the_pool_is_named_as_the_fault(start_s: float) -> None:
    with pytest.raises(UsageError, match="begins at"):
        compose(recorded_pool(np.ones((1, 2))), start_s=start_s)


def test_a_curve_may_be_an_array() -> None:
    pool, points = recorded_pool(np.ones((1, 2))), [(0.0, 1.0), (600.0, 5.0)]
    assert compose(pool, np.array(points), seed=1).collect().frame.equals(compose(pool, points, seed=1).collect().frame)
    with pytest.raises(UsageError, match="points"):
        compose(pool, np.array([1.0, 2.0]))
