"""A server that is not there: every request is answered at once, so that a run costs only what we cost ourselves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from groundswell.replay import clock

if TYPE_CHECKING:
    from groundswell.replay.transport import Call

EVENTS = 16
_REPLY = b"data: .\n\n" * EVENTS + b"data: [DONE]\n\n"


class Nowhere:
    """Takes the place of a pool of connections for the target ``null``."""

    begun = 0

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def send(self, call: Call) -> None:
        """Note when it was sent; the reply is there in the loop's next round."""
        call.on_sent(clock.now_ns())
        self._loop.call_soon(self._answer, call)

    def _answer(self, call: Call) -> None:
        now_ns = clock.now_ns()
        call.on_status(200, "text/event-stream", now_ns)
        call.on_data(_REPLY, now_ns)
        call.on_end(now_ns)

    def give_up(self, call: Call, kind: str, words: str) -> None:
        """Nothing stays open."""

    async def warm(self, count: int) -> None:
        """There is nothing to connect to."""

    def keep_spare(self, count: int) -> None:
        """There is nothing to connect to."""
