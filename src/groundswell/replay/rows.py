"""The requests of a batch, one object each, made of its columns a few at a time."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswell.replay.wire import Batch, Ints, column

NO_RUNS: Ints = np.empty(0, np.int64)


class Row(msgspec.Struct, gc=False):
    """One request of the workload: what is to be sent, and when."""

    row: int
    due_ns: int
    """From the run's begin; for a later turn, where there is no reply that it waits for."""
    talk: int
    think_ns: int | None
    last: int
    input_tokens: int
    output_tokens: int
    runs: Ints
    images: list[int]
    audio: list[int]


class Rows:
    """What is left of a batch. The run begins at ``begin_s`` of its clock, and nothing is due before ``from_s`` of the
    run's."""

    def __init__(self, batch: Batch, begin_s: float = 0.0, from_s: float = 0.0) -> None:
        self._batch, self._size, self._at = batch, len(batch), 0
        self._begin_s, self._from_s = begin_s, from_s
        self._ends = {name: np.cumsum(column(batch, count)) for name, count in _COUNTS.items()}

    def __len__(self) -> int:
        return self._size - self._at

    def take(self, count: int) -> list[Row]:
        """The next ``count`` requests, or as many as there are."""
        begin, end = self._at, min(self._at + count, self._size)
        self._at = end

        def part(name: str) -> list[int]:
            values: list[int] = column(self._batch, name)[begin:end].tolist()
            return values

        due_s = np.maximum(column(self._batch, "due_s")[begin:end] - self._begin_s, self._from_s)
        due_ns = np.rint(due_s * 1e9).astype(np.int64).tolist()
        think = column(self._batch, "think_s")[begin:end].tolist()
        runs, images, audio = (self._lists(name, begin, end) for name in ("runs", "images", "audio"))
        return [
            Row(row, due, talk, None if math.isnan(wait) else round(wait * 1e9), last, ins, outs, blocks, seen, heard)
            for row, due, talk, wait, last, ins, outs, blocks, seen, heard in zip(
                part("row"),
                due_ns,
                part("talk"),
                think,
                part("last"),
                part("input_tokens"),
                part("output_tokens"),
                runs,
                [one.tolist() for one in images],
                [one.tolist() for one in audio],
                strict=True,
            )
        ]

    def _lists(self, name: str, begin: int, end: int) -> list[NDArray[np.int64]]:
        values, ends = column(self._batch, name), self._ends[name]
        if not values.size:
            return [NO_RUNS] * (end - begin)
        times = 2 if name == "runs" else 1  # a run is two numbers
        edges = [0 if begin == 0 else times * int(ends[begin - 1]), *(times * ends[begin:end]).tolist()]
        return [values[low:high] for low, high in pairwise(edges)]


_COUNTS = {"runs": "run_count", "images": "image_count", "audio": "audio_count"}
