"""GuideLLM's replay of a trace (vllm-project/guidellm, ``data/deserializers``): seconds, and ids that fit in 32 bits.

Its kind ``mooncake`` makes a prompt from its blocks and passes over a row whose ids do not cover its length; the kind
``trace_synthetic`` makes up a prompt of the length. Rows are requests of their own in both; conversations are replayed
from a file of the format ``weka``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats import FORMATS, Prefixes, Sink, _timed_trace
from groundswell.formats._blocks import BlockIds, block_size
from groundswell.formats._lines import JsonLines, input_length, second
from groundswell.formats.layout import Head, Layout
from groundswell.table import Workload

_KINDS = ("mooncake", "trace_synthetic")


@FORMATS.register("guidellm")
@dataclass(frozen=True)
class Guidellm:
    """``timestamp`` in s, ``input_length``, ``output_length``; in the kind ``mooncake`` also ``hash_ids``, which are
    0, 1, 2, … in the order in which blocks are met."""

    kind: str = "mooncake"
    block_tokens: float = 512
    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "GuideLLM"
    command: ClassVar[str] = (
        """guidellm run --profile kind=replay --backend '{"kind":"openai_http","target":"URL","model":"MODEL"}' """
        """--data '{"kind":"mooncake","source":{"kind":"json_file","path":"trace.jsonl"}}' """
        """--tokenizer '{"kind":"hf_auto","model":"MODEL"}'"""
    )
    keeps: ClassVar[tuple[str, ...]] = ("prefix_blocks",)
    prefixes: ClassVar[Prefixes] = "ids"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs",)

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise UsageError(f"guidellm: kind must be {' or '.join(_KINDS)}, not {self.kind!r}")
        block_size(self.block_tokens, "guidellm")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        ids = BlockIds(int(self.block_tokens), metadata, dense=True) if self.kind == "mooncake" else None
        return JsonLines(place, lambda block: _rows(block, ids))

    def layout(self, head: Head) -> Layout:
        """How to read this file; its blocks are of ``block_tokens`` if its rows allow that."""
        return _timed_trace.layout(head, 1.0, int(self.block_tokens))


def _rows(block: Workload, ids: BlockIds | None) -> pl.DataFrame:
    rows = block.frame.select(
        second().alias("timestamp"),
        input_length(block).alias("input_length"),
        pl.col("output_tokens").alias("output_length"),
    )
    return rows if ids is None else rows.with_columns(ids.of(block))
