"""Ctrl-C while blocks are worked on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from groundswell.errors import GroundswellError

Block = TypeVar("Block")


class StoppedError(GroundswellError):
    """Ctrl-C while a file was being written."""

    exit_code = 130


class Watched(Iterator[Block]):
    """Blocks, among which a Ctrl-C is raised only when one is done; ``stopped`` says whether there was one."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks = iter(blocks)
        self.stop = threading.Event()

    def __next__(self) -> Block:
        self.heed()
        try:
            return next(self.blocks)
        finally:
            self.heed()

    def heed(self) -> None:
        """Raise the Ctrl-C that was met, if any."""
        if self.stop.is_set():
            raise KeyboardInterrupt


@contextmanager
def stopped_between(blocks: Iterable[Block]) -> Iterator[Watched[Block]]:
    """``blocks``, among which a Ctrl-C is raised only when one is done; a second one is raised at once.

    Native code that is told of a Ctrl-C half way through may panic: polars does.
    """
    watched = Watched(blocks)

    def handle(number: int, frame: FrameType | None) -> None:
        watched.stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is not threading.main_thread():
        yield watched
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield watched
    finally:
        signal.signal(signal.SIGINT, before)
