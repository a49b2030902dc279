"""Sessions as WEKA publishes them (callanjfox/agentic-coding-analysis, ``TRACE_FORMAT.md``): a JSON object for each.

AIPerf and inference-perf take a folder of such files, GuideLLM one file with a session a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from groundswell.chance import GOLDEN, compiled, mix
from groundswell.errors import UsageError
from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats._blocks import BlockIds, block_size
from groundswell.formats._by_conversation import ConversationLines
from groundswell.formats._json_values import is_json
from groundswell.formats._numbering import Numbering
from groundswell.formats._weka_reader import NO_MODEL, sessions_layout
from groundswell.formats.layout import Head, Layout
from groundswell.prefix import flat, with_blocks
from groundswell.service import TPOT_S, TTFT_S
from groundswell.table import Workload, list_column

_NOMINAL = (
    "api_time is what lies between a request and the pause before the next, or else a reply of "
    f"{TTFT_S:g} s and {TPOT_S:g} s for each token, and ttft at most {TTFT_S:g} s: no reply has been timed."
)


@FORMATS.register("weka")
@dataclass(frozen=True)
class Weka:
    """A session a line: ``id``, ``block_size``, ``hash_id_scope`` and ``requests``, each with ``t`` in s, ``in``,
    ``out``, ``hash_ids`` of its full blocks, ``think_time``, ``api_time``, ``ttft``.

    ``scope``: ids are of their session alone (``local``) or of all (``global``), which keeps what sessions share.
    ``clock``: ``t`` counts from the begin of the workload (``shared``) or of its session (``own``).
    """

    block_tokens: float = 64
    scope: str = "local"
    clock: str = "shared"
    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "GuideLLM, AIPerf, inference-perf (sessions)"
    command: ClassVar[str] = (
        """guidellm run --profile kind=replay --backend '{"kind":"openai_http","target":"URL","model":"MODEL"}' """
        """--data '{"kind":"weka","source":{"kind":"json_file","path":"trace.jsonl"}}' """
        """--tokenizer '{"kind":"hf_auto","model":"MODEL"}'"""
    )
    keeps: ClassVar[tuple[str, ...]] = ("conversation", "turn", "think_s", "model", "prefix_blocks")
    prefixes: ClassVar[Prefixes] = "runs"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs", "what sessions share, unless `scope=global`")

    def __post_init__(self) -> None:
        block_size(self.block_tokens, "weka")
        for name, allowed in (("scope", ("local", "global")), ("clock", ("shared", "own"))):
            if getattr(self, name) not in allowed:
                raise UsageError(f"weka: {name} must be {' or '.join(allowed)}, not {getattr(self, name)!r}")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        sessions = _Sessions(int(self.block_tokens), metadata, self.scope == "local", self.clock == "own")
        sink = ConversationLines(place, sessions.lines)
        sink.notes.append(_NOMINAL)
        return sink

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether rows are sessions of requests with lengths."""
        if not (is_json(head) and {"id", "requests"} <= set(head.columns)):
            return False
        lists = (row.get("requests") for row in head.first)
        firsts = [requests[0] for requests in lists if isinstance(requests, list) and requests]
        return bool(firsts) and all(isinstance(first, dict) and {"t", "type"} <= set(first) for first in firsts)

    def layout(self, head: Head) -> Layout:
        """How to read this file: a session is a conversation, and a sub-agent's requests are one of their own."""
        return sessions_layout(head)


class _Sessions:
    """Makes lines of frames of whole conversations."""

    def __init__(self, block_tokens: int, metadata: Mapping[str, Any], local: bool, own_clock: bool) -> None:
        self.block_tokens = block_tokens
        self.metadata = dict(metadata)
        self.local, self.own_clock = local, own_clock
        # Ids of one session are numbered anew, whatever they are; those of all must have room in 32 bits.
        self.ids = BlockIds(block_tokens, metadata, dense=not local)

    def lines(self, rows: pl.DataFrame) -> bytes:
        """The sessions of ``rows``."""
        over = pl.col("talk")
        begin_s = pl.col("at_s").first().over(over) if self.own_clock else pl.lit(0.0)
        think_s = pl.col("think_s") if "think_s" in rows.columns else pl.lit(None, pl.Float64)
        reply_s = (pl.col("at_s").shift(-1) - pl.col("at_s") - think_s.shift(-1)).over(over).clip(0)
        api_s = pl.coalesce(reply_s, TTFT_S + TPOT_S * pl.col("output_tokens")).round(6)
        model = pl.col("model").fill_null(NO_MODEL) if "model" in rows.columns else pl.lit(NO_MODEL)
        rows = rows.with_columns(self._ids(rows))
        requests = rows.select(
            over,
            pl.col("conversation").cast(pl.String)
            if "conversation" in rows.columns
            else pl.lit(None, pl.String).alias("conversation"),
            pl.struct(
                (pl.col("at_s") - begin_s).round(6).alias("t"),
                pl.lit("s").alias("type"),
                model.alias("model"),
                pl.col("input_tokens").alias("in"),
                pl.col("output_tokens").alias("out"),
                pl.col("hash_ids"),
                api_s.alias("api_time"),
                pl.min_horizontal(api_s, pl.lit(TTFT_S)).alias("ttft"),
                think_s.alias("think_time"),
            ).alias("requests"),
        )
        sessions = requests.group_by("talk", maintain_order=True).agg(
            pl.col("conversation").first(),
            pl.col("requests").struct.field("model").unique(maintain_order=True).alias("models"),
            pl.col("requests"),
        )
        text = BytesIO()
        sessions.select(
            pl.coalesce("conversation", pl.format("request-{}", "talk")).alias("id"),
            "models",
            pl.lit(self.block_tokens).alias("block_size"),
            pl.lit("local" if self.local else "global").alias("hash_id_scope"),
            pl.lit(0).alias("tool_tokens"),
            pl.lit(0).alias("system_tokens"),
            "requests",
        ).write_ndjson(text)
        return text.getvalue()

    def _ids(self, rows: pl.DataFrame) -> pl.Series:
        """The ids of each prompt's full blocks."""
        frame = rows.select(
            pl.lit(0.0).alias("arrival_s"),
            pl.lit("", pl.Enum([""])).alias("client"),
            pl.col("input_tokens").cast(pl.Int32),
            pl.col("output_tokens"),
            *(["prefix_runs"] if "prefix_runs" in rows.columns else []),
        )
        whole = rows.select("input_tokens").with_columns(self.ids.of(with_blocks(Workload(frame, self.metadata))))
        ids = whole.select(pl.col("hash_ids").list.head(pl.col("input_tokens") // self.block_tokens)).to_series()
        if not self.local:
            return ids
        count, numbers = flat(ids)
        talk = np.repeat(rows["talk"].to_numpy(), count)
        # Conversations follow each other, so each one's ids are a range of the numbers that all are given.
        number = Numbering().of(_of_talk(numbers, talk))
        first = np.flatnonzero(np.diff(talk, prepend=-1))
        return list_column("hash_ids", count, number - np.repeat(number[first], np.diff(first, append=talk.size)) + 1)


@compiled
def _of_talk(ids: Any, talk: Any) -> Any:
    """A key for each id and conversation."""
    out = np.empty(ids.size, np.int64)
    for i in range(ids.size):
        out[i] = np.int64(mix(mix(np.uint64(talk[i]) + GOLDEN) ^ np.uint64(ids[i])))
    return out
