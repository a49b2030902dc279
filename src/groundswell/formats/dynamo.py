"""Dynamo's replay (ai-dynamo/dynamo, ``lib/mocker/src/loadgen/trace.rs``): Mooncake's rows, with sessions.

A turn of a session waits for the reply to the one before and its ``delay``. In ``--trace-format mooncake`` each row
holds the whole prompt, in ``mooncake-delta`` what is new. Dynamo keeps 32 bits of an id, so these are dense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats._blocks import BlockIds, block_size
from groundswell.formats._json_values import found, is_json
from groundswell.formats._session_reader import are_cumulative, session_layout
from groundswell.formats._session_rows import SessionLines, check_turns
from groundswell.formats.layout import Head, Layout

_ALIASES = {
    "timestamp": "created_time",
    "input_length": "input_tokens",
    "output_length": "output_tokens",
    "delay": "delay_ms",
}


@FORMATS.register("dynamo")
@dataclass(frozen=True)
class Dynamo:
    """``timestamp`` in whole ms or, from a session's second turn on, ``delay``; ``session_id`` in conversations;
    ``input_length``, ``output_length``, ``hash_ids`` with one id per block.

    ``turns`` is what rows of a session hold: ``cumulative``, the whole prompt, or ``delta``.
    """

    turns: str = "cumulative"
    block_tokens: float = 512
    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "Dynamo's `replay`"
    command: ClassVar[str] = (
        "python -m dynamo.replay trace.jsonl --trace-format mooncake --trace-block-size 512 --replay-mode offline "
        "--num-workers 4 --extra-engine-args '{\"block_size\":64}'"
    )
    keeps: ClassVar[tuple[str, ...]] = ("conversation", "turn", "think_s", "prefix_blocks")
    prefixes: ClassVar[Prefixes] = "ids"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 ms",)

    def __post_init__(self) -> None:
        check_turns(self.turns, "dynamo")
        block_size(self.block_tokens, "dynamo")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        ids = BlockIds(int(self.block_tokens), metadata, dense=True)
        return SessionLines(place, self.turns, ids, always_ids=True, whole_ms=True)

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether rows are Mooncake's with sessions, and hold whole prompts."""
        names = set(head.columns)
        timed = bool(names & {"timestamp", "created_time"}) and bool(names & {"input_length", "input_tokens"})
        return is_json(head) and timed and {"session_id", "hash_ids"} <= names and are_cumulative(head)

    def layout(self, head: Head) -> Layout:
        """How to read this file, from its beginning to its end."""
        places = {
            name: alias
            for name, alias in _ALIASES.items()
            if not found(head.first, [(name,)]) and found(head.first, [(alias,)])
        }
        return session_layout(head, self.turns, int(self.block_tokens), places=places)
