"""The turns of conversations as rows of a workload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.compose.kernels import in_order
from groundswell.compose.turns import gathered
from groundswell.table import Workload, list_column

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Turns:
    """The requests of some conversations, one conversation after the other: a column each, and all runs in a row."""

    row: Ints  # of the conversations' beginnings
    turn: NDArray[np.int16]
    arrival_s: Floats
    think_s: Floats
    input_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]
    reason_tokens: NDArray[np.int32]
    runs: Ints  # numbers of `pairs` of each request
    pairs: Ints


@dataclass(frozen=True, eq=False)
class Begun:
    """The beginnings of these conversations, a row each, in order of time."""

    arrival_s: Floats
    client: NDArray[np.uint32]
    key: NDArray[np.uint64]
    converses: NDArray[np.bool_]
    items: dict[str, tuple[NDArray[Any], NDArray[Any]]]
    """Of each kind how many a first prompt has, and the sizes of all; later prompts have none."""


def rows_of(turns: Turns, begun: Begun, names: tuple[str, ...], *, reasons: bool, blocks: bool) -> Workload:
    """The turns from 0 s on, in order of time; with reasoning and runs of prefix blocks if asked for."""
    order = _order(turns, begun)
    row = turns.row[order]
    whole = Workload.from_columns(
        turns.arrival_s[order],
        begun.client[row],
        names,
        turns.input_tokens[order],
        turns.output_tokens[order],
        turns.reason_tokens[order] if reasons else None,
    )
    turn = pl.Series("turn", turns.turn[order])
    items = [list_column(name, count, size).gather(row) for name, (count, size) in begun.items.items()]
    frame = whole.frame.with_columns(
        pl.when(turn == 1).then(column).otherwise(pl.lit([], column.dtype)).alias(column.name) for column in items
    )
    named = pl.Series("conversation", (begun.key >> np.uint64(2)).astype(np.int64)[row])
    columns = [named, turn]
    if not begun.converses.all():
        talks = pl.Series(begun.converses[row])
        columns = pl.select(pl.when(talks).then(column).alias(column.name) for column in columns).get_columns()
    think_s = pl.Series(turns.think_s[order])
    frame = frame.with_columns(*columns, pl.when(turn > 1).then(think_s).alias("think_s"))
    if blocks:
        pairs = gathered(order, turns.runs, turns.pairs)
        frame = frame.with_columns(list_column("prefix_runs", turns.runs[order], pairs))
    return Workload(frame)


def _order(turns: Turns, begun: Begun) -> NDArray[np.int32]:
    """The turns that come at 0 s or later, in order of time."""
    if not turns.row.size:
        return np.empty(0, np.int32)
    first_s, last_s = begun.arrival_s[0], begun.arrival_s[-1]
    order: NDArray[np.int32] = in_order(turns.arrival_s, first_s, max(last_s - first_s, 1e-9))
    return order[np.searchsorted(turns.arrival_s[order], 0.0) :] if first_s < 0 else order
