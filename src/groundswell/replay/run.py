"""A run: workers are started and fed, watched until all is answered, and what they wrote down becomes results."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field

import numpy as np

from groundswell.errors import GroundswellError
from groundswell.replay import clock
from groundswell.replay.asked_to_stop import AskedToStop
from groundswell.replay.crew import Worker
from groundswell.replay.folder import Folder
from groundswell.replay.journal import RECORD, Tail
from groundswell.replay.schedule import Schedule
from groundswell.replay.scrape import Scraper
from groundswell.replay.view import View
from groundswell.replay.wire import NoMore, Setup, Start, Stop, ToWorker, batch_of

LEAD_S = 10.0
"""Workers are told of requests so long before they are due; of conversations' turns, which may be due earlier than
recorded, :data:`TALK_LEAD_S`."""
TALK_LEAD_S = 600.0
MOST_AHEAD = 20_000
"""Requests that a worker knows of, at most, unless they are due within :data:`LEAD_S`."""
_TICK_S = 0.25
_BARRIER_NS = 20_000_000
GRACE_S = 10.0
"""What is open when a run is stopped may so long still end."""
QUIET_S = 30.0
"""A worker that writes nothing down for so long, although it does ten times a second, is stuck, and is ended."""
_LAST_S = 5.0
"""A worker that was to end and has not after so much longer is ended, too."""

_NOTHING = batch_of(
    **{name: [] for name in ("row", "due_s", "talk", "think_s", "last", "input_tokens", "output_tokens")}  # type: ignore[arg-type]
)


@dataclass
class Ended:
    """How a run ended."""

    started_unix_s: float = 0.0
    end_s: float = 0.0
    """On the schedule's clock. So is the next:"""
    cut_s: float = 0.0
    """When sending stopped, if it did before its time; else the end."""
    interrupted: bool = False
    lost: int = 0
    """Workers that died."""
    failures: list[str] = field(default_factory=list)
    """Why it could not go on."""


class Run:
    """One stretch of a run: from its begin, which is at ``begin_s`` of the workload, or from where it was interrupted,
    which was ``from_s`` later, to its end or the next interruption.

    Three threads, none of which waits for another while it holds what that one needs: the main one starts, watches and
    ends the workers, and says nothing to them; the feeder tells them of requests, and may wait for any of them; and
    orders, which overtake no batch that is half told, have a thread each.
    """

    def __init__(
        self,
        schedule: Schedule,
        setups: list[Setup],
        folder: Folder,
        view: View,
        scraper: Scraper | None,
        lead_s: float,
        asked: AskedToStop,
        begin_s: float = 0.0,
        from_s: float = 0.0,
    ) -> None:
        self._schedule, self._setups, self._folder = schedule, setups, folder
        self._view, self._scraper, self._lead_s = view, scraper, lead_s
        self._asked, self._begin_s, self._from_ns = asked, begin_s, int(from_s * 1e9)
        self._workers: list[Worker] = []
        self._start_ns = 0
        self._known = 0  # requests that workers have been told of and not sent
        self._started, self._stopping = threading.Event(), threading.Event()
        self._until_ns = 0
        self._fault: BaseException | None = None

    def go(self) -> Ended:
        """Send everything. Where it is asked to stop nothing more is sent, and what is open is waited for; where it is
        asked again, not even that.

        Raises KeyboardInterrupt where it is asked before anything is sent, and GroundswellError where nothing can be.
        """
        ended = Ended()
        feeder = threading.Thread(target=self._feed_all, name="feeder", daemon=True)
        try:
            for setup in self._setups:
                self._workers.append(_worker(setup.worker))
            feeder.start()
            self._wait_until_ready()
            self._start(ended)
            self._watch(ended)
        finally:
            self._stopping.set()
            self._started.set()
            for worker in self._workers:
                worker.end()
            if feeder.ident is not None:
                feeder.join()
            self._view.close()
        return ended

    def now_s(self) -> float:
        """Seconds on the schedule's clock."""
        return (clock.now_ns() - self._start_ns) * 1e-9 if self._start_ns else 0.0

    def _feed_all(self) -> None:
        try:
            self._feed()
        except BaseException as fault:
            self._fault = fault

    def _feed(self) -> None:
        """Tell the workers how to send, and of all requests, not too long before they are due."""
        for worker, setup in zip(self._workers, self._setups, strict=True):
            worker.tell(setup)
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
        pause = threading.Event()
        while not all(worker.ready for worker in self._workers):
            if self._asked.times:
                raise KeyboardInterrupt
            if self._fault is not None:
                raise self._fault
            for worker in self._workers:
                worker.listen()
                if worker.failure:
                    raise GroundswellError(worker.failure)
                if worker.lost:
                    raise GroundswellError(f"a worker process died before the run began: {worker.end_in_words}")
            pause.wait(0.002)

    def _start(self, ended: Ended) -> None:
        """The common start: 0 s of the schedule is at one instant for all."""
        begin_ns = clock.now_ns() + _BARRIER_NS
        self._start_ns = begin_ns - self._from_ns
        ended.started_unix_s = clock.unix_s() + (self._start_ns - clock.now_ns()) * 1e-9
        self._tell_all(Start(self._start_ns))
        if self._scraper is not None:
            self._scraper.origin_ns = self._start_ns
        self._started.set()

    def _watch(self, ended: Ended) -> None:
        tails = [self._folder.tail(worker.number) for worker in self._workers]
        quiet = Quiet(self._workers, tails)
        pause = threading.Event()
        while any(worker.working for worker in self._workers):
            for worker in self._workers:
                worker.listen()
            self._heed(ended)
            quiet.look()
            records = np.concatenate([np.empty(0, RECORD), *(tail.records() for tail in tails)])
            states = [tail.state() for tail in tails]
            self._known = sum(state[-1] for state in states)
            self._view.update(self.now_s(), [records], states)
            if any(worker.working for worker in self._workers):
                pause.wait(_TICK_S)
        ended.end_s = self.now_s()
        if not self._until_ns:
            ended.cut_s = ended.end_s
        ended.lost = sum(worker.lost and not worker.failure for worker in self._workers)
        ended.failures += [worker.failure for worker in self._workers if worker.failure]
        if ended.lost == len(self._workers):
            ended.failures.append(f"all workers died ({self._workers[0].end_in_words})")
        if self._fault is not None and not isinstance(self._fault, GroundswellError):
            raise self._fault
        if self._fault is not None:
            ended.failures.append(str(self._fault))

    def _heed(self, ended: Ended) -> None:
        """Stop where a person or a fault says so."""
        if self._asked.times and not ended.interrupted:
            ended.interrupted = True
            self._stop(ended, GRACE_S)
        if self._asked.times > 1 or self._fault is not None or any(worker.failure for worker in self._workers):
            self._stop(ended, 0.0)
        if self._until_ns and clock.now_ns() > self._until_ns + int(_LAST_S * 1e9):
            for worker in self._workers:
                if worker.working:
                    worker.kill()

    def _stop(self, ended: Ended, grace_s: float) -> None:
        """Have nothing more sent, and what is open given up after ``grace_s``."""
        until_ns = clock.now_ns() + int(grace_s * 1e9)
        if self._until_ns and self._until_ns <= until_ns:
            return
        if not self._until_ns:
            ended.cut_s = self.now_s()
        self._stopping.set()
        self._until_ns = until_ns
        self._tell_all(Stop(until_ns))

    def _tell_all(self, message: ToWorker) -> None:
        """Give an order to all, of which one may be stuck."""
        for worker in self._workers:
            threading.Thread(target=worker.tell, args=(message,), daemon=True).start()


def _worker(number: int) -> Worker:
    try:
        return Worker(number, os.environ)
    except OSError as fault:
        raise GroundswellError(f"no worker process can be started: {fault.strerror}") from None


class Quiet:
    """How long workers have written nothing, as far as we were awake ourselves; those that are stuck are ended."""

    def __init__(self, workers: list[Worker], tails: list[Tail]) -> None:
        self._watched = list(zip(workers, tails, strict=True))
        self._latest_s = [0.0] * len(workers)
        self._looks = [0] * len(workers)

    def look(self) -> None:
        """Look, which is done at regular times."""
        for i, (worker, tail) in enumerate(self._watched):
            latest_s = tail.clock_s()
            self._looks[i] = 0 if latest_s != self._latest_s[i] else self._looks[i] + 1
            self._latest_s[i] = latest_s
            if self._looks[i] * _TICK_S > QUIET_S and worker.working:
                worker.kill()
