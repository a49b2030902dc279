"""A client's connection: requests read one after the other, replies written at once."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import httptools

from groundswell.replay.clock import now_ns
from groundswell.serve.reply import failure

MOST_HEAD_BYTES = 2**16
MOST_BODY_BYTES = 2**28
MOST_WAITING = 100
"""Requests that may wait on a connection for the reply before theirs."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """A request that has come whole."""

    method: str
    path: str
    body: bytes
    keep: bool
    """Whether the connection goes on after the reply."""
    arrival_ns: int
    """When its last bytes were there to be read."""


class RefusedError(Exception):
    """A request that is not even read to its end."""

    def __init__(self, status: str, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class Connection:
    """Gives ``begin`` each request, when the reply before it has been given to :meth:`end`.

    A socket of its own, and no transport: what is written is with the kernel when :meth:`write` returns, so that the
    time taken before it is the time it was sent. ``gone`` is called once, when the connection is.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        link: socket.socket,
        begin: Callable[[Connection, Request], None],
        gone: Callable[[Connection], None],
    ) -> None:
        self._loop, self._link, self._begin, self._gone = loop, link, begin, gone
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._rest = bytearray()  # what the kernel did not take yet
        self._busy = self._last = self._going_on = False
        self._arrival_ns = 0
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop.add_reader(link, self._readable)
        self.on_message_begin()

    @property
    def is_open(self) -> bool:
        """Whether anything can still be written."""
        return self._parser is not None

    def write(self, data: bytes) -> None:
        """Send ``data``, as far as possible at once."""
        if not self.is_open:
            return
        sent = 0
        if not self._rest:
            try:
                sent = self._link.send(data)
            except BlockingIOError:
                pass
            except OSError:  # the client has gone
                self.close()
                return
        if sent < len(data):
            if not self._rest:
                self._loop.add_writer(self._link, self._writable)
            self._rest += memoryview(data)[sent:]

    def end(self, data: bytes, *, keep: bool) -> None:
        """Send the last of a reply, and go on to the next request if the connection is kept."""
        self.write(data)
        self._busy, self._last = False, not keep
        if self._last and not self._rest:
            self.close()
        self._go_on()

    def close(self) -> None:
        """Hang up."""
        if not self.is_open:
            return
        self._parser = None
        self._loop.remove_reader(self._link)
        self._loop.remove_writer(self._link)
        self._link.close()
        self._gone(self)

    def _go_on(self) -> None:
        if self._going_on:  # a reply that was there at once: the loop below takes the next request
            return
        self._going_on = True
        while self._waiting and not self._busy and self.is_open and not self._last:
            self._busy = True
            self._begin(self, self._waiting.popleft())
        self._going_on = False

    def _readable(self) -> None:
        self._arrival_ns = now_ns()
        try:
            data = self._link.recv(2**18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or self._parser is None:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as fault:
            refused = fault.__context__ if isinstance(fault.__context__, RefusedError) else None
            status, words = (
                (refused.status, refused.words) if refused else ("400 Bad Request", f"this is no HTTP: {fault}")
            )
            self.write(failure(status, words))
            self.close()
        self._go_on()

    def _writable(self) -> None:
        try:
            del self._rest[: self._link.send(self._rest)]
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not self._rest:
            self._loop.remove_writer(self._link)
            if self._last:
                self.close()

    # What the parser calls

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url, self._head_bytes, self._body_bytes = b"", 0, 0
        self._pieces: list[bytes] = []
        self._is_awaited = False

    def on_url(self, url: bytes) -> None:
        """A piece of its path."""
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._count_head(len(name) + len(value))
        if name.lower() == b"expect" and value.lower() == b"100-continue":
            self._is_awaited = True

    def on_headers_complete(self) -> None:
        """Its body comes next."""
        if self._is_awaited and not self._busy:
            self.write(_CONTINUE)

    def on_body(self, piece: bytes) -> None:
        """A piece of its body."""
        self._body_bytes += len(piece)
        if self._body_bytes > MOST_BODY_BYTES:
            raise RefusedError("413 Content Too Large", f"a body may have {MOST_BODY_BYTES} bytes")
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """All of it has come."""
        if self._parser is None:
            return
        if len(self._waiting) >= MOST_WAITING:
            raise RefusedError("429 Too Many Requests", f"{MOST_WAITING} requests wait on this connection")
        method = self._parser.get_method().decode()
        path = self._url.split(b"?", 1)[0].decode("latin-1")
        keep = self._parser.should_keep_alive()
        self._waiting.append(Request(method, path, b"".join(self._pieces), keep, self._arrival_ns))

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MOST_HEAD_BYTES:
            raise RefusedError("431 Request Header Fields Too Large", f"a head may have {MOST_HEAD_BYTES} bytes")
