"""What a request's body asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec

from groundswell.serve.pace import Asked
from groundswell.serve.reply import WORD


class BodyError(ValueError):
    """A body that asks for nothing that can be done; the text is for the client, ``param`` the field at fault."""

    status, kind = "400 Bad Request", ""

    def __init__(self, words: str, param: str | None = None) -> None:
        super().__init__(words)
        self.param = param


class ModelError(BodyError):
    """A body that asks for a model that the server has not, told in vLLM's words."""

    status, kind = "404 Not Found", "NotFoundError"

    def __init__(self, name: str) -> None:
        super().__init__(f"The model `{name}` does not exist.", "model")


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Message(msgspec.Struct):
    content: Any = None


class Body(msgspec.Struct):
    """The fields that matter here; others are taken and do nothing."""

    messages: list[_Message] | None = None
    prompt: str | list[Any] | None = None
    model: str | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None


@dataclass(frozen=True)
class Model:
    """What a server says of its model, and how it counts."""

    name: str = "mock"
    most_context: int = 0
    """The longest prompt with its reply; 0 for any."""
    block_tokens: int = 0
    """So many tokens of a prompt, or of a reply behind it, are a block that gets an id; 0: there are no ids."""
    any_name: bool = True
    """Whether requests may name another model."""


DEFAULT_TOKENS = 16
MOST_TOKENS = 2**20
_63_BITS = 2**63 - 1

_decode = msgspec.json.Decoder(Body).decode


def body_of(data: bytes, *, chat: bool) -> Body:
    """A request's body. Raises :class:`BodyError` for what is none."""
    try:
        body = _decode(data)
    except msgspec.MsgspecError as fault:
        raise BodyError(f"the body cannot be read: {fault}") from fault
    if chat and body.messages is None:
        raise BodyError("a chat needs messages", "messages")
    if not chat and body.prompt is None:
        raise BodyError("a completion needs a prompt", "prompt")
    if body.n not in (None, 1):
        raise BodyError(f"n is {body.n}; a request has one reply: it can be 1", "n")
    return body


def asked_of(body: Body, fixed_tokens: int = 0, model: Model = Model()) -> Asked:
    """How many tokens a body brings and asks for, unless all replies are of ``fixed_tokens``.

    A word of a prompt, between white space, is a token; of a prompt of token ids, each id. Raises :class:`BodyError`
    for what the model cannot do, :class:`ModelError` for another model where ``model`` has one name.
    """
    if body.model and body.model != model.name and not model.any_name:
        raise ModelError(body.model)
    tokens = body.max_completion_tokens or body.max_tokens
    tokens = fixed_tokens or (DEFAULT_TOKENS if tokens is None else tokens)
    if not 1 <= tokens <= MOST_TOKENS:
        raise BodyError(f"max_tokens is {tokens}; it can be 1 to {MOST_TOKENS}", "max_tokens")
    contents = [*(message.content for message in body.messages or ()), body.prompt]
    prompt = list(chain.from_iterable(map(_words, contents)))
    if model.most_context and len(prompt) + tokens > model.most_context:
        raise BodyError(
            f"the model's longest context is {model.most_context} tokens; {len(prompt)} of a prompt and {tokens} of a "
            "reply are more"
        )
    return Asked(len(prompt), tokens, tuple(_blocks(prompt, tokens, model.block_tokens)) if model.block_tokens else ())


def _words(content: Any) -> list[Any]:
    """The tokens of text, of ids, or of a list of either or of a message's parts."""
    if isinstance(content, str):
        return content.split()
    if isinstance(content, list):
        return content if content and isinstance(content[0], int) else list(chain.from_iterable(map(_words, content)))
    if isinstance(content, dict) and content.get("type") == "text":
        return _words(content.get("text"))
    return []


def _blocks(prompt: list[Any], reply: int, size: int) -> Iterator[int]:
    """The ids of whole blocks of the prompt and the reply, whose last token is never in memory: each is a hash of the
    id before it and the block's tokens."""
    tokens = prompt + [WORD.strip()] * (reply - 1)
    before = 0
    for begin in range(0, len(tokens) - size + 1, size):
        before = hash((before, *tokens[begin : begin + size])) & _63_BITS
        yield before
