"""AIPerf's mooncake-trace without blocks: AIPerf then makes up a prompt of the stated length for each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.formats import FORMATS, Sink
from groundswell.formats._lines import JsonLines, input_length
from groundswell.table import Workload


@FORMATS.register("aiperf")
@dataclass(frozen=True)
class Aiperf:
    """``timestamp`` in ms with three decimals, ``input_length``, ``output_length``."""

    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "AIPerf"
    command: ClassVar[str] = (
        "aiperf profile --model MODEL --url URL --input-file trace.jsonl --custom-dataset-type mooncake-trace "
        "--fixed-schedule"
    )
    lost: ClassVar[str] = (
        "times below 1 µs, clients, reasoning, which input tokens are images, audio or video, shared prefixes"
    )

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        return JsonLines(place, _rows)


def _rows(block: Workload) -> pl.DataFrame:
    return block.frame.select(
        (pl.col("arrival_s") * 1000).round(3).alias("timestamp"),
        input_length(block).alias("input_length"),
        pl.col("output_tokens").alias("output_length"),
    )
