"""Rows of ``timestamp``, ``input_length``, ``output_length`` and ``hash_ids``: Mooncake's and vLLM's, told apart.

Both tools use the same four names, Mooncake for milliseconds and blocks of 512 tokens, vLLM for seconds and blocks of
16. What tells them apart is how times are written; the size of blocks follows from lengths and numbers of ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats._block_sizes import block_range, too_many, usual_size
from groundswell.formats._json_values import dated, finite, is_json, is_number, tokens, values_at
from groundswell.formats.layout import REFUSED, Head, Layout
from groundswell.table import BLOCK_SIZE_KEY

NUMBERS = ("timestamp", "input_length", "output_length")
FIELDS = (*NUMBERS, "hash_ids")
NAMES = {
    "arrival_s": "timestamp",
    "input_tokens": "input_length",
    "output_tokens": "output_length",
    "prefix_blocks": "hash_ids",
}
"""Where each of a workload's columns comes from."""

_OTHERS = {"session_id", "delay", "text_input", "messages", "payload", "chat_id", "parent_chat_id"}
"""A row with one of these is AIPerf's or Bailian's."""

_MS_DECIMALS = 3  # nobody writes times below a microsecond
_LEAST_GAP_MS = 10.0
"""Requests that are further apart than this in the file's unit are taken to be counted in ms, where all else fails:
the other reading is one request in ten seconds, or less."""


def in_milliseconds(head: Head) -> bool | None:
    """Whether a trace of these fields counts in milliseconds; None if it has not these fields.

    Whole numbers are milliseconds: a trace in whole seconds would have hardly any timing. Times with digits below a
    microsecond if they were milliseconds are seconds. Other fractions are milliseconds if blocks are of 512 tokens,
    cannot be of 16, and the requests would be more than ten seconds apart.
    """
    if not (is_json(head) and set(FIELDS) <= set(head.columns)) or _OTHERS & set(head.columns):
        return None
    times = _times(head)
    if all(isinstance(t, int) for t in times):
        return True
    if any(abs(t - round(t, _MS_DECIMALS)) > 1e-9 * max(abs(t), 1) for t in times):
        return False
    low, high = id_range(head)
    return low <= 512 <= high and not low <= 16 <= high and (max(times) - min(times)) / len(times) >= _LEAST_GAP_MS


def id_range(head: Head) -> tuple[float, float]:
    """The smallest and the largest size of a block that the first rows allow."""
    return block_range(head.first, "input_length", "hash_ids")


def block_tokens(head: Head, usual: int, length: str = "input_length") -> tuple[int, tuple[str, ...]]:
    """The size of the blocks that ``hash_ids`` stand for, and what to say of it.

    It is ``usual`` if the rows allow it, else 512, 16 or the smallest power of two that they allow.
    """
    low, high = block_range(head.first, length, "hash_ids")
    size = usual_size(low, high, usual)
    if size is not None:
        return size, ()
    if low <= high:
        return int(low), (f"hash_ids are taken for blocks of {low:g} tokens, which is no power of two.",)
    return usual, (f"No one block size fits all hash_ids and input_length; hash_ids are taken for {usual} tokens.",)


def layout(head: Head, per_second: float, usual_block: int, notes: tuple[str, ...] = ()) -> Layout:
    """How to read rows of :data:`FIELDS`, with ``per_second`` of the file's units of time in a second."""
    require(head, NUMBERS)
    size, said = block_tokens(head, usual_block)
    metadata = {"dated": dated(t / per_second for t in _times(head)), BLOCK_SIZE_KEY: size}
    raw = {**dict.fromkeys(NUMBERS, pl.Float64()), "hash_ids": pl.List(pl.Int64())}

    def read(frame: pl.DataFrame) -> pl.DataFrame:
        return refusing(rows(frame, per_second), size)

    return Layout(raw, read, metadata, NAMES, (*notes, *said))


def refusing(rows: pl.DataFrame, size: int) -> pl.DataFrame:
    """A workload's columns, and what is wrong with a row that has more ids than its prompt has blocks of ``size``."""
    if "prefix_blocks" not in rows.columns:
        return rows
    count, prompt = pl.col("prefix_blocks").list.len().cast(pl.Int64), pl.col("input_tokens").cast(pl.Int64)
    said = f"column 'hash_ids' has {{}} ids, more than there are blocks of {size} tokens in a prompt of {{}}"
    many = pl.when(too_many(count, prompt, size)).then(pl.format(said, count, prompt))
    before = [REFUSED] if REFUSED in rows.columns else []
    return rows.with_columns(pl.coalesce(*before, many).alias(REFUSED))


def rows(frame: pl.DataFrame, per_second: float) -> pl.DataFrame:
    """A workload's columns from :data:`FIELDS`; without prefix blocks where ``frame`` has no ids."""
    columns = frame.select(
        pl.col("line"),
        (finite(pl.col("timestamp")) / per_second).alias("arrival_s"),
        tokens(pl.col("input_length")).alias("input_tokens"),
        tokens(pl.col("output_length")).alias("output_tokens"),
    )
    return columns.hstack([prefix_blocks(frame["hash_ids"])]) if "hash_ids" in frame.columns else columns


def prefix_blocks(ids: pl.Series) -> pl.Series:
    """``hash_ids`` as ``prefix_blocks``: a prompt without any has none, and an id that is null is left out."""
    if ids.null_count():
        ids = ids.fill_null([])
    if ids.explode(empty_as_null=False, keep_nulls=False).null_count():  # to leave them out takes ten times as long
        ids = ids.list.drop_nulls()
    return ids.alias("prefix_blocks")


def _times(head: Head) -> list[Any]:
    return [t for t in values_at(head.first, ("timestamp",)) if is_number(t)]


def require(head: Head, names: Iterable[str]) -> None:
    """Raises UsageError if the file has not all columns of ``names``."""
    missing = [name for name in names if name not in head.columns]
    if missing:
        raise UsageError(f"{head.path}: no column {missing[0]!r}; it has {', '.join(head.columns) or 'no columns'}")
