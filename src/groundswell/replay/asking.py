"""Questions to a server, one at a time, for what is to be known before a run; sent as the run's requests are."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from groundswell.replay.endpoint import Endpoint, request, request_head, tls_context
from groundswell.replay.hidden import Hidden
from groundswell.replay.transport import Call, Pool
from groundswell.replay.wire import Tls

MOST_BYTES = 2**22
"""Answers are read up to here: what asks for two tokens needs no more."""


class UnansweredError(Exception):
    """No answer came; ``kind`` is one of :data:`groundswell.replay.journal.ERRORS`."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    content_type: str
    body: bytes

    @property
    def good(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300


class _Question(Call):
    __slots__ = ("_body", "_head", "_hidden", "_pool", "answer")

    def __init__(self, payload: bytes, pool: Pool, answer: asyncio.Future[Answer], hidden: Hidden) -> None:
        super().__init__(payload)
        self._pool, self.answer, self._hidden = pool, answer, hidden
        self._head, self._body = (0, ""), bytearray()

    def on_status(self, status: int, content_type: str, at_ns: int) -> None:
        self._head = (status, content_type)

    def on_data(self, chunk: bytes, at_ns: int) -> None:
        self._body += chunk
        if len(self._body) > MOST_BYTES:
            self._pool.give_up(self, "too large", f"the answer has more than {MOST_BYTES >> 20} MiB")

    def on_end(self, at_ns: int) -> None:
        if not self.answer.done():
            self.answer.set_result(Answer(*self._head, self._hidden.out_of(bytes(self._body))))

    def on_failed(self, kind: str, words: str, at_ns: int) -> None:
        if not self.answer.done():
            self.answer.set_exception(UnansweredError(kind, self._hidden.out_of_text(words)))


class Asker:
    """Asks the server at ``url``; to be closed. Raises UsageError for a URL or a header that cannot be meant."""

    def __init__(self, url: str, headers: Sequence[tuple[str, str]], key: str | None, tls: Tls) -> None:
        self._endpoint = Endpoint.parse(url)
        self._headers = [*headers, ("Content-Type", "application/json")]
        if key is not None:
            self._headers.append(("Authorization", f"Bearer {key}"))
        self._hidden = Hidden.of(key, headers)
        self._loop = asyncio.get_running_loop()
        context: ssl.SSLContext | None = tls_context(tls) if self._endpoint.tls else None
        self._pool = Pool(self._loop, self._endpoint, context=context)

    async def get(self, path: str, timeout_s: float) -> Answer:
        """The answer to a GET. Raises :class:`UnansweredError`."""
        head = request_head(self._endpoint, path, [*self._headers, ("Accept", "application/json")], "GET")
        return await self._ask(head + b"\r\n", timeout_s)

    async def post(self, path: str, body: bytes, timeout_s: float) -> Answer:
        """The answer to a POST of JSON, streamed or not. Raises :class:`UnansweredError`."""
        head = request_head(self._endpoint, path, [*self._headers, ("Accept", "text/event-stream")])
        return await self._ask(request(head, body), timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def _ask(self, payload: bytes, timeout_s: float) -> Answer:
        question = _Question(payload, self._pool, self._loop.create_future(), self._hidden)
        late = self._loop.call_later(timeout_s, self._pool.give_up, question, "timeout", f"nothing in {timeout_s:g} s")
        self._pool.send(question)
        try:
            return await question.answer
        finally:
            late.cancel()
