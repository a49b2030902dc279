"""When each request of a run is due, and which worker sends it: a workload as batches, ahead of time.

Everything is a function of the workload and the number of workers; no time is read and no number drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.replay._columns import SENT, Columns, Lists, talks
from groundswell.replay._turns import Open, last_of
from groundswell.replay.prompts import mixed
from groundswell.replay.source import Source
from groundswell.replay.wire import ALONE, Batch, Ints, batch_of

Turns = Literal["closed", "open"]

BLOCK_ROWS = 2**12
"""As many requests are handed out at a time."""
_BLOCK_VALUES = 2**20
"""As many numbers of their lists, unless one request has more."""
_COUNTS = {"runs": "run_count", "images": "image_count", "audio": "audio_count"}


class Schedule:
    """Batches for ``workers``, in order of arrival; iterating it begins anew each time.

    Each step is ``(upto_s, batches)``: one batch for each worker, None where it has nothing to send, with every request
    that arrives up to ``upto_s`` and was not in a step before. ``due_s`` is the arrival in the workload. A conversation
    belongs to one worker, by a hash of its number; what belongs to none goes to the workers by turns.

    With ``turns`` "closed" a later turn waits for the reply before it and then for ``think_s``: the workload's, or what
    its arrivals leave after a reply at the nominal speed of :mod:`groundswell.service`. "open" has each due at its
    arrival. Sent is what arrives from ``from_s`` on and before ``until_s``, without the rows that ``skip`` marks; a
    conversation's first turn among those waits for nothing, and its last one is marked.

    Raises UsageError for a number of workers or turns that cannot be meant, and while it is iterated DataError for
    values that cannot, as :meth:`groundswell.table.Workload.checked` does.
    """

    def __init__(
        self,
        source: Source,
        workers: int,
        turns: Turns = "closed",
        *,
        skip: NDArray[np.bool_] | None = None,
        from_s: float = -inf,
        until_s: float = inf,
    ) -> None:
        if workers < 1:
            raise UsageError(f"{workers} workers: must be at least 1")
        if turns not in ("closed", "open"):
            raise UsageError(f"turns {turns!r}: must be closed or open")
        self.source = source
        self.workers = workers
        self.turns = turns
        self._chosen: dict[str, Any] = {"from_s": from_s, "until_s": until_s, "skip": skip}

    def __iter__(self) -> Iterator[tuple[float, list[Batch | None]]]:
        ends, open_talks = self._ends(), Open()
        for frame in self.source.blocks(SENT, **self._chosen):
            block = Columns.of(frame, self.source.name)
            last = _marked(ends, block.row)
            think_s = np.full(block.row.size, np.nan)
            if self.turns == "closed" and ends is not None:
                think_s = open_talks.think_s(block, last)
            worker = worker_of(block.row, block.talk, self.workers)
            for low, high in _cut(block):
                batches = self._batches(block, slice(low, high), last, think_s, worker)
                yield float(block.arrival_s[high - 1]), batches

    def _ends(self) -> NDArray[np.uint8] | None:
        """The bits of the last turns; None where no request belongs to a conversation."""
        if "conversation" not in self.source.columns:
            return None
        blocks = self.source.blocks(["conversation"], **self._chosen)
        pairs = ((frame["row"].to_numpy(), talks(frame["conversation"])) for frame in blocks)
        return last_of(pairs, self.source.requests)

    def _batches(
        self,
        block: Columns,
        rows: slice,
        last: NDArray[np.bool_],
        think_s: NDArray[np.float64],
        worker: Ints,
    ) -> list[Batch | None]:
        columns = {
            "row": block.row[rows],
            "due_s": block.arrival_s[rows],
            "talk": block.talk[rows],
            "think_s": think_s[rows],
            "last": last[rows],
            "input_tokens": block.input_tokens[rows],
            "output_tokens": block.output_tokens[rows],
        }
        lists = {name: values.between(rows.start, rows.stop) for name, values in block.lists.items()}
        if self.workers == 1:
            return [_batch(columns, lists)]
        places = [np.flatnonzero(worker[rows] == w) for w in range(self.workers)]
        return [
            _batch(
                {name: column[place] for name, column in columns.items()},
                {name: values.of(place) for name, values in lists.items()},
            )
            if place.size
            else None
            for place in places
        ]


def worker_of(row: Ints, talk: Ints, workers: int) -> Ints:
    """Who sends each request: by a hash of its conversation's number, or of those by turns that belong to none."""
    return np.where(talk == ALONE, row % workers, (mixed(talk.astype(np.uint64)) % np.uint64(workers)).astype(np.int64))


def _marked(ends: NDArray[np.uint8] | None, row: Ints) -> NDArray[np.bool_]:
    """Which rows are the last of their conversation."""
    if ends is None:
        return np.zeros(row.size, np.bool_)
    return np.asarray(ends[row >> 3] >> (7 - (row & 7)).astype(np.uint8) & 1, np.bool_)


def _cut(block: Columns) -> Iterator[tuple[int, int]]:
    """The block in stretches of rows that have neither many rows nor many numbers in their lists."""
    rows = block.row.size
    held = sum((lists.begin for lists in block.lists.values()), np.zeros(rows + 1, np.int64))
    low = 0
    while low < rows:
        most = int(np.searchsorted(held, held[low] + _BLOCK_VALUES, side="right")) - 1
        high = min(low + BLOCK_ROWS, max(most, low + 1), rows)
        yield low, high
        low = high


def _batch(columns: dict[str, NDArray[Any]], lists: dict[str, Lists]) -> Batch:
    more = {key: array for name, v in lists.items() for key, array in ((_COUNTS[name], v.count), (name, v.value))}
    return batch_of(**columns, **more)
