"""Messages to ``/v1/chat/completions``: text, images and audio, and conversations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec

from groundswell.targets import TARGETS, Settings
from groundswell.targets._body import Template
from groundswell.targets._reply import OpenAIReply


class ChatBodies:
    """Makes bodies with ``messages``."""

    __slots__ = ("_template",)

    def __init__(self, settings: Settings) -> None:
        self._template = Template(settings, "messages", b"[", b"]")

    def message(self, text: bytes, items: Sequence[bytes] = ()) -> bytes:
        """A user's message. The text comes before the items, so that prompts that begin alike still do so."""
        if not items:
            return b'{"role":"user","content":"%b"}' % text
        return b'{"role":"user","content":[{"type":"text","text":"%b"},%b]}' % (text, b",".join(items))

    def answer(self, text: str) -> bytes:
        """An assistant's message; halves of a surrogate pair that came in two events are made whole."""
        try:
            content = msgspec.json.encode(text)
        except UnicodeEncodeError:
            whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            content = msgspec.json.encode(whole)
        return b'{"role":"assistant","content":%b}' % content

    def body(self, pieces: Sequence[bytes], output_tokens: int) -> bytes:
        """The request's body: the messages so far, and how long the reply is to be."""
        return self._template.filled(b",".join(pieces), output_tokens)


@TARGETS.register("openai_chat")
@dataclass(frozen=True)
class OpenAIChat:
    """Chat completions, as vLLM, SGLang, llama.cpp, transformers serve and Dynamo have them."""

    path: ClassVar[str] = "/v1/chat/completions"
    takes: ClassVar[Literal["messages", "prompt"]] = "messages"
    ids: ClassVar[bool] = False

    def bodies(self, settings: Settings) -> ChatBodies:
        """What makes the bodies of a run."""
        return ChatBodies(settings)

    def reply(self) -> OpenAIReply:
        """A reader for one reply."""
        return OpenAIReply()
