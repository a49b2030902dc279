"""vLLM's timed trace (``vllm bench serve --dataset-name timed_trace``): seconds, and the ids of 16-token blocks.

vLLM builds a prompt from its blocks, so a row without ids would be an empty prompt whatever its ``input_length``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.formats import FORMATS, Prefixes, Sink, _timed_trace
from groundswell.formats._blocks import BlockIds, block_size
from groundswell.formats._lines import JsonLines, input_length, second
from groundswell.formats.layout import Head, Layout
from groundswell.table import Workload


@FORMATS.register("vllm")
@dataclass(frozen=True)
class Vllm:
    """``timestamp`` in s, ``input_length``, ``output_length``, ``hash_ids`` with one id per block of the prompt."""

    block_tokens: float = 16
    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "vLLM's `bench serve`"
    command: ClassVar[str] = (
        "vllm bench serve --backend openai --endpoint /v1/completions --dataset-name timed_trace --self-timed "
        "--dataset-path trace.jsonl --num-prompts ROWS"
    )
    keeps: ClassVar[tuple[str, ...]] = ("prefix_blocks",)
    prefixes: ClassVar[Prefixes] = "ids"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs",)

    def __post_init__(self) -> None:
        block_size(self.block_tokens, "vllm")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        ids = BlockIds(int(self.block_tokens), metadata)
        return JsonLines(place, lambda block: _rows(block, ids))

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether the rows are a timed trace whose times are seconds."""
        return _timed_trace.in_milliseconds(head) is False

    def layout(self, head: Head) -> Layout:
        """How to read this file; its blocks are of ``block_tokens`` if its rows allow that."""
        return _timed_trace.layout(head, 1.0, int(self.block_tokens))


def _rows(block: Workload, ids: BlockIds) -> pl.DataFrame:
    return block.frame.select(
        second().alias("timestamp"),
        input_length(block).alias("input_length"),
        pl.col("output_tokens").alias("output_length"),
        ids.of(block),
    )
