"""Recorded conversations as tables of turns, pauses and new text: what a law of conversations is fitted to."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groundswell.clients.session_values import KEPT_STEPS, Values, values_of
from groundswell.length_tables import LengthTables, thresholds

if TYPE_CHECKING:
    from groundswell.clients.pool import ClientPool


def as_laws(pool: ClientPool) -> ClientPool:
    """``pool`` with tables in place of whole conversations (:mod:`groundswell.clients.session_values`).

    The clients that have any get those of ``turns`` and of later turns, over all time, and ``input_tokens`` of first
    prompts, by slot. What prompts share is not in them.
    """
    sessions = pool.sessions
    if sessions is None or not len(sessions):
        return pool
    talks = np.diff(sessions.first) > 0
    ends = ((np.where(pool.stated, whole, at)) for whole, at in zip((-np.inf, np.inf), pool.covered_s, strict=True))
    values = values_of(sessions, *ends)
    fields = (*pool.fields, *(name for name in values if name not in pool.fields))
    table = np.full((*pool.table.shape[:2], len(fields)), -1, np.int32)
    table[:, :, : len(pool.fields)] = pool.table
    lengths = pool.lengths
    for name, one in values.items():
        by_slot = name == "input_tokens"
        slot = _slot_of(pool, one.at_s) if by_slot else np.zeros(one.at_s.size, np.int64)
        at, made = _tables(one, slot, pool.slot_count, KEPT_STEPS if name == "kept_ratio" else 1)
        number = np.full((len(pool), pool.slot_count), -1, np.int64)
        client, slots = np.divmod(at, pool.slot_count)
        number[client, slots] = lengths.size + np.arange(at.size)
        column = fields.index(name)
        table[talks, :, column] = (number if by_slot else number[:, :1])[talks]
        lengths = lengths.concat(made)
    return dataclasses.replace(pool, fields=fields, table=table, lengths=lengths, sessions=None)


def _slot_of(pool: ClientPool, at_s: NDArray[np.float64]) -> NDArray[np.int64]:
    window = np.floor((at_s - pool.start_s) / pool.window_s).astype(np.int64)
    return pool.slot_of_window[np.clip(window, 0, pool.window_count - 1)]


def _tables(values: Values, slot: NDArray[np.int64], slots: int, scale: int) -> tuple[Any, LengthTables]:
    """The distributions of each client and slot that has any, and which these are, as client * slots + slot."""
    some = values.weight > 0
    key, value, weight = (values.client * slots + slot)[some], values.value[some], values.weight[some]
    order = np.lexsort((value, key))
    key, value, weight = key[order], value[order], weight[order]
    begin = np.flatnonzero((np.diff(key, prepend=-1) != 0) | (np.diff(value, prepend=-1) != 0))
    mass = np.add.reduceat(weight, begin) if begin.size else weight
    key, value = key[begin], value[begin]
    first = np.append(np.flatnonzero(np.diff(key, prepend=-1)), key.size).astype(np.int64)
    made = LengthTables(first, (value / scale).astype(np.float32), thresholds(first, mass))
    return key[first[:-1]], made
