"""A server of OpenAI's streaming API in C whose times are known, for measuring clients; ``mock.c`` says the rest."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROW = np.dtype(
    [
        ("arrival_ns", "<i8"),  # when the request had been read; all times on CLOCK_MONOTONIC
        ("first_ns", "<i8"),  # when its first token was written; 0: it did not come to that
        ("last_ns", "<i8"),
        ("tokens", "<i4"),  # of the reply
        ("prompt_tokens", "<i4"),  # words, or ids
    ]
)
MARK = np.dtype([("at_ns", "<i8"), ("row", "<i4"), ("token", "<i4")])
"""A token written: of which row of the log, and its place in the reply."""

COMPILER = shutil.which("cc") if sys.platform == "linux" else None
NO_COMPILER = "the mock server needs Linux and a C compiler called cc"


class Mock:
    """A running mock: where it is, what it does, and what came of it."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid
        self.url = f"http://127.0.0.1:{port}"

    def set(self, ttft_s: float = 0.0, gap_s: float = 0.0, tokens: int = 0, marks: bool = False) -> None:
        """How requests to come are answered; 0 tokens: as many as they ask for. ``marks``: keep each token's time."""
        self._get(f"_set/{round(ttft_s * 1e9)}/{round(gap_s * 1e9)}/{tokens}/{marks:d}")

    def log(self) -> NDArray[np.void]:
        """A :data:`ROW` for each request that came, in the order they came."""
        return np.frombuffer(self._get("_log"), ROW)

    def marks(self) -> NDArray[np.void]:
        """A :data:`MARK` for each token that was written, in order of time."""
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
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=30) as reply:  # noqa: S310 (its own address)
            return bytes(reply.read())


@functools.cache
def _compiled() -> tuple[Path, Any]:
    if COMPILER is None:
        raise FileNotFoundError(NO_COMPILER)
    folder = tempfile.TemporaryDirectory(prefix="mock_server_")
    binary = Path(folder.name) / "mock"
    subprocess.run([COMPILER, "-O2", "-Wall", "-Wextra", "-o", binary, Path(__file__).with_name("mock.c")], check=True)
    return binary, folder  # the folder goes when nothing names it any more


@contextmanager
def mock_server(ttft_s: float = 0.0, gap_s: float = 0.0, tokens: int = 0, marks: bool = False) -> Iterator[Mock]:
    """A mock that answers as :meth:`Mock.set` says, on a port of its own; FileNotFoundError without a compiler."""
    process = subprocess.Popen([_compiled()[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:  # at its end, its standard input is closed, and so it ends
        assert process.stdout is not None
        mock = Mock(int(process.stdout.readline()), process.pid)
        try:
            mock.set(ttft_s, gap_s, tokens, marks)
            yield mock
        finally:
            process.kill()
