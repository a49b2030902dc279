"""One connection to a server, and the call that is on it."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import Protocol

from groundswell.replay._http import MOST_HEAD_BYTES, MOST_REPLY_BYTES, BrokenReplyError, Replies
from groundswell.replay.clock import now_ns

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)  # Linux only


class Call:
    """A request on its way and what comes of it; a subclass says what is done with that.

    All times are of the monotonic clock, in nanoseconds; what comes in one read from the socket has one time. After
    exactly one of :meth:`on_end` and :meth:`on_failed` nothing more is called. Any of them may send or give up calls.
    """

    __slots__ = ("carrier", "payload", "retried")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        """The whole request, head and body."""
        self.retried = False
        """Whether it was sent a second time."""
        self.carrier: Connection | None = None
        """The connection it is on, from its sending to its end."""

    def on_sent(self, at_ns: int) -> None:
        """The kernel has taken the request's first bytes; called again when it is sent again."""

    def on_status(self, status: int, content_type: str, at_ns: int) -> None:
        """The reply's head is here; ``content_type`` in small letters, empty if it has none."""

    def on_data(self, chunk: bytes, at_ns: int) -> None:
        """A piece of the reply's body is here: all that came in one read."""

    def on_end(self, at_ns: int) -> None:
        """The reply is here, as HTTP frames it. The connection may be another call's by now."""

    def on_failed(self, kind: str, words: str, at_ns: int) -> None:
        """There will be no whole reply: ``kind`` is one of :data:`groundswell.replay.journal.ERRORS`."""


class Owner(Protocol):
    """What a :class:`Connection` tells of itself: :class:`groundswell.replay.transport.Pool`."""

    buffer: bytearray
    view: memoryview
    quick_ack: bool
    begun: int

    def idle_again(self, connection: Connection) -> None:
        """Its call has ended, and it can take another."""

    def closed(self, connection: Connection) -> None:
        """It has no call, and will take none."""

    def again(self, call: Call) -> None:
        """Send ``call`` a second time, on a fresh connection."""

    def ended(self) -> None:
        """One call less is open."""


class Connection:
    """A connection that is up. It owns its socket, reads whatever comes, and has at most one call."""

    __slots__ = (
        "_loop", "_owner", "_received_bytes", "_replies", "_reset", "_socket", "_tls", "_unsent", "_writing", "call",
        "is_fresh", "is_open", "pooled",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner, connected: socket.socket) -> None:
        self._loop, self._owner, self._socket = loop, owner, connected
        self._tls = connected if isinstance(connected, ssl.SSLSocket) else None
        self._replies = Replies()
        self._received_bytes = 0
        self._unsent: memoryview | None = None
        self._writing = False
        self._reset = ""
        self.call: Call | None = None
        self.is_open = self.is_fresh = True
        self.pooled = False
        """Whether it has ever been idle: then the server may have closed it without our knowing."""
        loop.add_reader(connected.fileno(), self._readable if self._tls is None else self._readable_tls)

    def carry(self, call: Call) -> None:
        """Send ``call`` now. There must be no other."""
        self.call = call
        call.carrier = self
        self._received_bytes = 0
        if self.is_fresh:
            self.is_fresh = False
            self._owner.begun += 1
        payload = call.payload
        try:
            sent = self._socket.send(payload)
        except _WOULD_BLOCK:
            sent = 0
        except OSError:  # the server has closed it before
            self._loop.call_soon(self._read_rest, call)
            return
        call.on_sent(now_ns())
        if sent < len(payload) and self.call is call:
            self._unsent = memoryview(payload)[sent:]
            self._write()

    def _write(self) -> None:
        """Send what is left of the payload, as far as the kernel takes it."""
        rest = self._unsent
        try:
            while rest:
                rest = rest[self._socket.send(rest) :]
        except _WOULD_BLOCK:
            self._unsent = rest
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._socket.fileno(), self._write)
            return
        except OSError:  # a server may refuse a request in its midst, and may have said why
            self._loop.call_soon(self._read_rest, self.call)
        else:
            self._unsent = None
        self._stop_writing()

    def _read_rest(self, call: Call | None) -> None:
        """The connection is dead: what the server said before still counts, then the call is lost.

        Nobody else may tell: libuv says once that a socket is in error and then watches it no more, though data may be
        all that was read at that time.
        """
        while call is not None and self.call is call and self._readable():
            pass
        if call is not None and self.call is call:
            self._lost(self._reset or "the server closed the connection", now_ns())

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._socket.fileno())

    def _readable_tls(self) -> None:
        self._readable()
        while self.is_open and self._tls is not None and self._tls.pending():
            self._readable()  # what is decrypted already wakes no loop

    def _readable(self) -> bool:
        """Read once, and act on it; whether there may be more."""
        owner = self._owner
        try:
            count = self._socket.recv_into(owner.buffer)
        except _WOULD_BLOCK:
            return False
        except OSError as error:
            self._lost(f"the connection was lost: {_words(error)}", now_ns())
            return False
        at_ns = now_ns()
        if owner.quick_ack and _QUICK_ACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)  # the kernel forgets it again and again
        call = self.call
        if call is None:
            self.close()  # closed by the server, or it says something that was not asked
        elif count:
            self._received(call, owner.view[:count], at_ns)
            return self.is_open
        elif self._reset:
            self._lost(self._reset, at_ns)
        elif self._replies.until_close:
            self._finished(call, at_ns)
        else:
            when = "before the reply's end" if self._received_bytes else "before any reply"
            self._lost(f"the server closed the connection {when}", at_ns)
        return False

    def _received(self, call: Call, data: memoryview, at_ns: int) -> None:
        replies = self._replies
        had_head = replies.has_head
        self._received_bytes += len(data)
        broken = None
        try:
            replies.feed(data)
        except BrokenReplyError as error:
            broken = str(error)
        if replies.has_head and not had_head:
            call.on_status(replies.status, replies.content_type, at_ns)
            if self.call is not call:
                return
        chunk = replies.take()
        if chunk:
            call.on_data(chunk, at_ns)
            if self.call is not call:
                return
        if replies.complete:
            self._finished(call, at_ns)
        elif broken is not None:
            self.drop("protocol", broken, at_ns)
        elif self._received_bytes > MOST_HEAD_BYTES and not replies.has_head:
            self.drop("too large", f"the reply's head has more than {MOST_HEAD_BYTES} bytes", at_ns)
        elif self._received_bytes > MOST_REPLY_BYTES:
            self.drop("too large", f"the reply has more than {MOST_REPLY_BYTES} bytes", at_ns)
        elif code := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._reset = f"the connection was lost: {os.strerror(code)}"
            self._read_rest(call)

    def _finished(self, call: Call, at_ns: int) -> None:
        self.call = call.carrier = None
        self._owner.ended()
        if self._replies.keeps and self._unsent is None:
            self._replies.next()
            self._owner.idle_again(self)
        else:
            self.close()
        call.on_end(at_ns)

    def _lost(self, words: str, at_ns: int) -> None:
        call = self.call
        if call is None:
            self.close()
        elif self.pooled and not self._received_bytes and not call.retried:
            self.call = call.carrier = None
            self.close()
            call.retried = True
            self._owner.again(call)
        else:
            self.drop("reset", words, at_ns)

    def drop(self, kind: str, words: str, at_ns: int) -> None:
        """Let the call fail, and close."""
        call = self.call
        self.call = None
        self.close()
        if call is not None:
            call.carrier = None
            self._owner.ended()
            call.on_failed(kind, words, at_ns)

    def close(self) -> None:
        """Close the socket. There must be no call."""
        if self.is_open:
            self.is_open = False
            self._stop_writing()
            self._unsent = None
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._replies.close()
            self._owner.closed(self)


def _words(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
