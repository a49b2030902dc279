"""The bytes of replies: OpenAI's chunks, as events, in chunks of HTTP."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any, NamedTuple

from groundswell.serve.pace import Asked

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: groundswell\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
WORD = " word"
CREATED = 1_700_000_000
"""When all replies are made whose server knows no time: the same bytes again and again."""


def page(status: str, kind: str, content: bytes) -> bytes:
    """A whole reply that is no stream."""
    head = f"HTTP/1.1 {status}\r\nServer: groundswell\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def failure(status: str, words: str, param: str | None = None, kind: str = "") -> bytes:
    """A reply that says what is wrong, in the shape OpenAI's have; ``param`` is the field that is at fault."""
    kind = kind or ("invalid_request_error" if status.startswith("4") else "server_error")
    error = {"message": words, "type": kind, "param": param, "code": int(status.split()[0])}
    return page(status, "application/json", json.dumps({"error": error}).encode())


class Stamp(NamedTuple):
    """What tells a reply from the others of its server."""

    number: int
    created: int
    """When its request came, in Unix seconds."""


class Dialect:
    """The replies of an API of one model; all that does not change is made once, for a reply that is
    :data:`_NO_REPLY`, and its stamp is replaced by another of as many bytes."""

    def __init__(self, model: str, *, chat: bool) -> None:
        self._model, self._chat = model, chat

    def opening(self, stamp: Stamp) -> bytes:
        """What a stream begins with, before its first token."""
        return STREAM_HEAD + (self._stamped(self._role, stamp) if self._chat else b"")

    def token(self, stamp: Stamp) -> bytes:
        """A token."""
        return self._stamped(self._token, stamp)

    def ending(self, asked: Asked, stamp: Stamp, *, usage: bool) -> bytes:
        """What a stream ends with, after its last token; with ``usage``, the tokens' numbers before that."""
        used = self._stamped(self._event([], usage=_usage(asked)), stamp) if usage else b""
        return self._stamped(self._finish, stamp) + used + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"

    def whole(self, asked: Asked, stamp: Stamp) -> bytes:
        """A reply that is no stream."""
        text = WORD * asked.output_tokens
        said = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        choice = {"index": 0, **said, "finish_reason": "length"}
        kind = "chat.completion" if self._chat else "text_completion"
        return page("200 OK", "application/json", self._json(kind, [choice], stamp, usage=_usage(asked)))

    @cached_property
    def _role(self) -> bytes:
        role = {"delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        return self._event([{"index": 0} | role])

    @cached_property
    def _token(self) -> bytes:
        said = {"delta": {"content": WORD}} if self._chat else {"text": WORD}
        return self._event([{"index": 0, **said, "finish_reason": None}])

    @cached_property
    def _finish(self) -> bytes:
        said: dict[str, Any] = {"delta": {}} if self._chat else {"text": ""}
        return self._event([{"index": 0, **said, "finish_reason": "length"}])

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        return _chunk(b"data: " + self._json(self._kind, choices, _NO_REPLY, **more) + b"\n\n")

    @property
    def _kind(self) -> str:
        """What a piece of a stream is."""
        return "chat.completion.chunk" if self._chat else "text_completion"

    def _json(self, kind: str, choices: list[dict[str, Any]], stamp: Stamp, **more: Any) -> bytes:
        fields = self._first(kind, stamp) | {"model": self._model, "choices": choices}
        return json.dumps(fields | more, separators=(",", ":")).encode()

    def _first(self, kind: str, stamp: Stamp) -> dict[str, Any]:
        """The fields that a reply begins with, of as many bytes for every stamp."""
        begin = "chatcmpl" if self._chat else "cmpl"
        return {"id": f"{begin}-{stamp.number:016x}", "object": kind, "created": stamp.created}

    def _stamped(self, event: bytes, stamp: Stamp) -> bytes:
        before, after = (
            json.dumps(self._first(self._kind, each), separators=(",", ":")).encode()[:-1]
            for each in (_NO_REPLY, stamp)
        )
        return event.replace(before, after, 1)


_NO_REPLY = Stamp(0, CREATED)


def _usage(asked: Asked) -> dict[str, int]:
    prompt, made = asked.prompt_tokens, asked.output_tokens
    return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
