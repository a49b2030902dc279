"""Ids of prompts' blocks for blocks of another size: finer ones follow from a coarser, a coarser from all its finer.

Two prompts share a block of the new size where the ids of the old size say that they share all of it, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, inf
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import GOLDEN, compiled, mix
from groundswell.formats._json_values import is_number

Ids = NDArray[np.int64]

_PLAIN = 2**40
"""Ids below this stay small, so that files do."""


def resized(ids: Ids, count: Ids, tokens: Ids, size: int, to: int) -> tuple[Ids, Ids]:
    """How many blocks of ``to`` tokens the first ids of each prompt stand for, and their ids in a row.

    A prompt of ``tokens[i]`` tokens begins with ``count[i]`` blocks of ``size``, of which ``ids`` has the ids in a row;
    one of ``size`` and ``to`` must be a multiple of the other. The ids are between 0 and 2⁶². A finer block is its
    place in the coarser; a coarser block that the ids cover in part is left out, unless the prompt ends in it.
    """
    there = np.minimum(count, -(-tokens // size))
    begin = np.cumsum(count) - count
    if to <= size:
        part = size // to
        kept = np.minimum(there * part, -(-tokens // to))
        return kept, _finer(ids, begin, kept, part)
    run = to // size
    ends = there * size >= tokens
    kept = np.where(ends, -(-there // run), there // run)
    return kept, _coarser(ids, begin, there, kept, run)


@compiled
def _finer(ids: Any, begin: Any, kept: Any, part: int) -> Any:
    out = np.empty(kept.sum(), np.int64)
    at = 0
    for i in range(kept.size):
        for j in range(kept[i]):
            block, place = ids[begin[i] + j // part], j % part
            if 0 <= block < _PLAIN:
                out[at] = block * part + place
            else:
                out[at] = _joined(_joined(np.uint64(0), block), place) >> np.uint64(2)
            at += 1
    return out


@compiled
def _coarser(ids: Any, begin: Any, there: Any, kept: Any, run: int) -> Any:
    out = np.empty(kept.sum(), np.int64)
    at = 0
    for i in range(kept.size):
        for j in range(kept[i]):
            word = np.uint64(0)
            for block in ids[begin[i] + j * run : begin[i] + min((j + 1) * run, there[i])]:
                word = _joined(word, block)
            out[at] = word >> np.uint64(2)
            at += 1
    return out


@compiled
def _joined(word: Any, number: Any) -> Any:
    """A word that says what came before and ``number``."""
    return mix(mix(word + GOLDEN) ^ np.uint64(number))


def block_range(rows: Iterable[Mapping[str, Any]], length: str, ids: str) -> tuple[float, float]:
    """The smallest and the largest size of a block with which each prompt has as many blocks as ids."""
    low, high = 1.0, inf
    for row in rows:
        tokens, blocks = row.get(length), row.get(ids)
        if is_number(tokens) and tokens > 0 and isinstance(blocks, (list, tuple)) and blocks:
            low = max(low, ceil(tokens / len(blocks)))
            high = min(high, ceil(tokens / (len(blocks) - 1)) - 1 if len(blocks) > 1 else inf)
    return low, high


def too_many(count: pl.Expr, tokens: pl.Expr, size: int) -> pl.Expr:
    """Whether a prompt of so many tokens has fewer blocks of ``size`` than ids: it may have more, as those behind the
    shared ones, or one that is not full, need no id."""
    return count * size >= tokens + size


def usual_size(low: float, high: float, *first: int) -> int | None:
    """The size from ``low`` to ``high`` that is meant most likely: one of ``first``, 512, 16, a power of two."""
    return next((size for size in (*first, 512, 16, *(2**k for k in range(21))) if low <= size <= high), None)
