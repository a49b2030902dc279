"""SGLang's datasets of text (sgl-project/sglang, ``python/sglang/benchmark/datasets``): ``agentic-trace``, ``custom``.

An agentic trace is conversations whose turns hold what is new; the bench sends them with the answers it gets, each of
the length that ``--sharegpt-output-len`` says. A custom dataset is pairs of a prompt and a reply, in a random order at
a rate of one's choice. Neither knows times: for these there is ``mooncake``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats._blocks import BlockIds
from groundswell.formats._by_conversation import ConversationLines
from groundswell.formats._lines import JsonLines, input_length
from groundswell.formats._talks_as_text import CUT, TEXT, TextTurns, replies
from groundswell.formats._words import texts
from groundswell.prefix import flat
from groundswell.table import Workload

_KINDS = ("agentic", "custom")


@FORMATS.register("sglang")
@dataclass(frozen=True)
class Sglang:
    """``kind=agentic``: one document of ``conversations``, each a list of turns with ``messages`` and
    ``prompt_tokens``; ``kind=custom``: a line a request, with ``conversations`` of a prompt and a reply.

    Text is of words that mean nothing, one for each token.
    """

    kind: str = "agentic"
    ending: ClassVar[str] = ".json"
    reader: ClassVar[str] = "SGLang's `bench_serving` (text)"
    command: ClassVar[str] = (
        "python -m sglang.bench_serving --backend sglang-oai-chat --dataset-name agentic-trace "
        "--dataset-path trace.json --sharegpt-output-len 220 --num-prompts CONVERSATIONS"
    )
    keeps: ClassVar[tuple[str, ...]] = ("conversation", "turn", "prefix_blocks")
    prefixes: ClassVar[Prefixes] = "ids"
    coarser: ClassVar[tuple[str, ...]] = (
        "times",
        "lengths of replies, or with `kind=custom` conversations",
        "prefixes of later turns",
        "is not read back",
    )

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise UsageError(f"sglang: kind must be {' or '.join(_KINDS)}, not {self.kind!r}")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        turns = TextTurns(metadata)
        if self.kind == "custom":
            pairs = JsonLines(place, lambda block: _pairs(block, turns.ids))
            pairs.notes.append(TEXT)
            return pairs
        begin, end = b'{"metadata":{},"conversations":[\n', b"\n]}\n"
        sink = ConversationLines(place, lambda rows: _conversations(turns.of(rows)), begin, b",\n", end, text=True)
        sink.notes += [TEXT, CUT]
        return sink


def _message(role: str, content: pl.Expr) -> pl.Expr:
    return pl.struct(pl.lit(role).alias("role"), content.alias("content"))


def _pairs(block: Workload, ids: BlockIds) -> pl.DataFrame:
    count, numbers = flat(ids.of(block))
    length = block.frame.select(input_length(block)).to_series().to_numpy()
    said = pl.DataFrame(
        {"prompt": texts(numbers, count, length, ids.block_tokens), "reply": replies(block.frame["output_tokens"])}
    )
    return said.select(
        pl.concat_list(_message("user", pl.col("prompt")), _message("assistant", pl.col("reply"))).alias(
            "conversations"
        )
    )


def _conversations(turns: pl.DataFrame) -> bytes:
    """The lists of turns of conversations, a line each, with commas between them."""
    told = pl.struct(
        pl.concat_list(_message("user", pl.col("prompt"))).alias("messages"),
        pl.col("input_tokens").alias("prompt_tokens"),
    )
    whole = turns.group_by("talk", "part", maintain_order=True).agg(told.alias("turns"))
    text = BytesIO()
    whole.select("turns").write_ndjson(text)
    # Lines are {"turns":[…]}, of which the list is wanted.
    return text.getvalue().rstrip(b"\n").replace(b'}\n{"turns":', b",\n").removeprefix(b'{"turns":').removesuffix(b"}")
