"""A worker process: it is told what to send, makes it ahead, sends it when it is due, and writes down what came back.

``python -m groundswell.replay.worker`` reads :mod:`groundswell.replay.wire` messages from stdin and answers on stdout.
It ends when all is done, or when whoever started it is gone.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
from pathlib import Path

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
_PIECE = 2**18


class Worker:
    """The messages of a worker, and its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._messages = Unpacker(ToWorker)
        self._sender: Sender | None = None
        self._journal: Journal | None = None
        self._warming: asyncio.Task[None] | None = None
        self._ready = self._all_told = False
        self._batches = 0
        self.exit_code = 0
        os.set_blocking(STDIN, False)
        loop.add_reader(STDIN, self._read)

    def _read(self) -> None:
        try:
            data = os.read(STDIN, _PIECE)
        except BlockingIOError:
            return
        if not data:  # whoever started us has gone
            self._end(1)
            return
        try:
            for message in self._messages.feed(data):
                self._obey(message)
        except GroundswellError as fault:
            self._fail(str(fault))

    def _obey(self, message: ToWorker) -> None:
        if isinstance(message, Setup):
            self._journal = Journal(Path(message.journal), message.worker)
            self._sender = Sender(self.loop, message, self._journal)
            self._warming = self.loop.create_task(self._sender.warm())
            self._warming.add_done_callback(lambda _: self._say_ready())
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
            self._sender.start(message.origin_ns)
            self._flush()
        elif isinstance(message, Stop):
            self._sender.stop(message.until_ns)

    def _say_ready(self) -> None:
        assert self._warming is not None  # noqa: S101 (begun with the setup)
        if not self._ready and self._warming.done() and (self._batches or self._all_told):
            self._ready = True
            self._say(Ready(self._batches))

    def _flush(self) -> None:
        assert self._sender is not None  # noqa: S101 (the run has begun)
        assert self._journal is not None  # noqa: S101 (likewise)
        self._sender.look_after()
        try:
            self._journal.flush(self._sender.now_ns() / 1e9, self._sender.state())
        except OSError as fault:
            self._fail(f"the journal cannot be written: {os.strerror(fault.errno or errno.EIO)}")
            return
        if self._sender.done:
            self._say(Finished(self._sender.unsent))
            self._end(0)
            return
        self.loop.call_later(FLUSH_S, self._flush)

    def _say(self, message: FromWorker) -> None:
        os.write(STDOUT, packed(message))

    def _fail(self, reason: str) -> None:
        self._say(Failed(reason))
        self._end(1)

    def _end(self, exit_code: int) -> None:
        self.exit_code = exit_code
        self.loop.remove_reader(STDIN)
        self.loop.stop()


def main() -> int:
    """Work until all is sent and answered; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which tells its workers
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
