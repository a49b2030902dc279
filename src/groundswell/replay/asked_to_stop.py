"""Ctrl-C, and being told to end, as something to be asked about rather than something that happens."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class AskedToStop:
    """Counts in ``times`` how often it was asked to stop while the ``with`` block lasts; nothing else comes of it.

    Only the main thread hears of signals: in any other there are none. A hang-up is let be where it is ignored already
    (``nohup``).
    """

    def __init__(self) -> None:
        self.times = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._count)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _count(self, number: int, frame: FrameType | None) -> None:
        self.times += 1  # and no more: whatever was going on may hold a lock


@contextmanager
def held_back() -> Iterator[None]:
    """Signals wait while the block lasts. A process that is started in it does not get them at all: at a terminal they
    go to all processes of a command, but its workers are told what to do by the command itself."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
