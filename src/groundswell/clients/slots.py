"""Slots, the longer stretches of time that lengths are known over: which one is drawn from, and means over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def slot_of_window(middle_s: Floats, start_s: float, slot_s: float, count: int) -> Ints:
    """The slot that each window's middle lies in, shape [W]: slots count from the one that ``start_s`` lies in."""
    first = np.floor(start_s / slot_s + 1e-9)
    slot = np.floor(middle_s / slot_s + 1e-9) - first
    return np.asarray(np.clip(slot, 0, count - 1), np.int64)


def nearest_slot(held: Bools) -> Ints:
    """For each client and slot the nearest slot in time that holds something, shape [C, S], the earlier of two as near;
    -1 for clients of which none does."""
    count = held.shape[1]
    slots = np.arange(count)
    before = np.maximum.accumulate(np.where(held, slots, -1), axis=1)
    after = np.minimum.accumulate(np.where(held, slots, 2 * count)[:, ::-1], axis=1)[:, ::-1]
    use_before = (before >= 0) & ((after >= count) | (slots - before <= after - slots))
    return np.where(use_before, before, np.where(after < count, after, -1))


def with_neighbours(table: NDArray[np.int32], nearest: Ints, low: int, high: int) -> NDArray[np.int32]:
    """Slots ``low`` to ``high`` of ``table``, [C, S, F]; a client that has no lengths within them brings its nearest
    ones from outside."""
    wanted = nearest[:, low:high]
    outside = ((wanted < low) | (wanted >= high)) & (wanted >= 0)
    kept = table[:, low:high].copy()
    rows, slots = np.nonzero(outside)
    kept[rows, slots] = table[rows, wanted[rows, slots]]
    return kept


def mean_over_slots(value: Floats, held: Bools, weight: Floats) -> Floats:
    """Every client's mean of ``value`` over the slots that are ``held``, weighted, shape [C]; the plain one where all
    weights are 0, and nan where none is held."""
    weight = np.where(held, weight, 0.0)
    weight = np.where(held & (weight.sum(axis=1, keepdims=True) == 0), 1.0, weight)
    total = weight.sum(axis=1)
    summed = np.nansum(np.where(weight > 0, value, 0) * weight, axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(summed / np.where(total > 0, total, np.nan))
