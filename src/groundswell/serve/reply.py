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


class Dialect:
    """The replies of an API of one model; all that does not change is made once, for a reply that is none."""

    def __init__(self, model: str, *, chat: bool) -> None:
        self._model, self._chat = model, chat

    def reply(self, number: int, created: int) -> Reply:
        """One whose number tells it from the others of its server; its request came at ``created``, in Unix seconds."""
        return Reply(self, number, created)

    @cached_property
    def role(self) -> bytes:
        """What comes before the first token of a stream; nothing, where that is no chat."""
        said = {"delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        return self.event([{"index": 0} | said]) if self._chat else b""

    @cached_property
    def token(self) -> bytes:
        """A token of a stream."""
        said = {"delta": {"content": WORD}} if self._chat else {"text": WORD}
        return self.event([{"index": 0, **said, "finish_reason": None}])

    @cached_property
    def finish(self) -> bytes:
        """What says that a stream has all its tokens."""
        said: dict[str, Any] = {"delta": {}} if self._chat else {"text": ""}
        return self.event([{"index": 0, **said, "finish_reason": "length"}])

    def event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        """A piece of a stream."""
        return _chunk(b"data: " + self._json(self.blank, choices, **more) + b"\n\n")

    def whole(self, asked: Asked, number: int, created: int) -> bytes:
        """A reply that is no stream, as JSON."""
        text = WORD * asked.output_tokens
        said = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        choice = {"index": 0, **said, "finish_reason": "length"}
        kind = "chat.completion" if self._chat else "text_completion"
        return self._json(self._mark(kind, number, created), [choice], usage=_usage(asked))

    def mark(self, number: int, created: int) -> bytes:
        """What every piece of a stream begins with, of as many bytes for each reply."""
        return self._mark("chat.completion.chunk" if self._chat else "text_completion", number, created)

    @cached_property
    def blank(self) -> bytes:
        """That of no reply, in whose place each puts its own."""
        return self.mark(0, CREATED)

    def _mark(self, kind: str, number: int, created: int) -> bytes:
        begin = "chatcmpl" if self._chat else "cmpl"
        return f'{{"id":"{begin}-{number:016x}","object":"{kind}","created":{created},'.encode()

    def _json(self, mark: bytes, choices: list[dict[str, Any]], **more: Any) -> bytes:
        rest = {"model": self._model, "choices": choices} | more
        return mark + json.dumps(rest, separators=(",", ":")).encode()[1:]


class Reply:
    """The bytes of one reply: those of its dialect, with its own mark in each piece."""

    __slots__ = ("_created", "_dialect", "_mark", "_number", "token")

    def __init__(self, dialect: Dialect, number: int, created: int) -> None:
        self._dialect, self._number, self._created = dialect, number, created
        self._mark = dialect.mark(number, created)
        self.token = self._own(dialect.token)

    def opening(self) -> bytes:
        """What a stream begins with, before its first token."""
        return STREAM_HEAD + self._own(self._dialect.role)

    def ending(self, asked: Asked, *, usage: bool) -> bytes:
        """What a stream ends with, after its last token; with ``usage``, the tokens' numbers before that."""
        used = self._dialect.event([], usage=_usage(asked)) if usage else b""
        return self._own(self._dialect.finish) + self._own(used) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"

    def whole(self, asked: Asked) -> bytes:
        """The reply, where it is no stream."""
        return page("200 OK", "application/json", self._dialect.whole(asked, self._number, self._created))

    def _own(self, event: bytes) -> bytes:
        return event.replace(self._dialect.blank, self._mark, 1)


def _usage(asked: Asked) -> dict[str, int]:
    prompt, made = asked.prompt_tokens, asked.output_tokens
    return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
