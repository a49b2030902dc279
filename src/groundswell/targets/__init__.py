"""What a server is asked, and how its reply reads: one file for each API.

A target knows bytes and JSON, never the time: the replay stamps what arrives, and a target says what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from groundswell.errors import GroundswellError
from groundswell.family import Family

NOTHING, REASONING, ANSWER, END = 0, 1, 2, 4
"""What an event brought, as flags: no token, tokens of reasoning, tokens of the answer, the end of the reply."""


class ProtocolError(GroundswellError):
    """A server sent what is no reply of its API."""


@dataclass(frozen=True)
class Settings:
    """What all requests of a run have in common.

    ``forced``: replies are made as long as the workload says, whatever the model would say. ``usage``: the server is
    asked for its count of tokens. ``extra`` is merged into every body and wins; a field that is None there is left out.
    """

    model: str
    forced: bool = True
    usage: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)


class Bodies(Protocol):
    """Makes the bodies of requests, quickly: everything that does not change is made once."""

    def message(self, text: bytes, items: Sequence[bytes] = ()) -> bytes:
        """A user's message as JSON. ``text`` is ASCII that needs no escape, or token ids such as ``12,7,99,`` where
        the target takes those; ``items`` are the JSON of images and audio, and UsageError where it takes none."""

    def answer(self, text: str) -> bytes:
        """A reply of the assistant as JSON, for targets that take messages."""

    def body(self, pieces: Sequence[bytes], output_tokens: int) -> bytes:
        """The request's body: the conversation so far, and how long its reply is to be."""


class Reply(Protocol):
    """What a server said in one reply, as far as it has come. Counts are -1 until it tells them.

    ``ended``: the server said that the reply is whole, which a stream may do in two ways (a reason to finish,
    ``[DONE]``). ``error`` is the message of an error inside the reply. ``text`` holds the answer, never the reasoning,
    and only while ``keep`` is set.
    """

    prompt_tokens: int
    output_tokens: int
    reason_tokens: int
    cached_tokens: int
    finish: str | None
    error: str | None
    ended: bool
    keep: bool
    text: list[str]

    def event(self, data: bytes) -> int:
        """What an event of a stream brought; ProtocolError where it is no JSON object."""

    def whole(self, body: bytes) -> int:
        """The same of a reply that came as one JSON body."""

    @staticmethod
    def refusal(status: int, body: bytes) -> str:
        """The message in an error's body, whatever its shape: one line of at most 300 characters."""


class Target(Protocol):
    """An API: where requests go, how they are written and how replies are read."""

    path: ClassVar[str]
    takes: ClassVar[Literal["messages", "prompt"]]

    @property
    def ids(self) -> bool:
        """Whether prompts are lists of token ids rather than text."""

    def bodies(self, settings: Settings) -> Bodies:
        """What makes the bodies of a run. UsageError where ``settings`` ask for what the target cannot send."""

    def reply(self) -> Reply:
        """A reader for one reply."""


TARGETS: Family[Target] = Family("targets", __name__)
