"""Blocks of conversations in time order: turns that come later wait for their time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from groundswell.compose.kernels import in_order
from groundswell.compose.turn_rows import Block
from groundswell.table import Workload

_MOST_PARTS = 32


def settled(blocks: Iterable[Block]) -> Iterator[Workload]:
    """The requests of ``blocks`` in order of time; at least one block, which may be empty.

    What comes after the next block's begin is held back until then: the turns to come of the conversations that are
    going on, which do not grow with the run.
    """
    waiting: list[pl.DataFrame] = []
    begin_s = 0.0
    empty: Workload | None = None
    any_rows = False
    for block in blocks:
        due, held = [], []
        for part in waiting:
            cut = int(part["arrival_s"].search_sorted(block.until_s, side="left"))
            due.append(part.head(cut))
            if cut < part.height:
                held.append(part.slice(cut))
        due.append(
            block.due.frame
        )  # behind those that wait: of requests that come together, conversations are in order
        if block.later is not None and block.later.height:
            held.append(block.later)
        waiting = held if len(held) <= _MOST_PARTS else [_in_order(held, begin_s, block.until_s)]
        now = _in_order(due, begin_s, block.until_s)
        begin_s = max(block.until_s, 0.0)
        empty = Workload(now.head(0))
        if now.height:
            any_rows = True
            yield Workload(now)
    if waiting:
        yield Workload(_in_order(waiting, begin_s, begin_s + 1.0))
    elif empty is not None and not any_rows:
        yield empty


def _in_order(parts: list[pl.DataFrame], begin_s: float, end_s: float) -> pl.DataFrame:
    """The rows of all parts by arrival, most of which lie between the two times; of those that arrive together the
    earlier part's come first.
    """
    some = [part for part in parts if part.height] or parts[:1]
    whole = pl.concat(some, rechunk=True)
    order = in_order(whole["arrival_s"].to_numpy(), begin_s, max(end_s - begin_s, 1e-9))
    return whole.select(pl.all().gather(pl.Series(order).cast(pl.UInt32)))
