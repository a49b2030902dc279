"""Requests over kept connections: sent at once, replies stamped as they are read, each ending exactly once.

Sockets are ours, without a transport in between: a request is with the kernel when :meth:`Pool.send` returns, and
nothing on the way there or back makes a task or a future.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import OrderedDict

from groundswell.replay._addresses import Addresses
from groundswell.replay._connection import Call, Connection
from groundswell.replay._opening import Opening
from groundswell.replay.clock import now_ns
from groundswell.replay.endpoint import Endpoint, request, request_head, tls_context

__all__ = ["Call", "Endpoint", "Pool", "request", "request_head", "tls_context"]

_BUFFER_BYTES = 2**18
_WARMED_AT_A_TIME = 64  # servers listen with a backlog of 100 or so
_SPARES, _SPARE_GAP_S = 2, 0.001  # so few at a time that opening them delays no request by more than a fraction of a ms
_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0


class Pool:
    """Connections to one server, opened as calls need them and kept as long as the server keeps them.

    A call goes out on an idle connection, the one used last. Where there is none it waits for a new one, or for one to
    become idle, whichever is first, in order. A call whose connection had been idle before and died before any byte of
    the reply is sent once more, on a fresh connection; that is all that is sent twice.

    What a burst leaves idle is not closed, however long it is idle: the next burst would have to open as many at once,
    more than a server's backlog holds, and what is dropped there is tried again after a second, which would look as if
    the server had taken it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        endpoint: Endpoint,
        *,
        context: ssl.SSLContext | None,
        quick_ack: bool = False,
        connect_timeout_s: float = 10.0,
    ) -> None:
        self._loop, self._connect_timeout_s = loop, connect_timeout_s
        self._tls = (context or ssl.create_default_context(), endpoint.host) if endpoint.tls else None
        self._addresses = Addresses(loop, endpoint.host, endpoint.port)
        self.quick_ack = quick_ack
        self.buffer = bytearray(_BUFFER_BYTES)
        """Where every connection reads to; what is in it is of use only until the next read."""
        self.view = memoryview(self.buffer)
        self.open_calls = 0
        """Sent or waiting for a connection, and not yet ended."""
        self.connections = 0
        """Connections that are up."""
        self.opened = 0
        """Connections that ever were."""
        self.begun = 0
        """Those of them that ever had a call."""
        self._up: dict[Connection, None] = {}
        self._idle: dict[Connection, None] = {}
        self._openings: dict[Opening, None] = {}
        self._waiting: OrderedDict[Call, int] = OrderedDict()  # since when
        self._again: OrderedDict[Call, int] = OrderedDict()  # these must have a fresh connection
        self._spare = 0
        self._pause_s = 0.0  # before the next spare connection: the server does not want them now
        self._refill: asyncio.Handle | None = None
        self._settled: list[asyncio.Future[None]] = []
        self._open = True

    def send(self, call: Call) -> None:
        """Send ``call``: before this returns where a connection is idle, else as soon as one is there."""
        self.open_calls += 1
        if self._idle:
            self._idle.popitem()[0].carry(call)
        elif not self._open:
            self._waiting[call] = 0
            self._loop.call_soon(self.give_up, call, "interrupted", "")
        else:
            self._waiting[call] = now_ns()
            self._open_for_waiting()
        if self._spare:
            self._refill_soon()

    def give_up(self, call: Call, kind: str, words: str) -> None:
        """Close the connection that ``call`` is on, and let it fail; nothing where it has ended already."""
        if call.carrier is not None:
            call.carrier.drop(kind, words, now_ns())
        elif call in self._waiting or call in self._again:
            self._fail(call, kind, words)

    async def warm(self, count: int) -> None:
        """Have ``count`` connections up, or as many as the server takes."""
        while self._open and self.connections < count:
            before = self.opened
            wanted = min(count - self.connections, _WARMED_AT_A_TIME)
            settled: asyncio.Future[None] = self._loop.create_future()
            self._settled.append(settled)
            for _ in range(wanted - len(self._openings)):
                self._begin()
            await settled
            if self.opened == before:
                return

    def keep_spare(self, count: int) -> None:
        """Hold ``count`` idle connections ready from now on, opened in the background."""
        self._spare = count
        if count:
            self._refill_soon()

    async def close(self) -> None:
        """Close everything; calls that are open fail as interrupted."""
        self._open = False
        if self._refill is not None:
            self._refill.cancel()
        for opening in self._openings:
            opening.cancel()
        self._openings.clear()
        for connection in tuple(self._up):
            connection.drop("interrupted", "", now_ns())
        for call in (*self._again, *self._waiting):
            self._fail(call, "interrupted", "")
        self._tell_settled()

    def idle_again(self, connection: Connection) -> None:
        """Take back a connection whose call has ended: for a call that waits, or to be kept."""
        connection.pooled = True
        if self._waiting:
            connection.carry(self._waiting.popitem(last=False)[0])
        else:
            self._idle[connection] = None

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        del self._up[connection]
        self.connections -= 1
        if connection in self._idle:
            del self._idle[connection]
            self._pause_s = self._pause_s or _PAUSE_S
        if self._spare:
            self._refill_soon()

    def again(self, call: Call) -> None:
        """Send ``call`` once more, on a fresh connection."""
        self._again[call] = now_ns()
        self._open_for_waiting()

    def ended(self) -> None:
        """Count a call that has ended on its connection: the server is there, then."""
        self.open_calls -= 1
        if self._pause_s:
            self._pause_s = 0.0
            if self._refill is not None:
                self._refill.cancel()
                self._refill = None
            if self._spare:
                self._refill_soon()

    def _open_for_waiting(self) -> None:
        for _ in range(len(self._waiting) + len(self._again) - len(self._openings)):
            self._begin()

    def _begin(self) -> None:
        timeout_s = self._connect_timeout_s
        opening = Opening(self._loop, self._addresses, self._tls, timeout_s, self._opened, self._not_opened)
        self._openings[opening] = None

    def _opened(self, opening: Opening, connected: socket.socket) -> None:
        del self._openings[opening]
        connection = Connection(self._loop, self, connected)
        self._up[connection] = None
        self.connections += 1
        self.opened += 1
        queue = self._again or self._waiting
        if queue:
            connection.carry(queue.popitem(last=False)[0])
        else:
            connection.pooled = True
            self._idle[connection] = None
        self._tell_settled()

    def _not_opened(self, opening: Opening, kind: str, words: str) -> None:
        """A call fails with an attempt to connect that began after the call did; others have an attempt to come."""
        del self._openings[opening]
        self._pause_s = self._pause_s or _PAUSE_S
        for queue in (self._again, self._waiting):
            if queue:
                call, since_ns = next(iter(queue.items()))
                if since_ns <= opening.began_ns:
                    self._fail(call, kind, words)
                    break
        self._open_for_waiting()
        if self._spare:
            self._refill_soon()
        self._tell_settled()

    def _fail(self, call: Call, kind: str, words: str) -> None:
        """Let a call fail that waits for a connection."""
        self._waiting.pop(call, None)
        self._again.pop(call, None)
        self.open_calls -= 1
        call.on_failed(kind, words, now_ns())

    def _missing(self) -> int:
        wanted = self._spare + len(self._waiting) + len(self._again)
        return wanted - len(self._idle) - len(self._openings)

    def _refill_soon(self) -> None:
        if self._refill is None and self._open and self._missing() > 0:
            self._refill = self._loop.call_later(self._pause_s, self._refill_now)

    def _refill_now(self) -> None:
        """Open a few spare connections; the pause before the next ones doubles until a call ends."""
        self._refill = None
        missing = self._missing()
        for _ in range(min(missing, _SPARES)):
            self._begin()
        if self._pause_s:
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        if missing > _SPARES:
            self._refill = self._loop.call_later(self._pause_s or _SPARE_GAP_S, self._refill_now)

    def _tell_settled(self) -> None:
        if not self._openings:
            settled, self._settled = self._settled, []
            for future in settled:
                if not future.done():
                    future.set_result(None)
