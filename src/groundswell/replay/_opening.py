"""Connections on their way up: one address after the other, then TLS, without ever waiting."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable, Sequence

from groundswell.replay._addresses import Address, Addresses
from groundswell.replay.clock import now_ns

_ON_ITS_WAY = frozenset({0, errno.EINPROGRESS, errno.EINTR, errno.EAGAIN})


class Opening:
    """Tries a host's addresses in order until one answers, and then says so, once, and never before it is made.

    ``opened(opening, socket)`` or ``failed(opening, kind, words)``, with a kind of
    :data:`groundswell.replay.journal.ERRORS`. Each address has its share of the time that is left.
    """

    __slots__ = (
        "_at", "_failed", "_hosts", "_last_ns", "_loop", "_opened", "_over", "_socket", "_timer", "_tls", "_tried",
        "began_ns",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        addresses: Addresses,
        tls: tuple[ssl.SSLContext, str] | None,
        timeout_s: float,
        opened: Callable[[Opening, socket.socket], None],
        failed: Callable[[Opening, str, str], None],
    ) -> None:
        self._loop, self._hosts = loop, addresses
        self._tls = tls
        self._opened, self._failed = opened, failed
        self.began_ns = now_ns()
        self._last_ns = self.began_ns + int(timeout_s * 1e9)
        self._tried: Sequence[Address] = ()
        self._at = 0
        self._over = False
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        if addresses.known:
            self._found("")
        else:
            self._timer = loop.call_later(timeout_s, self._fail, "name", "the host's name was not found in time")
            addresses.ask(self._found)

    def cancel(self) -> None:
        """Give up, and say nothing."""
        self._over = True
        self._let_go()

    def _found(self, fault: str) -> None:
        if self._over:
            return
        self._let_go()
        if fault:
            self._fail("name", fault)
            return
        self._tried = self._hosts.known
        self._try()

    def _fail(self, kind: str, words: str) -> None:
        self.cancel()
        self._failed(self, kind, words)

    def _next(self, kind: str, words: str) -> None:
        """On with the next address, after what came of the last one."""
        self._let_go()
        self._at += 1
        if self._at < len(self._tried):
            self._try()
        else:
            self._hosts.failed()
            self._timer = self._loop.call_later(0, self._fail, kind, words)  # not before we are made

    def _try(self) -> None:
        family, address = self._tried[self._at]
        try:
            self._socket = made = socket.socket(family, socket.SOCK_STREAM)
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = made.connect_ex(address)
        except OSError as error:  # no more files may be open
            self._next("refused", _words(error))
            return
        if code not in _ON_ITS_WAY:
            self._next("refused", os.strerror(code))
            return
        share_ns = max(self._last_ns - now_ns(), 0) / (len(self._tried) - self._at)
        self._timer = self._loop.call_later(share_ns * 1e-9, self._late)
        self._loop.add_writer(made.fileno(), self._connected)

    def _late(self) -> None:
        what = "TLS handshake" if isinstance(self._socket, ssl.SSLSocket) else "connection"
        self._next("timeout", f"no {what} in time")

    def _connected(self) -> None:
        assert self._socket is not None  # noqa: S101 - for mypy
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._next("timeout" if code == errno.ETIMEDOUT else "refused", os.strerror(code))
        elif self._tls is None:
            self._up()
        else:
            context, host = self._tls
            self._loop.remove_writer(self._socket.fileno())
            try:
                self._socket = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
            except (OSError, ValueError) as error:
                self._next("tls", _tls_words(error))
                return
            self._shake_hands()

    def _shake_hands(self) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)  # noqa: S101 - for mypy
        file = self._socket.fileno()
        self._loop.remove_reader(file)
        self._loop.remove_writer(file)
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._loop.add_reader(file, self._shake_hands)
        except ssl.SSLWantWriteError:
            self._loop.add_writer(file, self._shake_hands)
        except OSError as error:
            self._next("tls", _tls_words(error))
        else:
            self._up()

    def _up(self) -> None:
        made, self._socket = self._socket, None
        assert made is not None  # noqa: S101 - for mypy
        self._forget(made)
        self._over = True
        self._let_go()
        self._hosts.worked(self._tried[self._at])
        self._opened(self, made)

    def _let_go(self) -> None:
        """Close what there is of a connection, and stop its timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            self._forget(self._socket)
            self._socket.close()
            self._socket = None

    def _forget(self, made: socket.socket) -> None:
        if made.fileno() >= 0:
            self._loop.remove_reader(made.fileno())
            self._loop.remove_writer(made.fileno())


def _words(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _tls_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    return f"no TLS: {_words(error) if isinstance(error, OSError) else error}"
