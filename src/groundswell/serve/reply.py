"""The bytes of replies: OpenAI's chunks, as events, in chunks of HTTP."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from groundswell.serve.pace import Asked

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: groundswell\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
WORD = " word"
CREATED = 1_700_000_000


def page(status: str, kind: str, content: bytes) -> bytes:
    """A whole reply that is no stream."""
    head = f"HTTP/1.1 {status}\r\nServer: groundswell\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def failure(status: str, words: str) -> bytes:
    """A reply that says what is wrong, in the shape OpenAI's have."""
    kind = "invalid_request_error" if status.startswith("4") else "server_error"
    error = {"message": words, "type": kind, "code": int(status.split()[0])}
    return page(status, "application/json", json.dumps({"error": error}).encode())


class Dialect:
    """The replies of an API of one model; all that does not change is made once."""

    def __init__(self, model: str, *, chat: bool) -> None:
        self._model, self._chat = model, chat

    @cached_property
    def opening(self) -> bytes:
        """What a stream begins with, before its first token."""
        role = {"delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        return STREAM_HEAD + (self._event([{"index": 0} | role]) if self._chat else b"")

    @cached_property
    def token(self) -> bytes:
        """A token."""
        said = {"delta": {"content": WORD}} if self._chat else {"text": WORD}
        return self._event([{"index": 0, **said, "finish_reason": None}])

    def ending(self, asked: Asked, *, usage: bool) -> bytes:
        """What a stream ends with, after its last token; with ``usage``, the tokens' numbers before that."""
        used = self._event([], usage=_usage(asked)) if usage else b""
        return self._finish + used + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"

    def whole(self, asked: Asked) -> bytes:
        """A reply that is no stream."""
        text = WORD * asked.output_tokens
        said = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        choice = {"index": 0, **said, "finish_reason": "length"}
        kind = "chat.completion" if self._chat else "text_completion"
        return page("200 OK", "application/json", self._json(kind, [choice], usage=_usage(asked)))

    @cached_property
    def _finish(self) -> bytes:
        said: dict[str, Any] = {"delta": {}} if self._chat else {"text": ""}
        return self._event([{"index": 0, **said, "finish_reason": "length"}])

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        kind = "chat.completion.chunk" if self._chat else "text_completion"
        return _chunk(b"data: " + self._json(kind, choices, **more) + b"\n\n")

    def _json(self, kind: str, choices: list[dict[str, Any]], **more: Any) -> bytes:
        number = "chatcmpl-0" if self._chat else "cmpl-0"
        fields = {"id": number, "object": kind, "created": CREATED, "model": self._model, "choices": choices}
        return json.dumps(fields | more, separators=(",", ":")).encode()


def _usage(asked: Asked) -> dict[str, int]:
    prompt, made = asked.prompt_tokens, asked.output_tokens
    return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
