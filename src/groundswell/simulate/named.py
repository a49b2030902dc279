"""The blocks of prompts that a workload names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from groundswell.chance import GOLDEN, kernel, mix
from groundswell.errors import DataError
from groundswell.prefix import flat, ids_of
from groundswell.simulate.state import Ints
from groundswell.simulate.turns import Turns
from groundswell.table import BLOCK_SIZE_KEY, Workload


@kernel
def _chain(ids: Any, end: Any) -> None:
    """Each id becomes a number that tells it and all before it in its prompt."""
    j = 0
    for i in range(end.size):
        before = np.uint64(0)
        while j < end[i]:
            before = mix(before * GOLDEN + np.uint64(ids[j]) + np.uint64(1))
            ids[j] = np.int64(before)
            j += 1


@dataclass(frozen=True, eq=False)
class Names:
    """The ids of named blocks of ``block_tokens`` tokens: request i has ``count[i]`` from ``begin[i]`` on in ``ids``.
    ``block_tokens`` is None where nothing is named.

    They are not the workload's own: there equal ids can be equal tokens wherever they stand. Here they are equal tokens
    behind equal tokens, as is the memory of an engine.
    """

    ids: Ints
    begin: Ints
    count: Ints
    block_tokens: int | None

    @classmethod
    def of(cls, workload: Workload, prompt: Ints) -> Names:
        """Those of a workload, as far as they are full. Raises DataError where it does not say how long they are."""
        frame = workload.frame
        if "prefix_runs" in frame.columns:
            count, ids = ids_of(frame["prefix_runs"])
        elif "prefix_blocks" in frame.columns:
            count, ids = flat(frame["prefix_blocks"])
        else:
            nothing = np.zeros(len(workload), np.int64)
            return cls(np.empty(0, np.int64), nothing, nothing, None)
        block_tokens = workload.metadata.get(BLOCK_SIZE_KEY)
        if not isinstance(block_tokens, int):
            raise DataError(f"the workload has prefix blocks, but its metadata does not say {BLOCK_SIZE_KEY}")
        full = np.minimum(count, prompt // block_tokens)
        ids, end = ids if ids.flags.writeable else ids.copy(), np.cumsum(count)
        _chain(ids, end)
        return cls(ids, end - count, full, block_tokens)

    def extended(self, turns: Turns, tokens: Ints) -> Names:
        """With the names that a next turn's prompt has for this turn's reply, as an engine keeps replies too;
        ``tokens`` are in memory when a request ends."""
        if self.block_tokens is None or not self.ids.size:
            return self
        now, later = turns.now, turns.later
        count, more = self.count[now], self.count[later]
        # Equal ids stand behind equal ids, so the last one tells whether all are.
        same = (count > 0) & (more > count)
        last = np.where(same, count - 1, 0)
        at, at_later = np.where(same, self.begin[now] + last, 0), np.where(same, self.begin[later] + last, 0)
        same &= self.ids[at] == self.ids[at_later]
        begin, counts = self.begin.copy(), self.count.copy()
        begin[now] = np.where(same, self.begin[later], self.begin[now])
        counts[now] = np.where(same, np.maximum(np.minimum(more, tokens[now] // self.block_tokens), count), count)
        return Names(self.ids, begin, counts, self.block_tokens)
