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

    client: NDArray[np.uint32]
    key: NDArray[np.uint64]
    converses: NDArray[np.bool_]
    items: dict[str, tuple[NDArray[Any], NDArray[Any]]]
    """Of each kind how many a first prompt has, and the sizes of all; later prompts have none."""


@dataclass(frozen=True, eq=False)
class Block:
    """Requests that come before ``until_s``, when the next block begins, and those of the same conversations that come
    later, in order of time. The first are in order too, unless the block has ``later`` ones.
    """

    due: Workload
    later: pl.DataFrame | None
    until_s: float


def rows_of(
    turns: Turns, begun: Begun, names: tuple[str, ...], until_s: float, *, reasons: bool, blocks: bool
) -> Block:
    """The turns from 0 s on; with reasoning and runs of prefix blocks if asked for."""
    at_s = turns.arrival_s
    due = np.flatnonzero((at_s >= 0.0) & (at_s < until_s))
    wait = np.flatnonzero(at_s >= max(until_s, 0.0))
    wait = wait[in_order(at_s[wait], until_s, max(until_s - at_s.min(initial=until_s), 1e-9))]
    made = [_rows(turns, begun, names, order, reasons=reasons, blocks=blocks) for order in (due, wait)]
    return Block(made[0], made[1].frame, until_s)


def _rows(turns: Turns, begun: Begun, names: tuple[str, ...], order: Ints, *, reasons: bool, blocks: bool) -> Workload:
    """The turns number ``order``."""
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
    named = pl.Series("conversation", (begun.key[row] >> np.uint64(2)).astype(np.int64))
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
