"""AIPerf's mooncake-trace (ai-dynamo/aiperf, ``dataset/loader/models.py``: ``MooncakeTrace``).

Written without blocks: AIPerf then makes up a prompt of the stated length for each row. Read with all that AIPerf
takes: rows of a session, which hold what is new in each turn, and prompts as text, of which the length is estimated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats import FORMATS, Sink, _timed_trace
from groundswell.formats._ids import id_numbers
from groundswell.formats._json_values import (
    check_chars_per_token,
    dated,
    estimated_tokens,
    finite,
    found,
    is_json,
    is_number,
    tokens,
    turn_number,
    values_at,
)
from groundswell.formats._lines import JsonLines, input_length
from groundswell.formats._sessions import Sessions
from groundswell.formats.layout import Head, Layout
from groundswell.prefix import BLOCK_SIZE_KEY
from groundswell.table import Workload

_USUAL_BLOCK = 512
_PROMPTS = ("input_length", "text_input", "messages", "payload")
"""A row has one of these."""
_TEXT = pl.List(pl.Struct({"content": pl.String()}))
_RAW: dict[str, pl.DataType] = {
    "timestamp": pl.Float64(),
    "delay": pl.Float64(),
    "session_id": pl.String(),
    "input_length": pl.Float64(),
    "output_length": pl.Float64(),
    "hash_ids": pl.List(pl.Int64()),
    "text_input": pl.String(),
    "messages": _TEXT,
    "payload": pl.Struct(
        {
            "messages": _TEXT,
            "prompt": pl.String(),
            "max_completion_tokens": pl.Float64(),
            "max_tokens": pl.Float64(),
        }
    ),
}
_OTHERS = {"chat_id", "parent_chat_id", "arrival_s", "usage", "conversation", "attributes"}

_DELTA = "Rows of a session hold what is new in a turn: the prompts, replies and new text before were added up."
_DELAYED = (
    "Turns without a timestamp are placed their delay after the turn before began, as the trace does not say how long "
    "replies took."
)
_NO_BLOCKS = "hash_ids of sessions are of the new text alone and were left out."


@FORMATS.register("aiperf")
@dataclass(frozen=True)
class Aiperf:
    """``timestamp`` in ms with three decimals, ``input_length``, ``output_length``.

    To read: ``turns`` is what rows of a session hold, ``delta`` as in AIPerf or ``cumulative`` (the whole prompt) as in
    Dynamo; prompts given as text are of ``chars_per_token`` characters a token.
    """

    turns: str = "delta"
    chars_per_token: float = 4
    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "AIPerf"
    command: ClassVar[str] = (
        "aiperf profile --model MODEL --url URL --input-file trace.jsonl --custom-dataset-type mooncake-trace "
        "--fixed-schedule"
    )
    keeps: ClassVar[tuple[str, ...]] = ()
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs",)

    def __post_init__(self) -> None:
        if self.turns not in ("delta", "cumulative"):
            raise UsageError(f"aiperf: turns must be delta or cumulative, not {self.turns!r}")
        check_chars_per_token(self.chars_per_token, "aiperf")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        return JsonLines(place, _rows)

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether rows have a time or a delay in ms and one of AIPerf's prompts, and more or less than Mooncake's."""
        names = set(head.columns)
        timed = bool(names & {"timestamp", "delay"})
        prompted = bool(names & set(_PROMPTS)) and bool(
            names & {"output_length", "session_id", "text_input", "payload"}
        )
        plain = _timed_trace.in_milliseconds(head) is not None
        return is_json(head) and timed and prompted and not plain and not names & _OTHERS

    def layout(self, head: Head) -> Layout:
        """How to read this file, from its beginning to its end."""
        if not found(head.first, [("timestamp",)]):
            raise UsageError(
                f"{head.path}: no row has a 'timestamp', so its requests have no place in time; "
                f"it has {', '.join(head.columns)}"
            )
        in_sessions = bool(found(head.first, [("session_id",)]))
        delta = in_sessions and self.turns == "delta"
        texts = found(head.first, [(name,) for name in _PROMPTS[1:]])
        reader = _Reader(
            texts=tuple(path[0] for path in texts),
            chars_per_token=self.chars_per_token,
            sessions=Sessions() if in_sessions else None,
            delta=delta,
            delays=in_sessions and "delay" in head.columns,
            blocks="hash_ids" in head.columns and not delta,
        )
        notes = [_DELTA] if delta else []
        if reader.delays:
            notes.append(_DELAYED)
        if delta and "hash_ids" in head.columns:
            notes.append(_NO_BLOCKS)
        if texts:
            notes.append(f"Prompts given as text are taken to have a token in {self.chars_per_token:g} characters.")
        metadata: dict[str, Any] = {
            "dated": dated(t / 1000 for t in values_at(head.first, ("timestamp",)) if is_number(t))
        }
        if reader.blocks:
            metadata[BLOCK_SIZE_KEY], said = _timed_trace.block_tokens(head, _USUAL_BLOCK)
            notes += said
        # Keys that only later rows have are read all the same, but for prompts as text, which are large.
        raw = {name: dtype for name, dtype in _RAW.items() if name not in _PROMPTS[1:] or (name,) in texts}
        names = {**_timed_trace.NAMES, "turn": "session_id", "conversation": "session_id", "think_s": "delay"}
        return Layout(raw, reader.rows, metadata, names, tuple(notes))


@dataclass(frozen=True)
class _Reader:
    """What becomes of the rows of one file, which come in its order."""

    texts: tuple[str, ...]
    chars_per_token: float
    sessions: Sessions | None
    delta: bool
    delays: bool
    blocks: bool

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A workload's columns."""
        frame = frame.with_columns(
            self._prompt_tokens().cast(pl.Int64).alias("new_tokens"),
            tokens(self._reply_length()).cast(pl.Int64).alias("output_tokens"),
            (finite(pl.col("timestamp")) / 1000).alias("timestamp_s"),
            (finite(pl.col("delay")) / 1000).alias("delay_s"),
            id_numbers(frame["session_id"]).alias("session"),
        )
        if self.sessions is None:
            frame = frame.with_columns(pl.col("timestamp_s").alias("arrival_s"), pl.lit(0).alias("history"))
        else:
            frame = frame.hstack(self.sessions.continued(frame))
        history = pl.col("history") if self.delta else 0
        columns: list[pl.Expr | pl.Series] = [
            pl.col("line"),
            pl.col("arrival_s"),
            tokens(pl.col("new_tokens") + history).alias("input_tokens"),
            tokens(pl.col("output_tokens")).alias("output_tokens"),
        ]
        if self.sessions is not None:
            columns += [
                pl.col("session").alias("conversation"),
                turn_number(pl.col("turn")).alias("turn"),
            ]
        if self.delays:
            columns.append(pl.when(pl.col("delay_s") >= 0).then("delay_s").alias("think_s"))
        if self.blocks:
            columns.append(_timed_trace.prefix_blocks(frame["hash_ids"]))
        return frame.select(columns)

    def _prompt_tokens(self) -> pl.Expr:
        """The length of what a row says: as it is stated, or else from its text."""
        lengths = {
            "text_input": pl.col("text_input").str.len_chars(),
            "messages": _chars(pl.col("messages")),
            "payload": pl.coalesce(
                _chars(pl.col("payload").struct.field("messages")),
                pl.col("payload").struct.field("prompt").str.len_chars(),
            ),
        }
        stated = tokens(pl.col("input_length"))
        return pl.coalesce(stated, *(estimated_tokens(lengths[name], self.chars_per_token) for name in self.texts))

    def _reply_length(self) -> pl.Expr:
        """``output_length``, or what a payload allows at most."""
        if "payload" not in self.texts:
            return pl.col("output_length")
        allowed = [pl.col("payload").struct.field(name) for name in ("max_completion_tokens", "max_tokens")]
        return pl.coalesce("output_length", *allowed)


def _chars(messages: pl.Expr) -> pl.Expr:
    """The characters of all messages' contents."""
    length = pl.element().struct.field("content").str.len_chars()
    return pl.when(messages.is_not_null()).then(messages.list.eval(length).list.sum())


def _rows(block: Workload) -> pl.DataFrame:
    return block.frame.select(
        (pl.col("arrival_s") * 1000).round(3).alias("timestamp"),
        input_length(block).alias("input_length"),
        pl.col("output_tokens").alias("output_length"),
    )
