"""Ids of the blocks that a prompt is cut into: equal ids are equal tokens, so a server can share them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.formats._lines import input_length
from groundswell.table import Workload, list_column

BLOCK_SIZE_KEY = "prefix_block_tokens"
"""Where a workload's metadata says how many tokens each of its ``prefix_blocks`` stands for."""


def block_size(tokens: float, name: str) -> int:
    """``tokens`` as the size of a block. Raises UsageError if it is none."""
    if not (tokens >= 1 and float(tokens).is_integer()):
        raise UsageError(f"{name}: block_tokens must be a whole number of at least 1, not {tokens}")
    return int(tokens)


class BlockIds:
    """Gives every block of every prompt an id, one workload block after the other.

    A prompt of n tokens has ceil(n / block_tokens) ids. Ids that no prefix gives are new ones, counted up, so no two
    requests share them. Where the workload has ``prefix_blocks`` these lead, as 2·id, and the new ones are odd.
    """

    def __init__(self, block_tokens: int, metadata: Mapping[str, Any]) -> None:
        self.block_tokens = block_tokens
        self.prefix_tokens = metadata.get(BLOCK_SIZE_KEY)
        self.used = 0

    def of(self, block: Workload) -> pl.Series:
        """A list of ids a row."""
        length = block.frame.select(input_length(block)).to_series().to_numpy()
        count = -(-length // self.block_tokens)
        if "prefix_blocks" not in block.frame.columns:
            end = self.used + np.cumsum(count)
            self.used += int(count.sum())
            runs = pl.DataFrame({"start": end - count, "end": end})
            return runs.select(pl.int_ranges("start", "end").alias("hash_ids")).to_series()
        return list_column("hash_ids", count, self._with_prefix(block, count))

    def _with_prefix(self, block: Workload, count: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.prefix_tokens != self.block_tokens:
            raise UsageError(
                f"the workload's prefix blocks are of {self.prefix_tokens} tokens, not {self.block_tokens}; "
                f"say block_tokens={self.prefix_tokens}"
            )
        prefix = block.frame["prefix_blocks"]
        length = prefix.list.len().fill_null(0).cast(pl.Int64).to_numpy()
        given = prefix.explode(empty_as_null=False, keep_nulls=False).to_numpy()
        kept = np.minimum(length, count)
        place = _within(count)  # of each id in its row
        leads = place < np.repeat(kept, count)
        ids = np.empty(place.size, np.int64)
        ids[leads] = 2 * given[_within(length) < np.repeat(kept, length)]
        ids[~leads] = 2 * (self.used + np.arange(place.size - int(kept.sum()))) + 1
        self.used += place.size - int(kept.sum())
        return ids


def _within(count: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 … count[i]-1 for each i, in a row."""
    first = np.cumsum(count) - count
    return np.arange(int(count.sum())) - np.repeat(first, count)
