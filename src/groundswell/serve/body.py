"""What a request's body asks for."""

from __future__ import annotations

from typing import Any

import msgspec

from groundswell.serve.pace import Asked


class BodyError(ValueError):
    """A body that asks for nothing that can be done; the text is for the client."""


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Message(msgspec.Struct):
    content: Any = None


class Body(msgspec.Struct):
    """The fields that matter here; others are taken and do nothing."""

    messages: list[_Message] | None = None
    prompt: str | list[Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None


DEFAULT_TOKENS = 16
MOST_TOKENS = 2**20

_decode = msgspec.json.Decoder(Body).decode


def body_of(data: bytes, *, chat: bool) -> Body:
    """A request's body. Raises :class:`BodyError` for what is none."""
    try:
        body = _decode(data)
    except msgspec.MsgspecError as fault:
        raise BodyError(f"the body cannot be read: {fault}") from fault
    if chat and body.messages is None:
        raise BodyError("a chat needs messages")
    if not chat and body.prompt is None:
        raise BodyError("a completion needs a prompt")
    return body


def asked_of(body: Body, fixed_tokens: int = 0) -> Asked:
    """How many tokens a body brings and asks for, unless all replies are of ``fixed_tokens``.

    A word of a prompt, between white space, is a token; of a prompt of token ids, each id.
    """
    tokens = body.max_completion_tokens or body.max_tokens
    tokens = fixed_tokens or (DEFAULT_TOKENS if tokens is None else tokens)
    if not 1 <= tokens <= MOST_TOKENS:
        raise BodyError(f"max_tokens is {tokens}; it can be 1 to {MOST_TOKENS}")
    prompt = sum(_words(message.content) for message in body.messages or ()) + _words(body.prompt)
    return Asked(prompt_tokens=prompt, output_tokens=tokens)


def _words(content: Any) -> int:
    """The tokens of text, of ids, or of a list of either or of a message's parts."""
    if isinstance(content, str):
        return len(content.split())
    if isinstance(content, list):
        return len(content) if content and isinstance(content[0], int) else sum(map(_words, content))
    if isinstance(content, dict) and content.get("type") == "text":
        return _words(content.get("text"))
    return 0
