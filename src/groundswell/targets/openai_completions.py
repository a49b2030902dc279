"""Prompts to ``/v1/completions``, as text or as token ids, without a template around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from groundswell.errors import UsageError
from groundswell.targets import TARGETS, Settings
from groundswell.targets._body import Template
from groundswell.targets._reply import OpenAIReply


class CompletionsBodies:
    """Makes bodies with a ``prompt``."""

    __slots__ = ("_ids", "_template")

    def __init__(self, settings: Settings, ids: bool) -> None:
        self._ids = ids
        self._template = Template(settings, "prompt", b"", b"")

    def message(self, text: bytes, items: Sequence[bytes] = ()) -> bytes:
        """The prompt: text as a string, or ids such as ``12,7,99,`` as a list."""
        if items:
            raise UsageError("openai_completions carries no images and no audio; openai_chat does")
        return b"[%b]" % text.removesuffix(b",") if self._ids else b'"%b"' % text

    def answer(self, text: str) -> bytes:
        """Nothing: a prompt has no place for an answer, and nobody asks for one."""
        return b""

    def body(self, pieces: Sequence[bytes], output_tokens: int) -> bytes:
        """The request's body, for its one prompt, and how long the reply is to be."""
        (prompt,) = pieces
        return self._template.filled(prompt, output_tokens)


@TARGETS.register("openai_completions")
@dataclass(frozen=True)
class OpenAICompletions:
    """Completions. ``ids=1``: prompts are lists of token ids, as vLLM, SGLang and llama.cpp take them."""

    ids: bool = False

    path: ClassVar[str] = "/v1/completions"
    takes: ClassVar[Literal["messages", "prompt"]] = "prompt"

    def __post_init__(self) -> None:
        if self.ids not in (0, 1):
            raise UsageError(f"openai_completions: ids is 1 (token ids) or 0 (text), not {self.ids!r}")
        object.__setattr__(self, "ids", bool(self.ids))

    def bodies(self, settings: Settings) -> CompletionsBodies:
        """What makes the bodies of a run."""
        return CompletionsBodies(settings, self.ids)

    def reply(self) -> OpenAIReply:
        """A reader for one reply."""
        return OpenAIReply()
