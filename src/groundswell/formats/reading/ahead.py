"""What is still to be read is worked on while what has been read is used."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")
_WAITING = 1
_WORKERS = 2
"""Threads that work on items: parsing itself is parallel, but not all of what has to be done for it."""


class _End:
    """Nothing more will come; ``fault`` says why, if something went wrong."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.fault = fault

    def told(self) -> None:
        """Raises what went wrong."""
        if self.fault is not None:
            raise self.fault


def ahead(items: Iterable[Item]) -> Generator[Item, None, None]:
    """``items``, made in a thread of their own, one at a time before it is asked for.

    What is raised while one is made is raised here. If this is closed early the thread ends with the item it is at.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(_WAITING)
    stop = threading.Event()

    def make() -> None:
        for item in _ended(items):
            if not _put(waiting, item, stop):
                return

    thread = threading.Thread(target=make, name="reading", daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                item.told()
                return
            yield item
    finally:
        stop.set()
        thread.join()


def worked_ahead(items: Iterable[Item], work: Callable[[Item], Made]) -> Generator[tuple[Item, Made], None, None]:
    """Each of ``items`` and what ``work`` makes of it in a thread, in order; some are begun before they are asked for.

    What is raised for an item, by either, is raised here, behind the items before it. If this is closed early the
    threads end with the items they are at.
    """
    begun: deque[tuple[Item, Future[Made]]] = deque()
    end = _End()
    with ThreadPoolExecutor(_WORKERS, "reading") as threads:
        try:
            for item in _ended(items):
                if isinstance(item, _End):
                    end = item
                    break
                begun.append((item, threads.submit(work, item)))
                if len(begun) > _WORKERS:
                    yield _done(*begun.popleft())
            while begun:
                yield _done(*begun.popleft())
        finally:
            for _, future in begun:
                future.cancel()
    end.told()


def _done(item: Item, future: Future[Made]) -> tuple[Item, Made]:
    return item, future.result()


def _ended(items: Iterable[Item]) -> Generator[Item | _End, None, None]:
    """``items`` and then their end, which tells what was raised."""
    try:
        yield from items
    except Exception as fault:  # handed over, to be raised in its turn
        yield _End(fault)
    else:
        yield _End()


def _put(waiting: queue.Queue[Item | _End], item: Item | _End, stop: threading.Event) -> bool:
    """Whether ``item`` could be handed over before it was no longer wanted."""
    while not stop.is_set():
        with suppress(queue.Full):
            waiting.put(item, timeout=0.1)
            return True
    return False
