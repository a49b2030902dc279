"""Alibaba Bailian's trace (alibaba-edu/qwen-bailian-usagetraces-anon): seconds, turns that name the one before them.

Each row is a whole prompt, with ids of its 16-token blocks. ``type`` is the kind of traffic: text, search, image, file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.formats import FORMATS, Prefixes, Sink, _timed_trace
from groundswell.formats._blocks import BlockIds, block_size
from groundswell.formats._json_values import is_json, turn_number
from groundswell.formats._lines import JsonLines, input_length, second
from groundswell.formats.layout import REFUSED, Head, Layout
from groundswell.table import BLOCK_SIZE_KEY, Workload

ROOT = -1
"""The parent of a chat's first turn."""

_TURNS = (
    "A conversation is a chat and all that followed from it; chats whose first turn is not in the file go by the "
    "earliest that is named."
)
_KIND = "type"
"""What a client is where a trace tells kinds of traffic and no senders."""

Ids = NDArray[np.int64]


@FORMATS.register("bailian")
@dataclass(frozen=True)
class Bailian:
    """``chat_id``, ``parent_chat_id``, ``timestamp`` in s, lengths, ``type``, ``turn``, ``hash_ids``."""

    block_tokens: float = 16
    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "AIPerf, as Bailian's trace"
    command: ClassVar[str] = (
        "aiperf profile --model MODEL --url URL --input-file trace.jsonl --custom-dataset-type bailian-trace "
        "--fixed-schedule"
    )
    keeps: ClassVar[tuple[str, ...]] = ("client", "conversation", "turn", "prefix_blocks")
    prefixes: ClassVar[Prefixes] = "ids"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs",)

    def __post_init__(self) -> None:
        block_size(self.block_tokens, "bailian")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        ids, chats = BlockIds(int(self.block_tokens), metadata), _Chats()
        return JsonLines(place, lambda block: _rows(block, ids, chats))

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether rows name a chat, the chat before it, and lengths."""
        return is_json(head) and {"chat_id", "parent_chat_id", *_timed_trace.NUMBERS} <= set(head.columns)

    def layout(self, head: Head) -> Layout:
        """How to read this file, from its beginning to its end."""
        _timed_trace.require(head, ("chat_id", "parent_chat_id", *_timed_trace.NUMBERS))
        has_turns, has_blocks = "turn" in head.columns, "hash_ids" in head.columns
        raw: dict[str, pl.DataType] = {
            "chat_id": pl.Int64(),
            "parent_chat_id": pl.Int64(),
            **dict.fromkeys(_timed_trace.NUMBERS, pl.Float64()),
            "type": pl.String(),
        }
        if has_turns:
            raw["turn"] = pl.Float64()
        plain = _timed_trace.layout(head, 1.0, int(self.block_tokens))
        metadata = {**plain.metadata, "client_is": _KIND}
        if has_blocks:
            raw["hash_ids"] = pl.List(pl.Int64())
        else:
            del metadata[BLOCK_SIZE_KEY]
        roots, size = Roots(), plain.metadata[BLOCK_SIZE_KEY]

        def rows(frame: pl.DataFrame) -> pl.DataFrame:
            links = roots.of(frame["chat_id"], frame["parent_chat_id"])
            columns: list[pl.Expr | pl.Series] = [
                pl.col("type").alias("client"),
                links["conversation"],
                _refused(frame, links, has_turns=has_turns).alias(REFUSED),
            ]
            if has_turns:
                columns.append(turn_number(pl.col("turn")))
            return _timed_trace.refusing(_timed_trace.rows(frame, 1.0).hstack(frame.select(columns)), size)

        names = {**plain.names, "client": "type", "conversation": "chat_id", "turn": "turn"}
        return Layout(raw, rows, metadata, names, (*plain.notes, _TURNS))


class Roots:
    """Which chat each chat began with, over all parts of a file, which must be given in its order, each once.

    It keeps 16 bytes for each turn after a conversation's first: a chat that is not known is its own beginning.
    """

    def __init__(self) -> None:
        self.known = pl.DataFrame(schema={"chat": pl.Int64, "root": pl.Int64})

    def of(self, chats: pl.Series, parents: pl.Series) -> pl.DataFrame:
        """``conversation``, the first chat of each of ``chats``, whose parent is :data:`ROOT` or null where it is the
        first; ``before``, the row of the parent, null if it is not here; ``in_circle``, whether parents lead back to
        where they began."""
        chat, parent = chats.fill_null(ROOT).to_numpy(), parents.fill_null(ROOT).to_numpy()
        above = _above(chat, parent)
        top = _top(above)
        before = parent[top]
        root = np.where(before == ROOT, chat[top], self._known_root(before))
        later = pl.DataFrame({"chat": chat, "root": root}).filter(pl.col("chat") != pl.col("root"))
        self.known = pl.concat([self.known, later])
        rows = np.arange(chat.size)
        circle = (above[top] != top) | ((parent != ROOT) & ((chat == parent) | (root == chat)))
        return pl.DataFrame({"root": root, "above": above, "row": rows, "in_circle": circle}).select(
            pl.when(chats.is_not_null()).then("root").alias("conversation"),
            pl.when(pl.col("above") != pl.col("row")).then("above").alias("before"),
            "in_circle",
        )

    def _known_root(self, chat: Ids) -> Ids:
        asked = pl.DataFrame({"chat": chat})
        known = self.known.join(asked, on="chat", how="semi").unique("chat", keep="last")
        root = asked.join(known, on="chat", how="left", maintain_order="left")["root"]
        return root.fill_null(asked["chat"]).to_numpy()


def _above(chat: Ids, parent: Ids) -> Ids:
    """For each row that of its parent, or itself if that is not among these rows."""
    order = np.argsort(chat, kind="stable")
    place = (
        order[np.minimum(np.searchsorted(chat, parent, sorter=order), max(chat.size - 1, 0))] if chat.size else order
    )
    return np.where((chat[place] == parent) & (parent != ROOT), place, np.arange(chat.size))


def _top(above: Ids) -> Ids:
    """For each row the first row of its conversation that is among these rows; in a circle any of it."""
    up = above
    for _ in range(above.size.bit_length()):  # each step doubles how far up it goes
        further = up[up]
        if np.array_equal(further, up):
            break
        up = further
    return up


def _refused(frame: pl.DataFrame, links: pl.DataFrame, *, has_turns: bool) -> pl.Series:
    """What is wrong with a chat whose parents lead in a circle, or that is before its parent, and null for others."""
    own = frame.select("chat_id", "parent_chat_id", "timestamp", *(["turn"] if has_turns else []))
    before = own.select(pl.all().gather(links["before"])).select(pl.all().name.prefix("before_"))
    circle = (
        "chat {} follows chat {}, and that in turn follows it: parents must lead to a first chat, whose parent is -1"
    )
    early = "chat {} is at {} s, before chat {} that it follows, at {} s"
    turned = "chat {} is turn {} and follows chat {}, which is turn {}"
    names = ("chat_id", "timestamp", "parent_chat_id", "before_timestamp")
    said = (
        pl.when("in_circle")
        .then(pl.format(circle, "chat_id", "parent_chat_id"))
        .when(pl.col("timestamp") < pl.col("before_timestamp"))
        .then(pl.format(early, *names))
    )
    if has_turns:
        numbers = ("chat_id", pl.col("turn").cast(pl.Int64, strict=False), "parent_chat_id")
        wrong = pl.format(turned, *numbers, pl.col("before_turn").cast(pl.Int64, strict=False))
        said = said.when(pl.col("turn") <= pl.col("before_turn")).then(wrong)
    return pl.concat([own, before, links], how="horizontal").select(said.alias(REFUSED)).to_series()


class _Chats:
    """Gives each request a chat of its own, and the one that came before it in its conversation."""

    def __init__(self) -> None:
        self.used = 0
        self.latest = pl.DataFrame(schema={"conversation": pl.Int64, "chat": pl.Int64, "turns": pl.Int64})

    def of(self, block: Workload) -> pl.DataFrame:
        """``chat_id``, ``parent_chat_id`` and ``turn`` of each row."""
        rows = pl.DataFrame({"chat": np.arange(self.used, self.used + len(block))})
        self.used += len(block)
        if "conversation" not in block.frame.columns:
            return rows.select(pl.col("chat").alias("chat_id"), parent_chat_id=pl.lit(ROOT), turn=pl.lit(1))
        rows = rows.hstack([block.frame["conversation"]])
        before = self.latest.join(rows, on="conversation", how="semi")
        whole = pl.concat([before, rows.with_columns(turns=pl.lit(1, pl.Int64))], how="diagonal")
        alone = pl.col("conversation").is_null()
        whole = whole.with_columns(
            pl.when(~alone).then(pl.col("chat").shift(1).over("conversation")).fill_null(ROOT).alias("parent"),
            pl.when(alone).then(1).otherwise(pl.col("turns").cum_sum().over("conversation")).alias("turns"),
        )
        latest = whole.filter(~alone).group_by("conversation").agg(pl.col("chat", "turns").last())
        self.latest = pl.concat([self.latest.join(latest, on="conversation", how="anti"), latest])
        return whole[before.height :].select(
            pl.col("chat").alias("chat_id"), pl.col("parent").alias("parent_chat_id"), pl.col("turns").alias("turn")
        )


def _rows(block: Workload, ids: BlockIds, chats: _Chats) -> pl.DataFrame:
    chat = chats.of(block)
    return block.frame.select(
        chat["chat_id"],
        chat["parent_chat_id"],
        second().alias("timestamp"),
        input_length(block).alias("input_length"),
        pl.col("output_tokens").alias("output_length"),
        pl.col("client").cast(pl.String).alias("type"),
        chat["turn"],
        ids.of(block),
    )
