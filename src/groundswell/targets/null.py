"""Nowhere: requests that no server sees, to measure what sends them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from groundswell.targets import ANSWER, END, TARGETS, Settings
from groundswell.targets._reply import OpenAIReply


class NullBodies:
    """Makes bodies that say nothing."""

    __slots__ = ()

    def message(self, text: bytes, items: Sequence[bytes] = ()) -> bytes:
        """The text as it is."""
        return text

    def answer(self, text: str) -> bytes:
        """Nothing."""
        return b""

    def body(self, pieces: Sequence[bytes], output_tokens: int) -> bytes:
        """An empty object of JSON."""
        return b"{}"


class NullReply(OpenAIReply):
    """A reply that is whole from the start."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.ended = True

    def event(self, data: bytes) -> int:
        """The answer and its end, whatever came."""
        return ANSWER | END

    def whole(self, body: bytes) -> int:
        """The answer and its end, whatever came."""
        return ANSWER | END


@TARGETS.register("null")
@dataclass(frozen=True)
class Null:
    """No server at all."""

    path: ClassVar[str] = "/null"
    takes: ClassVar[Literal["messages", "prompt"]] = "messages"
    ids: ClassVar[bool] = False

    def bodies(self, settings: Settings) -> NullBodies:
        """What makes the bodies of a run."""
        return NullBodies()

    def reply(self) -> NullReply:
        """A reader for one reply."""
        return NullReply()
