"""BurstGPT's CSV (HPMLL/BurstGPT, releases 1 to 3): whole seconds, failures as replies of no tokens, kinds of traffic.

Release 3 puts sessions and elapsed times between the columns of the others, so columns go by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats._ids import id_numbers
from groundswell.formats._lines import CsvLines, input_length, second
from groundswell.formats.layout import Head, Layout
from groundswell.formats.layout.columns import need
from groundswell.table import Workload

_NAMES = {
    "arrival_s": "Timestamp",
    "input_tokens": "Request tokens",
    "output_tokens": "Response tokens",
    "model": "Model",
    "client": "Log Type",
    "conversation": "Session ID",
}
_NEEDED = tuple(name for name in _NAMES.values() if name != "Session ID")
_UNNAMED_MODEL = "GPT-4"
"""The model of a workload that names none: vLLM passes over every other."""
_KNOWN = pl.Schema({"session": pl.Int64(), "end_s": pl.Float64(), "turns": pl.Int64()})


@FORMATS.register("burstgpt")
@dataclass(frozen=True)
class BurstGpt:
    """``Timestamp`` in s, ``Model``, ``Request tokens``, ``Response tokens``, ``Total tokens``, ``Log Type``."""

    ending: ClassVar[str] = ".csv"
    reader: ClassVar[str] = "vLLM's `bench serve` (lengths), AIPerf"
    command: ClassVar[str] = "vllm bench serve --dataset-name burstgpt --dataset-path trace.csv --num-prompts ROWS"
    keeps: ClassVar[tuple[str, ...]] = ("client", "conversation", "turn", "model", "failed")
    prefixes: ClassVar[Prefixes] = "none"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs", "lengths of failed replies")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        return CsvLines(place, _rows)

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether the file has the columns that all releases share."""
        return head.kind == "csv" and set(_NEEDED) <= set(head.columns)

    def layout(self, head: Head) -> Layout:
        """How to read this file, with conversations if it tells sessions.

        A client is a kind of traffic (``Log Type``). ``think_s`` counts from the end of the reply before, which is
        ``Elapsed time`` after its request.
        """
        need(head, *_NEEDED)
        raw: dict[str, pl.DataType] = {
            "Timestamp": pl.Float64(),
            "Model": pl.String(),
            "Request tokens": pl.Int32(),
            "Response tokens": pl.Int32(),
            "Log Type": pl.String(),
        }
        if "Session ID" in head.columns:
            raw |= {"Session ID": pl.String(), "Elapsed time": pl.Float64()}
        return Layout(raw, _Reader("Session ID" in raw).rows, {"client_is": "Log Type"}, _NAMES)


class _Reader:
    """Rows of a workload; of each session it keeps how many turns there were and when the last one ended."""

    def __init__(self, sessions: bool) -> None:
        self.sessions = sessions
        self.known = pl.DataFrame(schema=_KNOWN)

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of the next part of the file."""
        rows = frame.select(
            "line",
            *(pl.col(place).alias(name) for name, place in _NAMES.items() if name != "conversation"),
            failed=pl.col("Response tokens") == 0,
        )
        return rows.join(self._turns(frame), "line", "left", maintain_order="left") if self.sessions else rows

    def _turns(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Conversation, turn and think time of the rows that belong to a session."""
        end_s = pl.col("Timestamp") + pl.col("Elapsed time").fill_null(0.0)
        rows = (
            frame.filter(pl.col("Session ID").is_not_null())
            .select("line", "Timestamp", id_numbers(frame["Session ID"].drop_nulls()).alias("session"), end_s=end_s)
            .join(self.known.rename({"end_s": "before_s"}), "session", "left", maintain_order="left")
            .with_columns(turn=pl.col("turns").fill_null(0) + pl.int_range(1, pl.len() + 1).over("session"))
            .with_columns(before_s=pl.col("end_s").shift(1).over("session").fill_null(pl.col("before_s")))
        )
        latest = rows.group_by("session").agg(pl.col("end_s").last(), turns=pl.col("turn").last())
        self.known = pl.concat([self.known.join(latest, "session", "anti"), latest.select(list(_KNOWN)).cast(_KNOWN)])
        return rows.select(
            "line",
            "turn",
            conversation="session",
            think_s=(pl.col("Timestamp") - pl.col("before_s")).clip(0.0),
        )


def _rows(block: Workload) -> pl.DataFrame:
    columns = block.frame.columns
    input_tokens = input_length(block)
    reply = pl.col("output_tokens")
    if "failed" in columns:
        reply = pl.when(pl.col("failed")).then(0).otherwise(reply)
    model = pl.col("model").fill_null(_UNNAMED_MODEL) if "model" in columns else pl.lit(_UNNAMED_MODEL)
    session = [pl.col("conversation").alias("Session ID"), pl.lit(None, pl.Float64).alias("Elapsed time")]
    return block.frame.select(
        second().alias("Timestamp"),
        *(session if "conversation" in columns else []),
        model.alias("Model"),
        input_tokens.alias("Request tokens"),
        reply.alias("Response tokens"),
        (input_tokens + reply).alias("Total tokens"),
        pl.col("client").alias("Log Type"),
    )
