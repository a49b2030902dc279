"""Rows of sessions, as AIPerf and Dynamo have them: what is new in a turn or whole prompts, with times or delays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats import _timed_trace
from groundswell.formats._ids import id_numbers
from groundswell.formats._json_values import (
    dated,
    estimated_tokens,
    finite,
    found,
    is_number,
    tokens,
    turn_number,
    values_at,
)
from groundswell.formats._sessions import Sessions
from groundswell.formats.layout import REFUSED, Head, Layout
from groundswell.service import TPOT_S, TTFT_S
from groundswell.table import BLOCK_SIZE_KEY

PROMPTS = ("input_length", "text_input", "messages", "payload")
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
_DELTA = "Rows of a session hold what is new in a turn: the prompts, replies and new text before were added up."
_DELAYED = (
    "The trace does not say how long replies took: turns without a timestamp are placed their delay after a reply of "
    f"{TTFT_S:g} s and {TPOT_S:g} s for each token."
)
_NO_BLOCKS = "hash_ids of sessions are of the new text alone and were left out."


def session_layout(
    head: Head, turns: str, block_tokens: int, chars_per_token: float = 4, places: Mapping[str, str] | None = None
) -> Layout:
    """How to read a file of such rows, from its beginning to its end.

    ``turns`` is what rows of a session hold, ``delta`` or ``cumulative``; ``places`` says where the file has fields by
    other names than AIPerf's.
    """
    called = {name: name for name in _RAW} | dict(places or {})
    if not found(head.first, [(called["timestamp"],)]):
        raise UsageError(
            f"{head.path}: no row has a 'timestamp', so its requests have no place in time; "
            f"it has {', '.join(head.columns)}"
        )
    in_sessions = bool(found(head.first, [("session_id",)]))
    delta = in_sessions and turns == "delta"
    texts = found(head.first, [(name,) for name in PROMPTS[1:]])
    has_blocks = "hash_ids" in head.columns
    size, of_size = _timed_trace.block_tokens(head, block_tokens, called["input_length"])
    reader = _Reader(
        texts=tuple(path[0] for path in texts),
        chars_per_token=chars_per_token,
        sessions=Sessions() if in_sessions else None,
        delta=delta,
        delays=in_sessions and called["delay"] in head.columns,
        blocks=size if has_blocks and not delta else None,
        called=called,
    )
    notes = [_DELTA] if delta else []
    if reader.delays:
        notes.append(_DELAYED)
    if delta and has_blocks:
        notes.append(_NO_BLOCKS)
    if texts:
        notes.append(f"Prompts given as text are taken to have a token in {chars_per_token:g} characters.")
    times = values_at(head.first, (called["timestamp"],))
    metadata: dict[str, Any] = {"dated": dated(t / 1000 for t in times if is_number(t))}
    if reader.blocks is not None:
        metadata[BLOCK_SIZE_KEY] = size
        notes += of_size
    # Keys that only later rows have are read all the same, but for prompts as text, which are large.
    raw = {called[name]: dtype for name, dtype in _RAW.items() if name not in PROMPTS[1:] or (name,) in texts}
    names = {**_timed_trace.NAMES, "turn": "session_id", "conversation": "session_id", "think_s": "delay"}
    return Layout(raw, reader.rows, metadata, {ours: called[name] for ours, name in names.items()}, tuple(notes))


def are_cumulative(head: Head) -> bool:
    """Whether the first rows of sessions tell that each holds the whole prompt, as Dynamo's do: later turns mostly
    begin with the block that the turn before began with, and ids of new text alone never would."""
    before: dict[Any, Any] = {}
    same = later = 0
    for row in head.first:
        session, ids = row.get("session_id"), row.get("hash_ids")
        if session is None or not isinstance(ids, list) or not ids:
            continue
        if session in before:
            later += 1
            same += before[session] == ids[0]
        before[session] = ids[0]
    return 2 * same > later


@dataclass(frozen=True)
class _Reader:
    """What becomes of the rows of one file, which come in its order."""

    texts: tuple[str, ...]
    chars_per_token: float
    sessions: Sessions | None
    delta: bool
    delays: bool
    blocks: int | None
    """The size of the blocks that ids stand for, if these are of whole prompts."""
    called: Mapping[str, str]

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A workload's columns."""
        frame = frame.rename({theirs: name for name, theirs in self.called.items() if theirs in frame.columns})
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
            columns.append(_early().alias(REFUSED))
        if self.delays:
            columns.append(pl.when(pl.col("turn") > 1).then("delay_s").alias("think_s"))
        if self.blocks is None:
            return frame.select(columns)
        out = frame.select(*columns, _timed_trace.prefix_blocks(frame["hash_ids"]))
        return _timed_trace.refusing(out, self.blocks)

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


def _early() -> pl.Expr:
    """What is wrong with a turn that comes before the one it follows, and null for others."""
    said = "is turn {} of session {} and comes {} ms before the turn that it follows"
    early_ms = ((pl.col("before_s") - pl.col("arrival_s")) * 1000).round(3)
    early = pl.format(said, pl.col("turn"), pl.col("session_id"), early_ms)
    return pl.when((pl.col("arrival_s") < pl.col("before_s")) & pl.col("timestamp_s").is_not_null()).then(early)


def _chars(messages: pl.Expr) -> pl.Expr:
    """The characters of all messages' contents."""
    length = pl.element().struct.field("content").str.len_chars()
    return pl.when(messages.is_not_null()).then(messages.list.eval(length).list.sum())
