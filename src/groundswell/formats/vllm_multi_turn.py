"""vLLM's conversations (vllm-project/vllm, ``benchmarks/multi_turn/benchmark_serving_multi_turn.py``): one JSON list.

The script sends each conversation turn by turn, with the answers it gets, and knows no times. Of an assistant's message
it takes the length, if it is told to (``--limit-min-tokens 0 --limit-max-tokens 0``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats._by_conversation import ConversationLines
from groundswell.formats._talks_as_text import CUT, TEXT, TextTurns, replies


@FORMATS.register("vllm_multi_turn")
@dataclass(frozen=True)
class VllmMultiTurn:
    """``id`` and ``messages`` of each conversation, which are a user's and an assistant's in turn; text of words that
    mean nothing, one for each token."""

    ending: ClassVar[str] = ".json"
    reader: ClassVar[str] = "vLLM's `benchmark_serving_multi_turn.py`"
    command: ClassVar[str] = (
        "python benchmark_serving_multi_turn.py --model MODEL --url URL --input-file trace.json --num-clients 8 "
        "--limit-min-tokens 0 --limit-max-tokens 0"
    )
    keeps: ClassVar[tuple[str, ...]] = ("conversation", "turn", "prefix_blocks")
    prefixes: ClassVar[Prefixes] = "runs"
    coarser: ClassVar[tuple[str, ...]] = ("times", "prefixes of later turns", "is not read back")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        turns = TextTurns(metadata)
        sink = ConversationLines(
            place, lambda rows: _conversations(turns.of(rows)), b"[\n", b",\n", b"\n]\n", text=True
        )
        sink.notes += [TEXT, CUT]
        return sink


def _conversations(turns: pl.DataFrame) -> bytes:
    """The objects of conversations, a line each, with commas between them."""
    message = pl.Struct({"role": pl.String(), "content": pl.String()})
    said = turns.with_columns(replies(turns["output_tokens"]).alias("reply"))
    pair = pl.concat_list(
        pl.struct(pl.lit("user").alias("role"), pl.col("prompt").alias("content")),
        pl.struct(pl.lit("assistant").alias("role"), pl.col("reply").alias("content")),
    ).cast(pl.List(message))
    name = pl.coalesce(pl.col("conversation").cast(pl.String), pl.format("request-{}", "talk"))
    whole = said.group_by("talk", "part", maintain_order=True).agg(
        pl.when(pl.col("part") > 1).then(pl.format("{}.{}", name, "part")).otherwise(name).first().alias("id"),
        pair.explode().alias("messages"),
    )
    text = BytesIO()
    whole.select("id", "messages").write_ndjson(text)
    return text.getvalue().rstrip(b"\n").replace(b"\n", b",\n")
