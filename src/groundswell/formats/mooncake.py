"""Mooncake's trace (kvcache-ai/Mooncake, FAST25-release): whole milliseconds, and the ids of 512-token blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.formats import FORMATS, Prefixes, Sink, _timed_trace
from groundswell.formats._blocks import BlockIds, block_size
from groundswell.formats._lines import JsonLines, input_length
from groundswell.formats.layout import Head, Layout
from groundswell.table import Workload

VLLM_BLOCK = 16
_LIKE_VLLM = (
    "Times are whole numbers and taken for milliseconds, but blocks are of 16 tokens as in vLLM's traces, which count "
    "in seconds: --format vllm reads them so."
)


@FORMATS.register("mooncake")
@dataclass(frozen=True)
class Mooncake:
    """``timestamp`` in ms, ``input_length``, ``output_length``, ``hash_ids`` with one id per block of the prompt."""

    block_tokens: float = 512
    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "Mooncake, SGLang, Dynamo, GuideLLM"
    command: ClassVar[str] = (
        "python -m sglang.bench_serving --backend sglang --dataset-name mooncake --dataset-path trace.jsonl "
        "--use-trace-timestamps --mooncake-num-rounds 1"
    )
    keeps: ClassVar[tuple[str, ...]] = ("prefix_blocks",)
    prefixes: ClassVar[Prefixes] = "ids"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 ms",)

    def __post_init__(self) -> None:
        block_size(self.block_tokens, "mooncake")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        ids = BlockIds(int(self.block_tokens), metadata)
        return JsonLines(place, lambda block: _rows(block, ids))

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether the rows are a timed trace whose times are milliseconds."""
        return _timed_trace.in_milliseconds(head) is True

    def layout(self, head: Head) -> Layout:
        """How to read this file; its blocks are of ``block_tokens`` if its rows allow that."""
        low, high = _timed_trace.id_range(head)
        notes = (_LIKE_VLLM,) if low <= VLLM_BLOCK <= high < self.block_tokens else ()
        return _timed_trace.layout(head, 1000.0, int(self.block_tokens), notes)


def _rows(block: Workload, ids: BlockIds) -> pl.DataFrame:
    return block.frame.select(
        (pl.col("arrival_s") * 1000).round().cast(pl.Int64).alias("timestamp"),
        input_length(block).alias("input_length"),
        pl.col("output_tokens").alias("output_length"),
        ids.of(block),
    )
