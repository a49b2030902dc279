"""Prefix blocks in runs: what a prompt shares with others, in memory that does not grow with its length.

A prompt is cut into blocks of a fixed number of tokens, and each has an id: equal ids are equal tokens behind equal
tokens. Most of a prompt's blocks follow one another, so the column ``prefix_runs`` has for each request the first id of
every run and its number of blocks, in turn: ``[7, 3, 40, 2]`` is 7, 8, 9, 40, 41. A workload has one of the two columns
or none; whoever wants the ids themselves takes a workload as it comes through :func:`expanded`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.errors import DataError
from groundswell.table import Workload, list_column

Ints = NDArray[np.int64]

MOST_IDS = 2**22
"""As many ids :func:`expanded` puts into one block, and what is left of its last request's."""


@compiled
def _fill(pairs: Any, out: Any) -> None:
    k = 0
    for r in range(0, pairs.size, 2):
        for j in range(pairs[r + 1]):
            out[k] = pairs[r] + j
            k += 1


@compiled
def _join(ids: Any, end: Any, pairs: Any, count: Any) -> Any:
    """Runs of the ids of each request; how many numbers of ``pairs`` that took."""
    n, begin = 0, 0
    for i in range(end.size):
        before = n
        for j in range(begin, end[i]):
            if n > before and ids[j] == pairs[n - 2] + pairs[n - 1]:
                pairs[n - 1] += 1
            else:
                pairs[n], pairs[n + 1] = ids[j], 1
                n += 2
        count[i] = n - before
        begin = end[i]
    return n


def flat(lists: pl.Series) -> tuple[Ints, Ints]:
    """How many numbers each row of a list column has, shape [N], and all of them in a row; none for null."""
    count = lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    return count, lists.explode(empty_as_null=False, keep_nulls=False).to_numpy()


def ids_of(runs: pl.Series) -> tuple[Ints, Ints]:
    """How many blocks each request of a ``prefix_runs`` column has, shape [N], and the ids of all, in a row."""
    count, pairs = flat(runs)
    if pairs.size % 2 or (count % 2).any() or (pairs[1::2] < 1).any():
        raise DataError("workload: column 'prefix_runs' must hold a first id and a number of blocks above 0, in turn")
    running = np.concatenate([[0], np.cumsum(pairs[1::2])])
    blocks = np.diff(running[np.concatenate([[0], np.cumsum(count // 2)])])
    ids = np.empty(int(running[-1]), np.int64)
    _fill(pairs, ids)
    return blocks, ids


def runs_of(blocks: pl.Series) -> pl.Series:
    """A ``prefix_blocks`` column as ``prefix_runs``; :func:`ids_of` undoes it."""
    count, ids = flat(blocks)
    pairs, length = np.empty(2 * ids.size, np.int64), np.empty(count.size, np.int64)
    used = _join(ids, np.cumsum(count), pairs, length)
    return list_column("prefix_runs", length, pairs[:used])


def with_blocks(block: Workload) -> Workload:
    """``block`` with its ``prefix_runs``, if it has any, as ``prefix_blocks``."""
    if "prefix_runs" not in block.frame.columns:
        return block
    count, ids = ids_of(block.frame["prefix_runs"])
    frame = block.frame.drop("prefix_runs").with_columns(list_column("prefix_blocks", count, ids))
    return Workload(frame, block.metadata)


def expanded(blocks: Iterable[Workload], most: int = MOST_IDS) -> Iterator[Workload]:
    """``blocks`` with ids instead of runs, cut so that in none more than ``most`` ids come before its last request's;
    others pass as they are.
    """
    for block in blocks:
        if "prefix_runs" not in block.frame.columns:
            yield block
            continue
        held = block.frame.select(
            pl.col("prefix_runs").list.gather_every(2, 1).list.sum().fill_null(0).alias("blocks")
        )["blocks"]
        part = ((held.cum_sum() - held) // most).to_numpy()
        edge = (
            np.concatenate([[0], np.flatnonzero(np.diff(part)) + 1, [len(block)]]) if len(block) else np.array([0, 0])
        )
        for low, high in zip(edge[:-1].tolist(), edge[1:].tolist(), strict=True):
            yield with_blocks(Workload(block.frame.slice(low, high - low), block.metadata))
