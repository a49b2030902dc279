"""Results out of the workers' journals and the workload, a block at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from groundswell.replay.journal import ERRORS, FRESH, HELD, RETRIED, Records
from groundswell.replay.records import Journals
from groundswell.table import PARQUET, list_column, parquet_metadata
from groundswell.whole_file import appearing, faults_of

_TIMES = ("due_s", "sent_s", "head_s", "first_token_s", "first_answer_s", "done_s")
_COUNTS = ("made_tokens", "prompt_tokens", "output_tokens", "reason_tokens", "cached_tokens", "events")
_FLAGS = {"retried": RETRIED, "held": HELD, "fresh": FRESH}
_ROWS = 2**16


@dataclass(frozen=True)
class Missing:
    """What became of requests that were due up to ``until_s`` and have no record: they ended as ``error``, one of
    :data:`groundswell.replay.journal.ERRORS`. Later ones were not due, and have no result. The run began at
    ``begin_s`` of the workload."""

    error: str
    until_s: float
    begin_s: float = 0.0


def digest_of(journals: Journals) -> str:
    """SHA-256 over what was made for each row, in order of rows: the same in every run of the same seed."""
    sum_ = hashlib.sha256()
    for begin in range(0, len(journals), _ROWS):
        records, _ = journals.part(begin, begin + _ROWS)
        sum_.update(np.ascontiguousarray(records["digest"]).tobytes())
    return sum_.hexdigest()


def write_results(
    journals: Journals,
    blocks: Iterable[pl.DataFrame],
    path: Path,
    metadata: dict[str, Any],
    missing: Missing,
    event_times: bool,
) -> None:
    """Write a results file; it appears when it is whole.

    ``blocks`` are the workload's rows in order, with what results repeat of them: ``row``, ``client``,
    ``input_tokens``, ``output_tokens`` and, where there are any, ``conversation``, ``turn`` and ``model``; and
    ``arrival_s``. A row of theirs without a record has a result if ``missing`` says so.
    """
    frames = (_frame(block, journals, missing, event_times) for block in blocks)
    first = next(frames)

    def all_of(*_: Any) -> Iterator[pl.DataFrame]:
        yield first
        yield from frames

    with appearing(path) as place, faults_of(path):
        source = register_io_source(all_of, schema=first.schema)
        source.sink_parquet(place, metadata=parquet_metadata(metadata), maintain_order=True, **PARQUET)


def _frame(block: pl.DataFrame, journals: Journals, missing: Missing, event_times: bool) -> pl.DataFrame:
    """The results of a block of rows, which rise."""
    rows = block["row"].to_numpy()
    begin, end = np.searchsorted(journals.rows, [rows[0], rows[-1] + 1]) if rows.size else (0, 0)
    records, place = journals.part(int(begin), int(end))
    kept = np.isin(rows, records["row"], assume_unique=True)
    there = block.filter(kept).rename({"output_tokens": "asked_tokens"}).drop("arrival_s")
    frame = there.with_columns(*_columns(records, journals.words(records, place)))
    if event_times:
        frame = frame.with_columns(list_column("event_s", *journals.times(records, place)))
    lacking = block.filter(~kept & (block["arrival_s"] - missing.begin_s <= missing.until_s).to_numpy())
    if not lacking.height:
        return frame
    return pl.concat([frame, _missing(lacking, missing)], how="diagonal").sort("row")


def _columns(records: Records, words: list[str | None]) -> list[pl.Series]:
    error = pl.Series("error", [name or None for name in ERRORS]).gather(records["error"].astype(np.uint32))
    return [
        *(pl.Series(name, _own(records, name)).fill_nan(None) for name in _TIMES),
        *(_counted(name, _own(records, name)) for name in _COUNTS),
        pl.Series("longest_gap_s", _own(records, "longest_gap_s")).fill_nan(None),
        _counted("status", np.where(records["status"] > 0, records["status"], np.int16(-1))),
        error.alias("error"),
        pl.Series("words", words, dtype=pl.String()),
        *(pl.Series(name, (records["flags"] & flag) > 0) for name, flag in _FLAGS.items()),
    ]


def _missing(block: pl.DataFrame, missing: Missing) -> pl.DataFrame:
    """Rows that were due, of which nothing was written down."""
    return block.rename({"output_tokens": "asked_tokens", "arrival_s": "due_s"}).with_columns(
        pl.lit(missing.error).alias("error"),
        pl.col("due_s") - missing.begin_s,
        *(pl.lit(False).alias(name) for name in _FLAGS),
    )


def _own(records: Records, name: str) -> NDArray[Any]:
    return np.ascontiguousarray(records[name])


def _counted(name: str, values: NDArray[Any]) -> pl.Series:
    """``values``, those below 0 null."""
    series = pl.Series(name, values)
    return series.to_frame().select(pl.when(pl.col(name) >= 0).then(pl.col(name)))[name]
