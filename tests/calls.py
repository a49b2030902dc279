"""Calls that remember what came of them, for tests of the transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from groundswell.replay.journal import ERROR
from groundswell.replay.transport import Call, Endpoint, Pool, request, request_head

PATIENCE_S = 60.0
"""Longer than a busy machine stands still; no test waits so long unless it fails."""
PATH = "/v1/chat/completions"


class Heard(Call):
    """All that was said of one request."""

    def __init__(self, payload: bytes, then: Callable[[Heard], None] | None = None) -> None:
        super().__init__(payload)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.told: list[str] = []
        self.times_ns: list[int] = []
        self.status = 0
        self.content_type = self.kind = self.words = ""
        self.chunks: list[bytes] = []
        self._then = then

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def _tell(self, what: str, at_ns: int) -> None:
        assert not self.ended.done(), f"{what} after {self.told}"
        self.told.append(what)
        self.times_ns.append(at_ns)

    def on_sent(self, at_ns: int) -> None:
        self._tell("sent", at_ns)

    def on_status(self, status: int, content_type: str, at_ns: int) -> None:
        self._tell("status", at_ns)
        self.status, self.content_type = status, content_type

    def on_data(self, chunk: bytes, at_ns: int) -> None:
        self._tell("data", at_ns)
        assert chunk
        self.chunks.append(chunk)

    def on_end(self, at_ns: int) -> None:
        self._tell("end", at_ns)
        self._end()

    def on_failed(self, kind: str, words: str, at_ns: int) -> None:
        self._tell("failed", at_ns)
        assert kind in ERROR
        self.kind, self.words = kind, words
        self._end()

    def _end(self) -> None:
        self.ended.set_result(None)
        if self._then is not None:
            self._then(self)


def payload(url: str, tokens: int = 4, more: str = "", headers: list[tuple[str, str]] | None = None) -> bytes:
    """A request for ``tokens``; ``more`` makes its body longer."""
    body = {"model": "m", "stream": True, "max_tokens": tokens, "messages": [{"role": "user", "content": "hi" + more}]}
    return request(request_head(Endpoint.parse(url), PATH, headers or []), json.dumps(body).encode())


async def answer(pool: Pool, data: bytes) -> Heard:
    """Send ``data`` and wait for what comes of it."""
    call = Heard(data)
    pool.send(call)
    await asyncio.wait_for(call.ended, PATIENCE_S)
    return call
