"""The clock goes faster: BurstGPT's scaling of requests per second (arXiv 2401.17644)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from groundswell.rescale import METHODS
from groundswell.table import Workload


@METHODS.register("time")
@dataclass(frozen=True)
class Time:
    """Every time is divided by the factor: arrivals, and the pauses after replies too."""

    shortens: ClassVar[bool] = True

    def rescaled(self, blocks: Iterable[Workload], factor: float, seed: int) -> Iterator[Workload]:
        """``blocks`` at ``factor`` times the rate."""
        for block in blocks:
            times = [name for name in ("arrival_s", "think_s") if name in block.frame.columns]
            yield Workload(block.frame.with_columns(pl.col(times) / factor), block.metadata)
