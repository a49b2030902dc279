"""The worker processes of a run: started, told what to do, and listened to."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock

from groundswell.replay.asked_to_stop import held_back
from groundswell.replay.wire import Finished, FromWorker, Ready, ToWorker, Unpacker, packed

_PIECE = 2**16
_END_S = 5.0
_LOOK_UP_MS = 50


class Worker:
    """A worker process, from the side of whoever started it."""

    def __init__(self, number: int, environment: Mapping[str, str]) -> None:
        self.number = number
        self.ready = self.finished = self.lost = False
        self.failure = ""
        """Why it could not go on, in words for a person; empty if it could."""
        with held_back():
            self.process = subprocess.Popen(
                [sys.executable, "-m", "groundswell.replay.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=dict(environment),
            )
        assert self.process.stdin is not None  # noqa: S101 (a pipe was asked for)
        assert self.process.stdout is not None  # noqa: S101 (likewise)
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._said = Unpacker(FromWorker)
        self._telling = Lock()
        self._over = False

    def tell(self, message: ToWorker) -> None:
        """Send ``message``; waits while the worker is behind in reading. To one that has gone, and after :meth:`end`,
        nothing is said. May be called from any thread."""
        data = memoryview(packed(message))
        writable = select.poll()
        with self._telling:
            writable.register(self._in, select.POLLOUT)
            while data and not self._over:
                try:
                    data = data[os.write(self._in, data) :]
                except BlockingIOError:
                    writable.poll(_LOOK_UP_MS)
                except BrokenPipeError:
                    return

    def listen(self) -> None:
        """Take what the worker has said since, and see whether it is still there."""
        gone = self.process.poll() is not None
        with suppress(BlockingIOError):
            while data := os.read(self._out, _PIECE):
                for message in self._said.feed(data):
                    self._heard(message)
        if gone and not self.finished:
            self.lost = True

    def _heard(self, message: FromWorker) -> None:
        if isinstance(message, Ready):
            self.ready = True
        elif isinstance(message, Finished):
            self.finished = True
        else:
            self.failure = message.reason

    @property
    def working(self) -> bool:
        """Whether more is to be expected of it."""
        return not (self.finished or self.lost)

    @property
    def end_in_words(self) -> str:
        """How the process ended."""
        code = self.process.poll()
        if code is None or code >= 0:
            return f"exit code {code}"
        return f"killed by {signal.Signals(-code).name}" + (", out of memory?" if code == -signal.SIGKILL else "")

    def kill(self) -> None:
        """Make the process go at once."""
        self.process.kill()

    def end(self) -> None:
        """Wait until the process has gone, or make it go."""
        self._over = True
        with self._telling:  # nobody writes to what is a file of another's by now
            for pipe in (self.process.stdin, self.process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
