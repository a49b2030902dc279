"""Every gap between requests shrinks: ServeGen's NAIVE for multi-turn traffic (its Figure 16)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from groundswell.rescale import METHODS
from groundswell.rescale._talks import Talks
from groundswell.table import Workload


@METHODS.register("naive")
@dataclass(frozen=True)
class Naive:
    """All gaps between requests are divided by the factor, those within a conversation among them.

    Replies take as long as they did, so a pause after one is what the shorter gap leaves of it, at least 0.
    """

    shortens: ClassVar[bool] = True

    def rescaled(self, blocks: Iterable[Workload], factor: float, seed: int) -> Iterator[Workload]:
        """``blocks`` at ``factor`` times the rate."""
        talks = Talks()
        for block in blocks:
            moved = [pl.Series("arrival_s", block.arrival_s / factor)]
            if {"conversation", "think_s"} <= set(block.frame.columns):
                _, last_s = talks.follow(block)
                gap_s = block.arrival_s - last_s
                think_s = block.frame["think_s"].fill_null(np.nan).to_numpy()
                left_s = np.maximum(gap_s / factor - (gap_s - think_s), 0.0)
                # What came before the first request is not known, nor is a pause that the trace does not say.
                kept = np.where(np.isnan(left_s), think_s, left_s)
                moved.append(pl.Series("think_s", kept).fill_nan(None))
            yield Workload(block.frame.with_columns(moved), block.metadata)
