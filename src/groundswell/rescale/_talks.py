"""Conversations while they go by: when each began, and when its latest turn came."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.errors import DataError
from groundswell.rescale._table import put, slot_of
from groundswell.table import Workload

Floats = NDArray[np.float64]

IDLE_S = 86_400.0
"""A conversation of which nothing came for so long is forgotten; a later turn begins one anew."""
NO_TURN = -1

TALK = np.dtype(
    [("id", np.int64), ("used", np.bool_), ("start_s", np.float64), ("last_s", np.float64), ("turn", np.int16)]
)
_FEWEST = 1024


@compiled
def _follow(table: Any, talk: Any, alone: Any, at_s: Any, turn: Any, start_s: Any, last_s: Any) -> Any:
    """Fill the start of each row's conversation and its turn before: (places filled, a row that cannot be or -1)."""
    filled = 0
    for i in range(at_s.size):
        if alone[i]:
            start_s[i], last_s[i] = at_s[i], np.nan
            if turn[i] > 1:
                return filled, i
            continue
        h = slot_of(table, talk[i])
        if not table[h]["used"] or at_s[i] - table[h]["last_s"] > IDLE_S:
            filled += not table[h]["used"]
            table[h]["id"], table[h]["used"] = talk[i], True
            table[h]["start_s"], table[h]["last_s"], table[h]["turn"] = at_s[i], np.nan, turn[i]
        elif turn[i] >= 0 and turn[i] < table[h]["turn"] and at_s[i] > table[h]["start_s"]:
            start_s[i] = table[h]["start_s"]
            return filled, i
        start_s[i], last_s[i] = table[h]["start_s"], table[h]["last_s"]
        table[h]["last_s"] = at_s[i]
    return filled, -1


class Talks:
    """The conversations of the blocks so far, which are given in order of time, each once: at most 81 bytes each.

    A conversation begins with the first of its requests that comes by. Turns that come again, as in branches, are fine.
    """

    def __init__(self) -> None:
        self.table = np.zeros(_FEWEST, TALK)
        self.filled = 0

    def follow(self, block: Workload) -> tuple[Floats, Floats]:
        """When each request's conversation began, and when its request before came, nan for its first.

        A request without a conversation is one of its own. Raises DataError for a turn behind the first that has no
        conversation, and for one that comes after a later turn with which its conversation began.
        """
        frame, at_s = block.frame, block.arrival_s
        turn = _column(frame, "turn", NO_TURN)
        if "conversation" in frame.columns:
            talk, alone = _column(frame, "conversation", 0), frame["conversation"].is_null().to_numpy()
        else:
            talk, alone = np.zeros(len(block), np.int64), np.ones(len(block), bool)
        self._make_room(len(block), float(at_s[0]) if len(block) else 0.0)
        start_s, last_s = np.empty(len(block)), np.empty(len(block))
        filled, wrong = _follow(self.table, talk, alone, at_s, turn, start_s, last_s)
        self.filled += filled
        if wrong >= 0:
            place = (
                f"{block.metadata.get('source', 'workload')}: the request at {at_s[wrong]:g} s is turn {turn[wrong]}"
            )
            if alone[wrong]:
                raise DataError(f"{place} of no conversation: name it in the column 'conversation'")
            first = self.table[slot_of(self.table, talk[wrong])]["turn"]
            raise DataError(
                f"{place} of conversation {talk[wrong]}, which began with turn {first} at {start_s[wrong]:g} s; turns "
                "must be in order of time"
            )
        return start_s, last_s

    def _make_room(self, more: int, now_s: float) -> None:
        if 3 * (self.filled + more) <= 2 * self.table.size:
            return
        held = self.table[self.table["used"] & (now_s - self.table["last_s"] <= IDLE_S)]
        size = _FEWEST
        while 2 * size < 3 * (held.size + more):
            size *= 2
        self.table = np.zeros(size, TALK)
        put(self.table, held)
        self.filled = held.size


def _column(frame: pl.DataFrame, name: str, missing: int) -> NDArray[np.int64]:
    if name not in frame.columns:
        return np.full(frame.height, missing, np.int64)
    return frame[name].cast(pl.Int64).fill_null(missing).to_numpy()
