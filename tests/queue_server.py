"""A server of known capacity: requests wait in one line, each is served for so long, and its reply comes a while later.

``python queue_server.py SERVICE_NS REPLY_NS`` prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from groundswell.serve.body import Model
from groundswell.serve.control import Mock, started
from groundswell.serve.pace import Asked, Fixed
from groundswell.serve.server import Server


class Line(Fixed):
    """One request at a time, in order; all tokens of a reply at once."""

    def __init__(self, service_ns: int, reply_ns: int) -> None:
        super().__init__(reply_ns, 0)
        self._service_ns, self._reply_ns, self._free_ns = service_ns, reply_ns, 0

    def begin(self, reply: int, asked: Asked, now_ns: int) -> None:
        """A request came."""
        self._free_ns = max(self._free_ns, now_ns) + self._service_ns
        self.ttft_ns = self._free_ns - now_ns + self._reply_ns
        super().begin(reply, asked, now_ns)


@contextmanager
def queue_server(capacity_per_s: float, reply_s: float) -> Iterator[Mock]:
    """It keeps ``capacity_per_s``, and a reply takes ``reply_s`` beyond waiting and service."""
    with started([sys.executable, __file__, str(round(1e9 / capacity_per_s)), str(round(reply_s * 1e9))]) as server:
        yield server


async def _serve(service_ns: int, reply_ns: int) -> None:
    loop = asyncio.get_running_loop()
    server = Server(loop, Line(service_ns, reply_ns), "127.0.0.1", 0, model=Model("queue"), fixed_tokens=0)
    end = asyncio.Event()
    loop.add_reader(0, lambda: None if os.read(0, 4096) else end.set())
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await end.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:])))
