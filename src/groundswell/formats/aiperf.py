"""AIPerf's mooncake-trace (ai-dynamo/aiperf, ``dataset/loader/models.py``: ``MooncakeTrace``).

Written with the turns of conversations as rows of a session, which hold what is new, and with blocks where a workload
has any: AIPerf makes up a prompt of the stated length where there are none. Read with all that AIPerf takes, prompts as
text among it, of which the length is estimated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from groundswell.formats import FORMATS, Prefixes, Sink, _timed_trace
from groundswell.formats._blocks import BlockIds, block_size
from groundswell.formats._json_values import check_chars_per_token, is_json
from groundswell.formats._session_reader import PROMPTS, are_cumulative, session_layout
from groundswell.formats._session_rows import SessionLines, check_turns
from groundswell.formats.layout import Head, Layout

_OTHERS = {"chat_id", "parent_chat_id", "arrival_s", "usage", "conversation", "attributes"}


@FORMATS.register("aiperf")
@dataclass(frozen=True)
class Aiperf:
    """Three fields, ``timestamp`` in ms, ``input_length``, ``output_length``; ``hash_ids`` where prefixes are known;
    in conversations ``session_id`` and, from the second turn on, ``delay`` in ms instead of a time.

    ``turns`` is what rows of a session hold, ``delta`` as in AIPerf or ``cumulative`` (the whole prompt) as in Dynamo.
    To read: prompts given as text are of ``chars_per_token`` characters a token.
    """

    turns: str = "delta"
    chars_per_token: float = 4
    block_tokens: float = 512
    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "AIPerf"
    command: ClassVar[str] = (
        "aiperf profile --model MODEL --url URL --input-file trace.jsonl --custom-dataset-type mooncake-trace "
        "--fixed-schedule"
    )
    keeps: ClassVar[tuple[str, ...]] = ("conversation", "turn", "think_s", "prefix_blocks")
    prefixes: ClassVar[Prefixes] = "ids"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs (1 ms beside prefixes)", "prefixes of later turns")

    def __post_init__(self) -> None:
        check_turns(self.turns, "aiperf")
        block_size(self.block_tokens, "aiperf")
        check_chars_per_token(self.chars_per_token, "aiperf")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        return SessionLines(place, self.turns, BlockIds(int(self.block_tokens), metadata))

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether rows have a time or a delay in ms and one of AIPerf's prompts, and more or less than Mooncake's."""
        names = set(head.columns)
        timed = bool(names & {"timestamp", "delay"})
        prompted = bool(names & set(PROMPTS)) and bool(names & {"output_length", "session_id", "text_input", "payload"})
        plain = _timed_trace.in_milliseconds(head) is not None
        ours = is_json(head) and timed and prompted and not plain and not names & _OTHERS
        return ours and not are_cumulative(head)

    def layout(self, head: Head) -> Layout:
        """How to read this file, from its beginning to its end."""
        return session_layout(head, self.turns, int(self.block_tokens), self.chars_per_token)
