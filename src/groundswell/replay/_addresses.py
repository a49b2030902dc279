"""The addresses of a host, looked up beside the loop and kept as long as they work."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Any

Address = tuple[socket.AddressFamily, Any]
"""A family, and an address of that family."""


class Addresses:
    """Where ``host`` can be reached. One lookup is under way at a time; the address that worked last is tried first."""

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> None:
        self._loop, self._host, self._port = loop, host, port
        self.known: Sequence[Address] = ()
        """Empty where they must be asked for."""
        self._asking: list[Callable[[str], None]] = []
        with contextlib.suppress(OSError, UnicodeError):  # it is a name
            self.known = self._looked_up(socket.AI_NUMERICHOST)
        self._are_fixed = bool(self.known)

    def _looked_up(self, flags: int = 0) -> list[Address]:
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=flags)
        return [(family, address) for family, _, _, _, address in found]

    def ask(self, then: Callable[[str], None]) -> None:
        """Look the name up; then ``then(fault)`` is called, the fault empty where ``known`` is not."""
        self._asking.append(then)
        if len(self._asking) == 1:
            self._loop.run_in_executor(None, self._looked_up).add_done_callback(self._answered)

    def _answered(self, lookup: asyncio.Future[list[Address]]) -> None:
        asking, self._asking = self._asking, []
        if lookup.cancelled():
            return
        error = lookup.exception()
        fault = ""
        if error is None:
            self.known = lookup.result()
        elif isinstance(error, OSError):
            fault = f"{self._host}: {error.strerror or error}"
        else:
            fault = f"{self._host}: {error}"  # what cannot be a name, such as one with a part of 64 letters
        for then in asking:
            then(fault)

    def worked(self, address: Address) -> None:
        """Begin with this one next time."""
        if self.known and self.known[0] != address:
            self.known = [address, *(other for other in self.known if other != address)]

    def failed(self) -> None:
        """None of them answered: the name may stand for others by now."""
        if not self._are_fixed:
            self.known = ()
