"""A run: workers are started and fed, watched until all is answered, and what they wrote down becomes results."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

import numpy as np

from groundswell.replay import clock
from groundswell.replay.crew import Worker
from groundswell.replay.folder import Folder
from groundswell.replay.journal import RECORD
from groundswell.replay.schedule import Schedule
from groundswell.replay.scrape import Scraper
from groundswell.replay.view import View
from groundswell.replay.wire import NoMore, Setup, Start, Stop, batch_of

LEAD_S = 10.0
"""Workers are told of requests so long before they are due; of conversations' turns, which may be due earlier than
recorded, :data:`TALK_LEAD_S`."""
TALK_LEAD_S = 600.0
MOST_AHEAD = 50_000
"""Requests that a worker knows of, at most, unless they are due within :data:`LEAD_S`."""
_TICK_S = 0.25
_BARRIER_NS = 20_000_000
_GRACE_S = 10.0

_NOTHING = batch_of(
    **{name: [] for name in ("row", "due_s", "talk", "think_s", "last", "input_tokens", "output_tokens")}  # type: ignore[arg-type]
)


@dataclass
class Ended:
    """How a run ended."""

    started_unix_s: float = 0.0
    end_s: float = 0.0
    """On the schedule's clock."""
    interrupted: bool = False
    lost: int = 0
    """Workers that died."""
    failures: list[str] = field(default_factory=list)
    """Why workers could not go on."""


class Run:
    """One stretch of a run: from its begin, which is at ``begin_s`` of the workload, or from where it was interrupted,
    which was ``from_s`` later, to its end or the next interruption."""

    def __init__(
        self,
        schedule: Schedule,
        setups: list[Setup],
        folder: Folder,
        view: View,
        scraper: Scraper | None,
        lead_s: float,
        begin_s: float = 0.0,
        from_s: float = 0.0,
    ) -> None:
        self._schedule, self._setups, self._folder = schedule, setups, folder
        self._view, self._scraper, self._lead_s = view, scraper, lead_s
        self._begin_s, self._from_ns = begin_s, int(from_s * 1e9)
        self._workers: list[Worker] = []
        self._start_ns = 0
        self._known = 0  # requests that workers have been told of and not sent
        self._started, self._stopping = threading.Event(), threading.Event()
        self._fault: BaseException | None = None

    def go(self) -> Ended:
        """Send everything. Ctrl-C sends nothing more and waits for what is open, a second one does not wait."""
        ended = Ended()
        feeder = threading.Thread(target=self._feed_all, name="feeder", daemon=True)
        with self._interruptible(ended):
            try:
                self._workers = [Worker(setup.worker, os.environ) for setup in self._setups]
                for worker, setup in zip(self._workers, self._setups, strict=True):
                    worker.tell(setup)
                feeder.start()
                self._wait_until_ready()
                self._start(ended)
                self._watch(ended)
            finally:
                self._stopping.set()
                self._started.set()
                for worker in self._workers:
                    worker.end()
                feeder.join()
                self._view.close()
        if self._fault is not None:
            raise self._fault
        return ended

    def now_s(self) -> float:
        """Seconds on the schedule's clock."""
        return (clock.now_ns() - self._start_ns) * 1e-9 if self._start_ns else 0.0

    def _feed_all(self) -> None:
        try:
            self._feed()
        except BaseException as fault:
            self._fault = fault
            self._stop(0.0)

    def _feed(self) -> None:
        """Tell the workers of all requests, not too long before they are due."""
        fed_s, first = self._from_ns * 1e-9, True
        for upto_s, batches in self._schedule:
            self._wait_until_near(fed_s)
            if self._stopping.is_set():
                return
            for worker, batch in zip(self._workers, batches, strict=True):
                if batch is not None or first:
                    worker.tell(batch if batch is not None else _NOTHING)
            fed_s, first = upto_s - self._begin_s, False
        for worker in self._workers:
            worker.tell(NoMore())

    def _wait_until_near(self, begin_s: float) -> None:
        if begin_s - self._from_ns * 1e-9 < LEAD_S:
            return
        self._started.wait()
        while not (self._stopping.is_set() or self._is_near(begin_s)):
            self._stopping.wait(_TICK_S)

    def _is_near(self, begin_s: float) -> bool:
        ahead_s = begin_s - self.now_s()
        few = self._known < MOST_AHEAD * len(self._workers)
        return ahead_s <= LEAD_S or (ahead_s <= self._lead_s and few)

    def _wait_until_ready(self) -> None:
        while not all(worker.ready for worker in self._workers) and self._going():
            for worker in self._workers:
                worker.listen()
            self._stopping.wait(0.002)

    def _going(self) -> bool:
        return self._fault is None and not any(worker.failure or worker.lost for worker in self._workers)

    def _start(self, ended: Ended) -> None:
        """The common start: 0 s of the schedule is at one instant for all."""
        begin_ns = clock.now_ns() + _BARRIER_NS
        self._start_ns = begin_ns - self._from_ns
        ended.started_unix_s = clock.unix_s() + (self._start_ns - clock.now_ns()) * 1e-9
        for worker in self._workers:
            worker.tell(Start(self._start_ns))
        if self._scraper is not None:
            self._scraper.origin_ns = self._start_ns
        self._started.set()

    def _watch(self, ended: Ended) -> None:
        tails = [self._folder.tail(worker.number) for worker in self._workers]
        while any(worker.working for worker in self._workers):
            for worker in self._workers:
                worker.listen()
                if worker.failure and not self._stopping.is_set():
                    self._stop(0.0)
            records = np.concatenate([np.empty(0, RECORD), *(tail.records() for tail in tails)])
            states = [tail.state() for tail in tails]
            self._known = sum(state[-1] for state in states)
            self._view.update(self.now_s(), [records], states)
            if any(worker.working for worker in self._workers):
                threading.Event().wait(_TICK_S)
        ended.end_s = self.now_s()
        ended.lost = sum(worker.lost and not worker.failure for worker in self._workers)
        ended.failures = [worker.failure for worker in self._workers if worker.failure]
        if ended.lost == len(self._workers):
            ended.failures.append("all workers died")

    def _stop(self, grace_s: float) -> None:
        """Have nothing more sent, and what is open given up after ``grace_s``."""
        self._stopping.set()
        until_ns = clock.now_ns() + int(grace_s * 1e9)
        for worker in self._workers:
            worker.tell(Stop(until_ns))

    @contextmanager
    def _interruptible(self, ended: Ended) -> Iterator[None]:
        """Ctrl-C, and being asked to terminate, stop the run instead of the command."""

        def handle(number: int, frame: FrameType | None) -> None:
            again, ended.interrupted = ended.interrupted, True
            # Not here: a message may be half told when the signal comes.
            threading.Thread(target=self._stop, args=(0.0 if again else _GRACE_S,), daemon=True).start()

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
