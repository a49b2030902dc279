"""Ids of the blocks that a prompt is cut into: equal ids are equal tokens, so a server can share them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.errors import DataError, UsageError
from groundswell.formats._block_sizes import resized
from groundswell.formats._lines import input_length
from groundswell.formats._numbering import Numbering
from groundswell.table import BLOCK_SIZE_KEY, Workload, list_column

Ids = NDArray[np.int64]

_BITS = 2**61 - 1
"""Of an id as many bits are written as leave room for one more; ids that need them all are random."""
_MOST_DENSE = 2**31


def block_size(tokens: float, name: str) -> int:
    """``tokens`` as the size of a block. Raises UsageError if it is none."""
    if not (tokens >= 1 and float(tokens).is_integer()):
        raise UsageError(f"{name}: block_tokens must be a whole number of at least 1, not {tokens}")
    return int(tokens)


class BlockIds:
    """Gives every block of every prompt an id, one workload block after the other.

    A prompt of n tokens has ceil(n / block_tokens) ids. Ids that no prefix gives are new ones, counted up, so no two
    requests share them. Where the workload has ``prefix_blocks`` these lead, as 2·id, and the new ones are odd; if they
    are of another size, see :func:`groundswell.formats._block_sizes.resized`. Raises UsageError where neither size is a
    multiple of the other, or theirs is not known.

    ``dense``: ids are 0, 1, 2, … instead, for readers that have 32 bits for them. That takes some 40 bytes of memory
    for each id of a prefix. Raises :class:`DataError` when 32 bits are not enough.
    """

    def __init__(self, block_tokens: int, metadata: Mapping[str, Any], *, dense: bool = False) -> None:
        self.block_tokens = block_tokens
        self.prefix_tokens = metadata.get(BLOCK_SIZE_KEY)
        self.used = 0
        self._numbering = Numbering() if dense else None

    def of(self, block: Workload) -> pl.Series:
        """A list of ids a row."""
        length = block.frame.select(input_length(block)).to_series().to_numpy()
        count = -(-length // self.block_tokens)
        if "prefix_blocks" not in block.frame.columns:
            end = self.used + np.cumsum(count)
            self.used += int(count.sum())
            runs = pl.DataFrame({"start": end - count, "end": end})
            return runs.select(pl.int_ranges("start", "end").alias("hash_ids")).to_series()
        kept, given = self._prefixes(block.frame["prefix_blocks"], length)
        return list_column("hash_ids", count, self._led(kept, given, count))

    def _prefixes(self, prefix: pl.Series, tokens: Ids) -> tuple[Ids, Ids]:
        """How many of each prompt's blocks are given, and their ids in a row."""
        size = self.prefix_tokens
        if not isinstance(size, int) or size < 1:
            raise UsageError(
                "the workload does not say how many tokens each of its prefix blocks stands for, so they cannot be "
                "written as hash_ids; say so where it is read, such as --block-tokens 64"
            )
        if size % self.block_tokens and self.block_tokens % size:
            raise UsageError(
                f"the workload's prefix blocks are of {size} tokens, of which blocks of {self.block_tokens} cannot be "
                f"made; say block_tokens={size}, or a multiple or a part of it"
            )
        length = prefix.list.len().fill_null(0).cast(pl.Int64).to_numpy()
        given = prefix.explode(empty_as_null=False, keep_nulls=False).to_numpy()
        if size != self.block_tokens:
            return resized(given, length, tokens.astype(np.int64), size, self.block_tokens)
        kept = np.minimum(length, -(-tokens // size))
        return kept, given[_within(length) < np.repeat(kept, length)]

    def _led(self, kept: Ids, given: Ids, count: Ids) -> Ids:
        """The ids of all blocks: of each prompt those that are given, and new ones."""
        place = _within(count)  # of each id in its row
        leads = place < np.repeat(kept, count)
        ids = np.zeros(place.size, np.int64)
        new = place.size - int(kept.sum())
        if self._numbering is None:
            ids[leads] = 2 * (given & _BITS)
            ids[~leads] = 2 * (self.used + np.arange(new)) + 1
        else:
            ids[leads] = given
            ids = self._numbering.of(ids, ~leads)
            if self._numbering.given > _MOST_DENSE:
                raise DataError(
                    f"the workload has more than {_MOST_DENSE:,} different blocks of {self.block_tokens} tokens, for "
                    "which this format's ids have no room; write less of it, or larger blocks"
                )
        self.used += new
        return ids


def _within(count: Ids) -> Ids:
    """0 … count[i]-1 for each i, in a row."""
    first = np.cumsum(count) - count
    return np.arange(int(count.sum())) - np.repeat(first, count)
