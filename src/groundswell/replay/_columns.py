"""A block of requests as the arrays that are sent, each value one that can be meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.errors import DataError
from groundswell.replay.wire import ALONE, Ints

Floats = NDArray[np.float64]

SENT = (
    "input_tokens",
    "output_tokens",
    "conversation",
    "think_s",
    "image_tokens",
    "audio_tokens",
    "prefix_blocks",
    "prefix_runs",
)
"""The columns of a workload that say what is sent, beside when."""
_ITEMS = {"images": "image_tokens", "audio": "audio_tokens", "video": "video_tokens"}
_LOWEST = np.int64(-(2**63))


@dataclass(frozen=True, eq=False)
class Lists:
    """``count[i]`` entries of row ``i``, taken in turn from ``value``; each is ``width`` numbers."""

    count: NDArray[np.integer[Any]]
    value: NDArray[np.integer[Any]]
    width: int = 1

    @cached_property
    def begin(self) -> Ints:
        """Where each row's numbers begin in ``value``, and where the last one's end."""
        return np.concatenate([[0], np.cumsum(self.count, dtype=np.int64)]) * self.width

    def between(self, low: int, high: int) -> Lists:
        """Those of a stretch of rows."""
        return Lists(self.count[low:high], self.value[self.begin[low] : self.begin[high]], self.width)

    def of(self, rows: NDArray[np.intp]) -> Lists:
        """Those of some rows, which rise."""
        chosen = np.zeros(self.count.size, np.bool_)
        chosen[rows] = True
        return Lists(self.count[rows], self.value[np.repeat(chosen, self.count * self.width)], self.width)


@dataclass(frozen=True, eq=False)
class Columns:
    """Requests in order of arrival. ``talk`` is the conversation's number, or ALONE; ``think_s`` is nan where it is not
    told; ``lists`` has runs, images, audio and video, as far as there are any.
    """

    row: Ints
    arrival_s: Floats
    input_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]
    talk: Ints
    think_s: Floats
    lists: Mapping[str, Lists]

    def __len__(self) -> int:
        return self.row.size

    @classmethod
    def of(cls, frame: pl.DataFrame, where: str) -> Columns:
        """Of a frame with ``row``, ``arrival_s`` and those of :data:`SENT` that there are.

        Raises DataError that begins with ``where`` and names column and row, counted from 0.
        """
        for name in ("input_tokens", "output_tokens"):
            _refuse(frame, where, name, frame[name].is_null() if frame[name].null_count() else None, "is empty")
            _refuse_negative(frame, where, name, frame[name].min())
        rows = frame.height
        return cls(
            frame["row"].to_numpy(),
            frame["arrival_s"].to_numpy(),
            frame["input_tokens"].to_numpy(),
            frame["output_tokens"].to_numpy(),
            talks(frame["conversation"]) if "conversation" in frame.columns else np.full(rows, ALONE, np.int64),
            _think(frame, where) if "think_s" in frame.columns else np.full(rows, np.nan),
            _lists(frame, where),
        )


def talks(conversation: pl.Series) -> Ints:
    """The numbers of conversations, :data:`ALONE` for none.

    A conversation whose number is that of none gets the lowest that there is.
    """
    number = conversation.fill_null(ALONE).to_numpy()
    least = conversation.min()
    if not isinstance(least, int) or least > ALONE:
        return number
    return np.where((number == ALONE) & conversation.is_not_null().to_numpy(), _LOWEST, number)


def _think(frame: pl.DataFrame, where: str) -> Floats:
    think = frame["think_s"]
    _refuse_negative(frame, where, "think_s", think.min())
    if think.max() == np.inf:
        _refuse(frame, where, "think_s", think.is_infinite(), "is not finite")
    return think.fill_null(np.nan).to_numpy()


def _lists(frame: pl.DataFrame, where: str) -> dict[str, Lists]:
    found = {}
    for name, column in _ITEMS.items():
        if column in frame.columns:
            found[name] = _flat(frame, where, column)
            _refuse_negative(frame, where, column, found[name].value.min() if found[name].value.size else 0)
    if {"prefix_runs", "prefix_blocks"} & set(frame.columns):
        found["runs"] = runs_in(frame, where)
    return found


def runs_in(frame: pl.DataFrame, where: str) -> Lists:
    """The runs of blocks of each request: pairs of a first id and a number. DataError is raised as above."""
    if "prefix_runs" in frame.columns:
        return _told_runs(frame, where)
    return _joined(_flat(frame, where, "prefix_blocks"))


def _flat(frame: pl.DataFrame, where: str, name: str) -> Lists:
    """A column of lists; none for null."""
    lists = frame[name]
    count = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    value = lists.explode(empty_as_null=False, keep_nulls=False)
    if value.null_count():
        _refuse(frame, where, name, lists.list.eval(pl.element().is_null()).list.any(), "has an empty entry")
    return Lists(count, value.to_numpy())


def _told_runs(frame: pl.DataFrame, where: str) -> Lists:
    """The pairs of ``prefix_runs``."""
    pairs = _flat(frame, where, "prefix_runs")
    wrong = pairs.count % 2 != 0
    if not wrong.any() and pairs.value.size and pairs.value[1::2].min() < 1:
        owner = np.repeat(np.arange(pairs.count.size), pairs.count // 2)
        wrong[owner[pairs.value[1::2] < 1]] = True
    if wrong.any():
        told = "must hold a first id and a number of blocks above 0, in turn, and does not"
        _refuse(frame, where, "prefix_runs", pl.Series(wrong), told)
    return Lists(pairs.count // 2, pairs.value, 2)


def _joined(ids: Lists) -> Lists:
    """Runs of the ids of each request, as :func:`groundswell.prefix.runs_of` makes them."""
    if not ids.value.size:
        return Lists(ids.count, ids.value, 2)
    begins = np.ones(ids.value.size, np.bool_)
    begins[1:] = ids.value[1:] != ids.value[:-1] + 1
    row_begin = np.cumsum(ids.count) - ids.count
    begins[row_begin[ids.count > 0]] = True
    at = np.flatnonzero(begins)
    pairs = np.empty(2 * at.size, np.int64)
    pairs[0::2], pairs[1::2] = ids.value[at], np.diff(at, append=ids.value.size)
    before = np.concatenate([[0], np.cumsum(begins)])
    return Lists(before[row_begin + ids.count] - before[row_begin], pairs, 2)


def _refuse_negative(frame: pl.DataFrame, where: str, name: str, least: Any) -> None:
    if least is not None and least < 0:
        column = frame[name]
        low = column.list.min() if isinstance(column.dtype, pl.List) else column
        _refuse(frame, where, name, low < 0, "is negative")


def _refuse(frame: pl.DataFrame, where: str, name: str, wrong: pl.Series | None, told: str) -> None:
    if wrong is not None:
        row = frame["row"][int(wrong.fill_null(False).arg_max() or 0)]
        raise DataError(f"{where}: column {name!r} {told} in row {row}")
