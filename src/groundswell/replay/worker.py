"""A worker process: it is told what to send, makes it ahead, sends it when it is due, and writes down what came back.

``python -m groundswell.replay.worker`` reads :mod:`groundswell.replay.wire` messages from stdin and answers on stdout.
It ends when all is done, or when whoever started it is gone.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import gc
import os
import resource
import signal
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

from groundswell.errors import GroundswellError
from groundswell.replay import clock
from groundswell.replay.journal import Journal
from groundswell.replay.sender import Sender
from groundswell.replay.wire import (
    Batch,
    Failed,
    Finished,
    FromWorker,
    NoMore,
    Ready,
    Setup,
    Start,
    Stop,
    ToWorker,
    Unpacker,
    packed,
)

STDIN, STDOUT = 0, 1
FLUSH_S = 0.1
_FILES = 2**14
_PIECE = 2**18


class Worker:
    """The messages of a worker, and its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._messages = Unpacker(ToWorker)
        self._sender: Sender | None = None
        self._journal: Journal | None = None
        self._warming: asyncio.Task[None] | None = None
        self._ready = self._all_told = self._started = self._over = False
        self._batches = 0
        self.exit_code = 0
        os.set_blocking(STDIN, False)
        loop.set_exception_handler(self._broke)
        loop.add_reader(STDIN, self._read)

    def _read(self) -> None:
        try:
            data = os.read(STDIN, _PIECE)
        except BlockingIOError:
            return
        if not data:  # whoever started us has gone
            self._write_down()
            self._end(1)
            return
        try:
            for message in self._messages.feed(data):
                self._obey(message)
        except GroundswellError as fault:
            self._fail(str(fault))

    def _obey(self, message: ToWorker) -> None:
        if self._over:
            return
        if isinstance(message, Setup):
            try:
                self._journal = Journal(Path(message.journal), message.worker)
            except OSError as fault:
                self._fail(f"the journal cannot be written: {os.strerror(fault.errno or errno.EIO)}")
                return
            self._sender = Sender(self.loop, message, self._journal)
            self._warming = self.loop.create_task(self._sender.warm())
            self._warming.add_done_callback(self._warm)
            return
        assert self._sender is not None  # noqa: S101 (the setup comes first)
        if isinstance(message, Batch):
            self._sender.add(message)
            self._batches += 1
            self._say_ready()
        elif isinstance(message, NoMore):
            self._all_told = self._sender.told_all = True
            self._say_ready()
        elif isinstance(message, Start):
            # What is here now stays until the end, and nothing that is made for a request refers to itself.
            gc.collect()
            gc.freeze()
            gc.disable()
            self._started = True
            self._sender.start(message.origin_ns)
            self._flush()
        elif isinstance(message, Stop):
            self._sender.stop(message.until_ns)
            if not self._started:
                self._finish()

    def _warm(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._broke(self.loop, {"exception": fault})
        else:
            self._say_ready()

    def _say_ready(self) -> None:
        assert self._warming is not None  # noqa: S101 (begun with the setup)
        if not self._ready and self._warming.done() and (self._batches or self._all_told):
            self._ready = True
            self._say(Ready(self._batches))

    def _flush(self) -> None:
        assert self._sender is not None  # noqa: S101 (the run has begun)
        if self._over:
            return
        self._sender.look_after()
        if not self._write_down():
            return
        if self._sender.done:
            self._finish()
        else:
            self.loop.call_later(FLUSH_S, self._flush)

    def _write_down(self) -> bool:
        """Have all that has ended in the files; whether that could be done."""
        if self._sender is None or self._journal is None or not self._started:
            return True
        try:
            self._journal.flush(self._sender.now_ns() / 1e9, self._sender.state())
        except OSError as fault:
            self._journal = None
            self._fail(f"the journal cannot be written: {os.strerror(fault.errno or errno.EIO)}")
            return False
        return True

    def _finish(self) -> None:
        assert self._sender is not None  # noqa: S101 (there was something to finish)
        self._say(Finished(self._sender.unsent))
        self._end(0)

    def _say(self, message: FromWorker) -> None:
        try:
            os.write(STDOUT, packed(message))
        except BrokenPipeError:  # whoever started us has gone: stdin will say so
            self.exit_code = 1

    def _fail(self, reason: str) -> None:
        if not self._over:
            self._say(Failed(reason))
            self._end(1)

    def _broke(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something was raised that nobody expected: what was sent is written down, and the rest is not sent by us."""
        fault = context.get("exception")
        if isinstance(fault, GroundswellError):
            reason = str(fault)
        else:
            if isinstance(fault, BaseException):
                traceback.print_exception(fault)
            reason = f"a worker failed: {type(fault).__name__ if fault else context.get('message')}: {fault}"
        if self._write_down():
            self._fail(reason)

    def _end(self, exit_code: int) -> None:
        self._over = True
        self.exit_code = exit_code
        self.loop.remove_reader(STDIN)
        self.loop.stop()


def _as_many_files_as_may_be() -> None:
    """Every open request has a connection, and the usual limit, 1,024 files, is not the server's fault.

    The kernel's table of a process's files doubles as it fills, and where there are threads each time stops the world
    for 10 ms (synchronize_rcu in expand_fdtable). A file of a high number makes it large before the run.
    """
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        soft = most
    with suppress(OSError):
        os.close(fcntl.fcntl(STDIN, fcntl.F_DUPFD_CLOEXEC, min(soft, _FILES) - 1))


def main() -> int:
    """Work until all is sent and answered; the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # these are for the command: it tells us, and when it goes, so do we
    _as_many_files_as_may_be()
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = Worker(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
    return worker.exit_code


if __name__ == "__main__":
    clock.now_ns()
    raise SystemExit(main())
