"""The next piece of a file is read while the last one is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")
_WAITING = 1


class _End:
    """Nothing more will come; ``fault`` says why, if something went wrong."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.fault = fault


def ahead(items: Iterable[Item]) -> Generator[Item, None, None]:
    """``items``, made in a thread of their own, one at a time before it is asked for.

    What is raised while one is made is raised here. If this is closed early the thread ends with the item it is at.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(_WAITING)
    stop = threading.Event()

    def make() -> None:
        try:
            for item in items:
                if not _put(waiting, item, stop):
                    return
            _put(waiting, _End(), stop)
        except BaseException as fault:  # handed over, to be raised where it is waited for
            _put(waiting, _End(fault), stop)

    thread = threading.Thread(target=make, name="reading", daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.fault is not None:
                    raise item.fault
                return
            yield item
    finally:
        stop.set()
        thread.join()


def _put(waiting: queue.Queue[Item | _End], item: Item | _End, stop: threading.Event) -> bool:
    """Whether ``item`` could be handed over before it was no longer wanted."""
    while not stop.is_set():
        with suppress(queue.Full):
            waiting.put(item, timeout=0.1)
            return True
    return False
