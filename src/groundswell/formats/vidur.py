"""Vidur's trace of requests (microsoft/vidur, ``trace_replay_request_generator.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats._lines import CsvLines, input_length, second
from groundswell.formats.layout import Head, Layout
from groundswell.formats.layout.columns import need
from groundswell.table import Workload


@FORMATS.register("vidur")
@dataclass(frozen=True)
class Vidur:
    """``arrived_at`` in s, ``num_prefill_tokens``, ``num_decode_tokens``."""

    ending: ClassVar[str] = ".csv"
    reader: ClassVar[str] = "Vidur"
    command: ClassVar[str] = (
        "python -m vidur.main --request_generator_config_type trace_replay "
        "--trace_request_generator_config_trace_file trace.csv "
        "--trace_request_generator_config_max_tokens 131072"
    )
    keeps: ClassVar[tuple[str, ...]] = ()
    prefixes: ClassVar[Prefixes] = "none"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs",)

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        return CsvLines(place, _rows)

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether the file has Vidur's columns."""
        return head.kind == "csv" and set(_RAW) <= set(head.columns)

    def layout(self, head: Head) -> Layout:
        """How to read this file: one client."""
        need(head, *_RAW)
        return Layout(_RAW, _read, names=_NAMES)


_RAW = {"arrived_at": pl.Float64(), "num_prefill_tokens": pl.Int32(), "num_decode_tokens": pl.Int32()}
_NAMES = {"arrival_s": "arrived_at", "input_tokens": "num_prefill_tokens", "output_tokens": "num_decode_tokens"}


def _read(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("line", *(pl.col(place).alias(name) for name, place in _NAMES.items()))


def _rows(block: Workload) -> pl.DataFrame:
    return block.frame.select(
        second().alias("arrived_at"),
        input_length(block).alias("num_prefill_tokens"),
        pl.col("output_tokens").alias("num_decode_tokens"),
    )
