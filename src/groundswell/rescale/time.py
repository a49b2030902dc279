"""The clock goes faster: BurstGPT's scaling of requests per second (arXiv 2401.17644)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
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
            # In NumPy, for polars divides a column of one row in another way than a longer one, by a last digit.
            moved = [pl.Series("arrival_s", block.arrival_s / factor)]
            if "think_s" in block.frame.columns:
                think_s = block.frame["think_s"].fill_null(np.nan).to_numpy()
                moved.append(pl.Series("think_s", think_s / factor).fill_nan(None))
            yield Workload(block.frame.with_columns(moved), block.metadata)
