"""Who brought a prefix block into a trace: what a copy of a sender has to bring in again, and what it finds there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.rescale._table import put, slot_of

MOST_BLOCKS = 2**21
"""As many blocks are remembered, the latest: some 200 MB. One that is forgotten is new to whoever sends it next."""

BLOCK = np.dtype([("id", np.int64), ("used", np.bool_), ("unit", np.uint64), ("seen_s", np.float64)])
_FEWEST = 1024


@compiled
def _claim(table: Any, ids: Any, count: Any, unit: Any, at_s: Any, own: Any) -> Any:
    """Say of each id whether the unit that sends it was the first that did; how many places were filled."""
    filled, k = 0, 0
    for i in range(count.size):
        for _ in range(count[i]):
            h = slot_of(table, ids[k])
            if not table[h]["used"]:
                filled += 1
                table[h]["id"], table[h]["used"], table[h]["unit"] = ids[k], True, unit[i]
            table[h]["seen_s"] = at_s[i]
            own[k] = table[h]["unit"] == unit[i]
            k += 1
    return filled


class Firsts:
    """The blocks of the prompts so far, which are given in order of time, each once, and who sent each first."""

    def __init__(self) -> None:
        self.table = np.zeros(_FEWEST, BLOCK)
        self.filled = 0

    def own(
        self,
        ids: NDArray[np.int64],
        count: NDArray[np.int64],
        unit: NDArray[np.uint64],
        at_s: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Of each id whether its sender was the first to send it: request i has the next ``count[i]`` of ``ids``."""
        self._make_room(ids.size)
        own = np.empty(ids.size, np.bool_)
        self.filled += _claim(self.table, ids, count, unit, at_s, own)
        return own

    def _make_room(self, more: int) -> None:
        if 2 * (self.filled + more) <= self.table.size:
            return
        held = self.table[self.table["used"]]
        if held.size > MOST_BLOCKS:
            held = held[np.argpartition(held["seen_s"], held.size - MOST_BLOCKS)[-MOST_BLOCKS:]]
        size = _FEWEST
        while size < 3 * (held.size + more):
            size *= 2
        self.table = np.zeros(size, BLOCK)
        put(self.table, held)
        self.filled = held.size
