"""Conversations begin faster, and go on as they did: ServeGen's ITT (its Figure 16)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from groundswell.rescale import METHODS
from groundswell.rescale._talks import Talks
from groundswell.rescale._waiting import in_time
from groundswell.table import Workload


@METHODS.register("itt")
@dataclass(frozen=True)
class Itt:
    """The begins of conversations are divided by the factor; each turn keeps its distance from its conversation's
    begin.

    So the span is divided by the factor, and the later turns of the last conversations come after it. A request without
    a conversation is one of a single turn.
    """

    shortens: ClassVar[bool] = True

    def rescaled(self, blocks: Iterable[Workload], factor: float, seed: int) -> Iterator[Workload]:
        """``blocks`` at ``factor`` times the rate. For a factor above 1, what waits is what open conversations have yet
        to send; below 1 nobody can say when an early conversation will send again, so that all that is moved waits.
        """
        return in_time(_placed(blocks, factor))


def _placed(blocks: Iterable[Workload], factor: float) -> Iterator[tuple[Workload, float]]:
    talks = Talks()
    for block in blocks:
        if not len(block):
            continue
        arrival_s = block.arrival_s
        start_s, _ = talks.follow(block)
        moved = pl.Series("arrival_s", start_s / factor + (arrival_s - start_s))
        # A turn at t comes at t - start·(1 - 1/factor), and its start is from 0 to t.
        named = "conversation" in block.frame.columns
        least = arrival_s[-1] / factor if factor >= 1.0 or not named else arrival_s[-1]
        yield Workload(block.frame.with_columns(moved), block.metadata), float(least)
