"""The CSV of Azure's public LLM inference traces: times of day with seven decimals, lines that end as in DOS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats._clock import unix_start
from groundswell.formats._kept import DATES
from groundswell.formats._lines import CsvLines, input_length
from groundswell.formats.layout import Head, Layout
from groundswell.formats.layout.columns import need
from groundswell.formats.layout.times import unix_s
from groundswell.table import Workload


@FORMATS.register("azure")
@dataclass(frozen=True)
class Azure:
    """``TIMESTAMP`` (from 2023-11-16 on, if the workload has no date), ``ContextTokens``, ``GeneratedTokens``."""

    ending: ClassVar[str] = ".csv"
    reader: ClassVar[str] = "inference-perf, and whatever reads Azure's traces"
    command: ClassVar[str] = (
        "inference-perf -c config.yml  "
        "# with load: {type: trace_replay, trace: {file: trace.csv, format: AzurePublicDataset}}"
    )
    keeps: ClassVar[tuple[str, ...]] = (DATES,)
    prefixes: ClassVar[Prefixes] = "none"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs",)

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        start_us = round(unix_start(metadata) * 1e6)
        return CsvLines(
            place, lambda block: _rows(block, start_us), line_end="\r\n", datetime_format="%Y-%m-%d %H:%M:%S%.6f0"
        )

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether the file has the three columns of Azure's traces."""
        return head.kind == "csv" and set(_NAMES.values()) <= set(head.columns)

    def layout(self, head: Head) -> Layout:
        """How to read the files of 2023, whose times name no zone, and of 2024, whose end in ``+00:00``."""
        need(head, *_NAMES.values())
        raw = {"TIMESTAMP": pl.String(), "ContextTokens": pl.Int32(), "GeneratedTokens": pl.Int32()}
        return Layout(raw, _read, {"dated": True}, names=_NAMES)


_NAMES = {"arrival_s": "TIMESTAMP", "input_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"}


def _read(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(
        "line",
        unix_s(pl.col("TIMESTAMP")).alias("arrival_s"),
        pl.col("ContextTokens").alias("input_tokens"),
        pl.col("GeneratedTokens").alias("output_tokens"),
    )


def _rows(block: Workload, start_us: int) -> pl.DataFrame:
    microsecond = (pl.col("arrival_s") * 1e6).round().cast(pl.Int64) + start_us
    return block.frame.select(
        microsecond.cast(pl.Datetime("us")).alias("TIMESTAMP"),
        input_length(block).alias("ContextTokens"),
        pl.col("output_tokens").alias("GeneratedTokens"),
    )
