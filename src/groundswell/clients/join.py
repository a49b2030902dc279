"""Several pools as one: their clients side by side, on the grids and the span that they share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from groundswell.clients.cover import covering
from groundswell.clients.pool import FIELDS, ClientPool
from groundswell.clients.sessions import Sessions
from groundswell.errors import UsageError
from groundswell.length_tables import LengthTables

_OFF_GRID = 1e-6  # of a window


def concat(pools: Sequence[ClientPool]) -> ClientPool:
    """The clients of all ``pools``, in order, for the time that all of them cover on their clocks.

    Windows and slots take the finest of the pools' lengths, which must divide the others; a coarser one is repeated. A
    field that only some pools have stays empty for the others' clients. UsageError if clients share a name (see
    :meth:`ClientPool.renamed`), if the pools share no time, or if their grids do not fit.
    """
    if not pools:
        raise UsageError("there are no pools to join")
    if len(pools) == 1:
        return pools[0]
    _check_names(pools)
    window_s, slot_s = min(pool.window_s for pool in pools), min(pool.slot_s for pool in pools)
    grid_s = max(pool.start_s for pool in pools)
    covered_s = max(pool.covered_s[0] for pool in pools), min(pool.covered_s[1] for pool in pools)
    if not covered_s[0] < covered_s[1] - _OFF_GRID * window_s:
        spans = ", ".join("{:g} to {:g} s".format(*pool.covered_s) for pool in pools)
        raise UsageError(f"the pools share no time: they hold {spans}")
    parts = [_on_grid(pool, window_s, slot_s, grid_s).between(*covered_s) for pool in pools]
    families = tuple(dict.fromkeys(family for pool in parts for family in pool.families))
    fields = tuple(field for field in FIELDS if any(field in pool.fields for pool in parts))
    lengths = LengthTables.empty()
    tables = []
    for pool in parts:
        table = np.full((*pool.table.shape[:2], len(fields)), -1, np.int32)
        table[:, :, [fields.index(field) for field in pool.fields]] = np.where(
            pool.table >= 0, pool.table + lengths.size, -1
        )
        tables.append(table)
        lengths = lengths.concat(pool.lengths)
    return ClientPool(
        names=tuple(name for pool in parts for name in pool.names),
        rate_per_s=np.concatenate([pool.rate_per_s for pool in parts]),
        cv=np.concatenate([pool.cv for pool in parts]),
        family=np.concatenate([_renumbered(pool, families) for pool in parts]),
        first_parameter=np.concatenate([pool.first_parameter for pool in parts]),
        second_parameter=np.concatenate([pool.second_parameter for pool in parts]),
        families=families,
        stated=np.concatenate([pool.stated for pool in parts]),
        fields=fields,
        table=np.concatenate(tables),
        lengths=lengths,
        start_s=parts[0].start_s,
        window_s=window_s,
        slot_s=slot_s,
        sessions=_sessions(parts),
        origin=covering(
            {"kind": "concat", "pools": [pool.origin for pool in parts]}, parts[0].start_s, parts[0].end_s, covered_s
        ),
    )


def _sessions(pools: Sequence[ClientPool]) -> Sessions | None:
    if all(pool.sessions is None for pool in pools):
        return None
    return Sessions.concat([pool.sessions or Sessions.none(len(pool)) for pool in pools])


def _check_names(pools: Sequence[ClientPool]) -> None:
    seen: set[str] = set()
    for pool in pools:
        both = seen.intersection(pool.names)
        if both:
            raise UsageError(
                f"two pools have a client {min(both)!r}; give one pool's clients other names first, "
                "such as pool.renamed(lambda name: 'b-' + name)"
            )
        seen.update(pool.names)


def _on_grid(pool: ClientPool, window_s: float, slot_s: float, start_s: float) -> ClientPool:
    """``pool`` with every window and slot cut into finer ones of the given lengths."""
    windows, slots = round(pool.window_s / window_s), round(pool.slot_s / slot_s)
    for what, own_s, fine_s, cut in (
        ("windows", pool.window_s, window_s, windows),
        ("slots", pool.slot_s, slot_s, slots),
    ):
        if abs(own_s - cut * fine_s) > _OFF_GRID * fine_s:
            raise UsageError(f"the pools' {what} do not fit: {own_s:g} s is not a whole number of {fine_s:g} s")
    offset = (start_s - pool.start_s) / window_s
    if abs(offset - round(offset)) > _OFF_GRID:
        raise UsageError(
            f"the pools' windows do not fit: they start at {pool.start_s:g} s and {start_s:g} s, "
            f"which is not a whole number of {window_s:g} s apart"
        )
    return dataclasses.replace(
        pool,
        rate_per_s=np.repeat(pool.rate_per_s, windows, axis=1),
        cv=np.repeat(pool.cv, windows, axis=1),
        family=np.repeat(pool.family, windows, axis=1),
        first_parameter=np.repeat(pool.first_parameter, windows, axis=1),
        second_parameter=np.repeat(pool.second_parameter, windows, axis=1),
        table=pool.table[:, _slot_under(pool, slot_s)],
        window_s=window_s,
        slot_s=slot_s,
    )


def _slot_under(pool: ClientPool, slot_s: float) -> NDArray[np.int64]:
    """For each slot of length ``slot_s`` over the pool's span, the pool's own slot that holds it."""
    first, own_first = np.floor(pool.start_s / slot_s + 1e-9), np.floor(pool.start_s / pool.slot_s + 1e-9)
    count = int(max(np.ceil(pool.end_s / slot_s - 1e-9) - first, 1))
    middle = (first + np.arange(count) + 0.5) * slot_s
    own: NDArray[np.int64] = (np.floor(middle / pool.slot_s) - own_first).astype(np.int64)
    return np.clip(own, 0, pool.slot_count - 1)


def _renumbered(pool: ClientPool, families: tuple[str, ...]) -> NDArray[np.uint8]:
    """The pool's families as indices into ``families``."""
    number = np.array([families.index(family) for family in pool.families], np.uint8)
    return number[pool.family]
