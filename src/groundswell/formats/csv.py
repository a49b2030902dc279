"""Our own columns as CSV, which has no lists: of images, audio and video it says how many and how large together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats._kept import DATES, all_but
from groundswell.formats._lines import CsvLines
from groundswell.formats.layout import Head, Layout
from groundswell.formats.layout.mapped import mapped, ours
from groundswell.table import ITEM_COLUMNS, Workload


@FORMATS.register("csv")
@dataclass(frozen=True)
class Csv:
    """Every column; ``image_tokens`` becomes ``image_count`` and ``image_total_tokens``, audio and video likewise."""

    ending: ClassVar[str] = ".csv"
    reader: ClassVar[str] = "spreadsheets, anything that reads CSV"
    command: ClassVar[str] = "duckdb -c \"select client, count(*) from 'trace.csv' group by client\""
    keeps: ClassVar[tuple[str, ...]] = all_but(DATES, "prefix_blocks")
    prefixes: ClassVar[Prefixes] = "none"
    coarser: ClassVar[tuple[str, ...]] = ("where it comes from", "clients that sent nothing", "the size of each item")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        return CsvLines(place, _rows)

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether the file has our columns."""
        return head.kind == "csv" and ours(head)

    def layout(self, head: Head) -> Layout:
        """How to read this file: columns of our names; others are passed over."""
        return mapped(head, {})


def _rows(block: Workload) -> pl.DataFrame:
    columns: list[pl.Expr] = []
    for name in block.frame.columns:
        if name in ITEM_COLUMNS:
            kind = name.removesuffix("_tokens")
            columns += [
                pl.col(name).list.len().alias(f"{kind}_count"),
                pl.col(name).list.sum().alias(f"{kind}_total_tokens"),
            ]
        elif name not in ("prefix_blocks", "prefix_runs"):
            columns.append(pl.col(name))
    return block.frame.select(columns)
