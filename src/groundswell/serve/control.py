"""A mock from the outside: started, told how to answer, and asked what it did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import GroundswellError
from groundswell.serve.log import MARK, ROW

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Mock:
    """A running mock on this machine: where it is, what it does, and what came of it."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid
        self.url = f"http://127.0.0.1:{port}"

    def set(self, ttft_s: float = 0.0, gap_s: float = 0.0, tokens: int = 0, *, marks: bool = False) -> None:
        """How requests to come are answered; 0 tokens: as many as they ask for. ``marks``: keep each token's time."""
        self._get(f"_set/{round(ttft_s * 1e9)}/{round(gap_s * 1e9)}/{tokens}/{marks:d}")

    def log(self) -> NDArray[np.void]:
        """A :data:`~groundswell.serve.log.ROW` for each request that came, in the order they came."""
        return np.frombuffer(self._get("_log"), ROW)

    def marks(self) -> NDArray[np.void]:
        """A :data:`~groundswell.serve.log.MARK` for each token that was written, in order of time."""
        return np.frombuffer(self._get("_marks"), MARK)

    def clear(self) -> None:
        """Forget what was logged so far."""
        self._get("_clear")

    def stop_for(self, seconds: float) -> threading.Thread:
        """Let the whole server stand still from now on, as one that is swapped out; the thread ends when it goes on."""

        def go_on() -> None:
            time.sleep(seconds)
            os.kill(self.pid, signal.SIGCONT)

        os.kill(self.pid, signal.SIGSTOP)
        thread = threading.Thread(target=go_on)
        thread.start()
        return thread

    def _get(self, path: str) -> bytes:
        with _opener.open(f"{self.url}/{path}", timeout=30) as reply:
            return bytes(reply.read())


@contextmanager
def started(command: Sequence[str]) -> Iterator[Mock]:
    """A mock that ``command`` starts: it prints its port, and ends when its standard input does."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 (our own)
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise GroundswellError(f"the mock server did not start: {' '.join(command)}")
            yield Mock(int(line), process.pid)
        finally:
            process.kill()


@contextmanager
def running_mock(ttft_s: float = 0.0, gap_s: float = 0.0, tokens: int = 0, *, marks: bool = False) -> Iterator[Mock]:
    """A mock in a process of its own, which answers as :meth:`Mock.set` says."""
    with started([sys.executable, "-m", "groundswell.serve.mock"]) as mock:
        mock.set(ttft_s, gap_s, tokens, marks=marks)
        yield mock
