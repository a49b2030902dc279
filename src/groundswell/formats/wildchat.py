"""Conversations with their text, as in WildChat, LMSYS-Chat-1M and Chatbot Arena: only lengths and times are kept.

WildChat (allenai/WildChat-1M): ``conversation`` with ``role`` and ``content``, ``timestamp`` of the last turn, in newer
files also of each reply, ``hashed_ip``, ``model``. Chatbot Arena: ``conversation_a`` and ``conversation_b``,
``tstamp``, ``judge``. LMSYS-Chat-1M has the conversations and no time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats import FORMATS, Prefixes
from groundswell.formats._ids import id_numbers
from groundswell.formats._json_values import (
    check_chars_per_token,
    estimated_tokens,
    found,
    instants,
    turn_number,
)
from groundswell.formats._kept import EVERYTHING
from groundswell.formats.layout import Head, Layout

_TALKS = {"conversation": "model", "conversations": "model", "conversation_a": "model_a", "conversation_b": "model_b"}
"""Where turns are, and which model replied."""
_ROLES, _TEXTS = ("role", "from"), ("content", "value", "text")
_TIMES = ("timestamp", "tstamp", "created_at", "create_time", "created", "time", "date")
_USERS = ("user_id", "user", "hashed_ip", "judge", "ip")
_IDS = ("conversation_hash", "conversation_id", "question_id", "id")
_REPLIERS = ("assistant", "gpt", "chatgpt", "model", "bot")

_REPLY_TIMES = "Where only replies are dated, requests are placed at the time their reply was complete."
_ONE_TIME = (
    "Turns are not dated and all placed at the time of their conversation: nothing can be said of the "
    "time between turns, nor of bursts below the length of a conversation."
)


@FORMATS.register("wildchat")
@dataclass(frozen=True)
class Wildchat:
    """To read only: one request a reply, with all the text before it as its prompt."""

    chars_per_token: float = 4
    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "read only"
    command: ClassVar[str] = "groundswell convert wildchat.jsonl trace.parquet"
    keeps: ClassVar[tuple[str, ...]] = EVERYTHING
    prefixes: ClassVar[Prefixes] = "none"
    coarser: ClassVar[tuple[str, ...]] = ("is not written, as groundswell makes no prompts",)

    def __post_init__(self) -> None:
        check_chars_per_token(self.chars_per_token, "wildchat")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> NoReturn:
        """Raises UsageError: such files are prompts and replies."""
        raise UsageError("wildchat is a format to read: its files are prompts and replies, and groundswell makes none")

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether rows have lists of turns, each with a role and a text."""
        talks = [name for name in _TALKS if name in head.columns]
        return head.kind != "csv" and bool(talks) and any(True for _ in _turns(head.first, talks))

    def layout(self, head: Head) -> Layout:
        """How to read this file."""
        talks = [name for name in _TALKS if name in head.columns]
        turns = list(_turns(head.first, talks))
        if not turns:
            raise UsageError(f"{head.path}: no 'conversation' of turns with a role and a text; it has {_all(head)}")
        turn_time = _first_of(turns, _TIMES)
        reader = _Reader(
            talks=tuple(talks),
            role=_first_of(turns, _ROLES) or _ROLES[0],
            text=_first_of(turns, _TEXTS) or _TEXTS[0],
            turn_time=turn_time,
            time=_first_of(head.first, _TIMES),
            user=_first_of(head.first, _USERS),
            id=_first_of(head.first, _IDS),
            models=tuple(name for name in dict.fromkeys(_TALKS.values()) if name in head.columns),
            chars_per_token=self.chars_per_token,
        )
        if reader.time is None and turn_time is None:
            raise UsageError(
                f"{head.path}: conversations without a time ({', '.join(_TIMES)}), which cannot be placed in a "
                f"workload; it has {_all(head)}"
            )
        notes = [f"Lengths are estimated: one token in {self.chars_per_token:g} characters of text."]
        notes.append(_REPLY_TIMES if turn_time else _ONE_TIME)
        metadata: dict[str, Any] = {"dated": True}
        if reader.user is not None:
            metadata["client_is"] = "hashed IP address" if reader.user == "hashed_ip" else "user"
        return Layout(reader.raw(head), reader.rows, metadata, reader.names(), tuple(notes))


@dataclass(frozen=True)
class _Reader:
    """Where things are in the objects of one file."""

    talks: tuple[str, ...]
    role: str
    text: str
    turn_time: str | None
    time: str | None
    user: str | None
    id: str | None
    models: tuple[str, ...]
    chars_per_token: float

    def raw(self, head: Head) -> dict[str, pl.DataType]:
        """The columns to read, of a Parquet file as they are."""
        parts = [name for name in (self.role, self.text, self.turn_time) if name]
        turns = pl.List(pl.Struct(dict.fromkeys(parts, pl.String())))
        own = [name for name in (self.time, self.user, self.id, *self.models) if name]
        wanted: dict[str, pl.DataType] = {**dict.fromkeys(self.talks, turns), **dict.fromkeys(own, pl.String())}
        return {name: head.types.get(name, dtype) for name, dtype in wanted.items()}

    def names(self) -> dict[str, str]:
        """Where each of a workload's columns comes from."""
        places = {"arrival_s": self.time or self.turn_time, "client": self.user, "conversation": self.id}
        return {
            **dict.fromkeys(("input_tokens", "output_tokens", "turn"), self.talks[0]),
            **{column: name for column, name in places.items() if name is not None},
        }

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A workload's columns, of each conversation together."""
        told = frame.select(
            pl.col("line"),
            (instants(frame[self.time]) if self.time else pl.lit(None, pl.Float64)).alias("told_s"),
            *([pl.col(self.user).cast(pl.String).alias("client")] if self.user else []),
            self._named(frame),
            *(pl.col(name) for name in self.models),
            *(self._measured(name) for name in self.talks),
        )
        return pl.concat([self._requests(told, talk) for talk in self.talks])

    def _named(self, frame: pl.DataFrame) -> pl.Series:
        """A number for each conversation; its line where it has no id."""
        line = frame["line"].cast(pl.Int64)
        named = id_numbers(frame[self.id].cast(pl.String)).fill_null(line) if self.id else line
        return named.alias("number")

    def _measured(self, talk: str) -> pl.Expr:
        """Of each turn who speaks, how many characters, and when; no text is kept."""
        turn = pl.element().struct
        parts = [turn.field(self.role).alias("role"), turn.field(self.text).str.len_chars().alias("chars")]
        if self.turn_time:
            parts.append(turn.field(self.turn_time).alias("at"))
        return pl.col(talk).list.eval(pl.struct(parts))

    def _requests(self, told: pl.DataFrame, talk: str) -> pl.DataFrame:
        rows = told.rename({talk: "turns"}).drop(name for name in self.talks if name != talk)
        missing = rows.filter(pl.col("turns").is_null())
        turns = rows.explode("turns", empty_as_null=False, keep_nulls=False).unnest("turns")
        before = turns.select(pl.col("chars").fill_null(0).cum_sum() - pl.col("chars").fill_null(0)).to_series()
        is_reply = turns.select(pl.col("role").str.to_lowercase().is_in(_REPLIERS).fill_null(False)).to_series()
        # Turns of a row follow each other, so sums over a row are sums over all, less what came before the row.
        is_first = (turns["line"] != turns["line"].shift(1)).fill_null(True)
        turns = turns.with_columns(
            (instants(turns["at"]) if self.turn_time else pl.lit(None, pl.Float64)).alias("at_s"),
            is_reply.alias("is_reply"),
            (before - _held(before, is_first)).alias("before"),
            (is_reply.cum_sum() - _held(is_reply.cum_sum() - is_reply, is_first)).alias("turn"),
            (is_first | is_reply.shift(1)).alias("is_unasked"),
        )
        asked_s = pl.when(~pl.col("is_unasked")).then(pl.col("at_s").shift(1))
        lengths = [
            estimated_tokens(pl.col("before"), self.chars_per_token).alias("input_tokens"),
            estimated_tokens(pl.col("chars").fill_null(0), self.chars_per_token).alias("output_tokens"),
            turn_number(pl.col("turn")),
        ]
        own = self._own(talk)
        requests = turns.select(
            "line", pl.coalesce(asked_s, "at_s", "told_s").alias("arrival_s"), *lengths, *own, "is_reply"
        )
        # A row without its conversation is kept without lengths, so that the reader can say where it is.
        lacking = missing.select("line", pl.col("told_s").alias("arrival_s"), *own)
        return pl.concat([requests.filter("is_reply").drop("is_reply"), lacking], how="diagonal")

    def _own(self, talk: str) -> list[pl.Expr]:
        """What is the same for all turns of a conversation."""
        own = [(pl.col("number") + self.talks.index(talk)).alias("conversation")]
        if self.user:
            own.append(pl.col("client"))
        if self.models:
            own.append(pl.col(_TALKS[talk]).cast(pl.String).alias("model"))
        return own


def _held(values: pl.Series, is_first: pl.Series) -> pl.Series:
    """Of each row's first value as many as the row has."""
    return pl.select(pl.when(is_first).then(values).forward_fill()).to_series()


def _turns(rows: Iterable[Mapping[str, Any]], talks: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """The turns of all of ``rows`` that have a role and a text."""
    for row in rows:
        for talk in talks:
            turns = row.get(talk)
            for turn in turns if isinstance(turns, (list, tuple)) else ():
                if isinstance(turn, Mapping) and any(r in turn for r in _ROLES) and any(t in turn for t in _TEXTS):
                    yield turn


def _first_of(rows: Iterable[Mapping[str, Any]], names: Iterable[str]) -> str | None:
    """The first of ``names`` that has a value in some row."""
    there = found(rows, [(name,) for name in names])
    return there[0][0] if there else None


def _all(head: Head) -> str:
    return ", ".join(head.columns) or "no columns"
