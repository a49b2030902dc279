"""Rows found by their id: an array of records with an ``id`` and whether the place is ``used``, a power of two long."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import compiled, mix


@compiled
def slot_of(table: Any, key: Any) -> Any:
    """Where the row whose id is ``key`` is, or would be put."""
    mask = np.uint64(table.size - 1)
    h = mix(np.uint64(key)) & mask
    while table[h]["used"] and table[h]["id"] != key:
        h = (h + np.uint64(1)) & mask
    return h


@compiled
def put(table: Any, rows: Any) -> None:
    """Put ``rows`` where they belong; there must be room."""
    for i in range(rows.size):
        table[slot_of(table, rows[i]["id"])] = rows[i]
