"""Blocks of conversations in time order: turns that come later wait for their time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from groundswell.table import Workload

_MOST_PARTS = 32


def settled(blocks: Iterable[tuple[Workload, float]]) -> Iterator[Workload]:
    """Blocks whose requests follow one another, of blocks that each come with the time when the next one begins.

    A block holds requests from its own time on, in order; those after the next block's begin are held back until
    then. What is held is the turns to come of the conversations that are going on: it does not grow with the run.
    """
    later: list[pl.DataFrame] = []
    empty: Workload | None = None
    any_rows = False
    for block, next_s in blocks:
        due = []
        waiting = []
        for part in (*later, block.frame):
            cut = int(part["arrival_s"].search_sorted(next_s))
            due.append(part.head(cut))
            if cut < part.height:
                waiting.append(part.slice(cut))
        later = [_in_order(waiting)] if len(waiting) > _MOST_PARTS else waiting
        now = _in_order(due)
        if now.height:
            any_rows = True
            yield Workload(now, block.metadata)
        empty = Workload(block.frame.head(0), block.metadata)
    if later:
        any_rows = True
        yield Workload(_in_order(later))
    if empty is not None and not any_rows:
        yield empty


def _in_order(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all parts by arrival; among those that arrive together the earlier part's come first."""
    some = [part for part in parts if part.height] or parts[:1]
    return some[0] if len(some) == 1 else pl.concat(some).sort("arrival_s", maintain_order=True)
