"""The CSV of requests that ServeGen writes (alibaba/ServeGen, ``examples/basic_usage.py``).

A generator's requests hold other fields for other pools: ``text_tokens`` and lists of items for multimodal ones,
``reason_ratio`` for reasoning ones. The columns here are those fields, lists as Python prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats._lines import CsvLines, second
from groundswell.formats.layout import Head, Layout
from groundswell.formats.layout.columns import need, shown_columns
from groundswell.formats.layout.lists import whole_numbers
from groundswell.table import ITEM_COLUMNS, Workload

_PLAIN = {"request_id", "timestamp", "output_tokens"}
_TEXT = ("input_tokens", "text_tokens")
_KNOWN = {*_PLAIN, *_TEXT, "reason_ratio", *ITEM_COLUMNS}


@FORMATS.register("servegen")
@dataclass(frozen=True)
class ServeGen:
    """``request_id``, ``timestamp`` in s, ``input_tokens``, ``output_tokens``, and ``reason_ratio`` or items."""

    ending: ClassVar[str] = ".csv"
    reader: ClassVar[str] = "scripts for ServeGen's `workload.csv`"
    command: ClassVar[str] = "python -c \"import csv; print(len(list(csv.DictReader(open('trace.csv')))))\""
    keeps: ClassVar[tuple[str, ...]] = ("reason_tokens", *ITEM_COLUMNS)
    prefixes: ClassVar[Prefixes] = "none"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs",)

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        return CsvLines(place, _Writer().rows)

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether the file has ServeGen's columns and no others."""
        columns = set(head.columns)
        return head.kind == "csv" and _PLAIN <= columns <= _KNOWN and not columns.isdisjoint(_TEXT)

    def layout(self, head: Head) -> Layout:
        """How to read this file: one client, as ServeGen does not say who sends a request."""
        need(head, "timestamp", "output_tokens")
        text = next((name for name in _TEXT if name in head.columns), None)
        if text is None:
            raise UsageError(f"{head.path}: has no column 'input_tokens'; it has {shown_columns(head.columns)}")
        items = [name for name in ITEM_COLUMNS if name in head.columns]
        raw: dict[str, pl.DataType] = {"timestamp": pl.Float64(), text: pl.Int32(), "output_tokens": pl.Int32()}
        raw.update(dict.fromkeys(items, pl.String()))
        reasons = []
        if "reason_ratio" in head.columns:
            raw["reason_ratio"] = pl.Float64()
            reasons = [(pl.col("reason_ratio") * pl.col("output_tokens")).round().alias("reason_tokens")]

        def rows(frame: pl.DataFrame) -> pl.DataFrame:
            lists = [whole_numbers(pl.col(name)).alias(name) for name in items]
            plain = [pl.col(text).alias("input_tokens"), pl.col("output_tokens")]
            return frame.select("line", pl.col("timestamp").alias("arrival_s"), *plain, *reasons, *lists)

        names = {"arrival_s": "timestamp", "input_tokens": text, "reason_tokens": "reason_ratio"}
        return Layout(raw, rows, names=names)


class _Writer:
    """Rows with running numbers."""

    def __init__(self) -> None:
        self.written = 0

    def rows(self, block: Workload) -> pl.DataFrame:
        """The next rows of the file."""
        columns = block.frame.columns
        items = [name for name in ITEM_COLUMNS if name in columns]
        number = pl.int_range(self.written, self.written + len(block)).alias("request_id")
        self.written += len(block)
        share = pl.col("reason_tokens").fill_null(0) / pl.col("output_tokens").clip(1)
        return block.frame.select(
            number,
            second().alias("timestamp"),
            pl.col("input_tokens").alias("text_tokens" if items else "input_tokens"),
            "output_tokens",
            *([share.alias("reason_ratio")] if "reason_tokens" in columns else []),
            *(pl.format("[{}]", pl.col(name).cast(pl.List(pl.String)).list.join(", ")).alias(name) for name in items),
        )
