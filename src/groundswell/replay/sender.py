"""Requests in the order in which they are due: made shortly before, sent then, and followed until they end."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from heapq import heappop, heappush
from itertools import takewhile
from typing import Protocol

from groundswell.replay import clock
from groundswell.replay.call import Sent, never_sent
from groundswell.replay.hidden import Hidden
from groundswell.replay.journal import HELD, Journal
from groundswell.replay.maker import Maker
from groundswell.replay.nowhere import Nowhere
from groundswell.replay.rows import Row, Rows
from groundswell.replay.talk import Talk
from groundswell.replay.transport import Call, Endpoint, Pool, tls_context
from groundswell.replay.wire import ALONE, Batch, Setup

AHEAD_NS = 250_000_000
"""Requests are made at most so long before they are due, and at least half of it: many at a time cost less each."""
_SLICE_ROWS, _SLICE_TOKENS = 12, 8192  # are made at a time, in between which others are sent
_UNPACK_ROWS = 64
_SLICE_NS = 250_000  # as long as one of these takes, or so
_LATE_NS = 100_000_000  # what has been due for less, and is not sent, was about to be
_FAR_NS = 2**62


class Connections(Protocol):
    """What sends: a :class:`Pool`, or :class:`Nowhere`."""

    begun: int
    """Connections that ever had a call."""

    def send(self, call: Call) -> None:
        """Send ``call``, at once where a connection is idle."""

    def give_up(self, call: Call, kind: str, words: str) -> None:
        """Let ``call`` fail, as ``kind`` of :data:`groundswell.replay.journal.ERRORS`."""

    async def warm(self, count: int) -> None:
        """Have so many connections."""

    def keep_spare(self, count: int) -> None:
        """Hold so many idle connections ready."""


class Sender:
    """The requests that a worker was given, from then until they have ended.

    Times are in nanoseconds from the run's begin. A request is *planned* once it is known when it is due, *made* when
    that is near, and *open* from its sending to its end. Turns that wait for the reply before them are with their
    :class:`Talk`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, setup: Setup, journal: Journal) -> None:
        self.loop, self.setup, self.journal = loop, setup, journal
        self.start_ns = 0
        """When the run began, on the monotonic clock; 0 before that."""
        self.told_all = self._stopping = False
        self.unsent = 0
        key = os.environ.get(setup.key_env) if setup.key_env else None
        self.hidden = Hidden.of(key, setup.headers)
        """What must not be written down, whoever says it."""
        self._maker = Maker(setup, key)
        self.target, self.bodies = self._maker.target, self._maker.bodies
        self._pool = _connections(loop, setup)
        self._received: deque[Rows] = deque()
        self._planned: list[tuple[int, int, Row, Talk | None]] = []
        self._made: list[tuple[int, int, Sent]] = []
        self._talks: dict[int, Talk] = {}
        self._held: deque[Sent] = deque()
        self._until_ns = 0
        self.open = 0
        self._open_calls: dict[Sent, int] = {}  # in the order they went, each with when it is given up
        self._waiting = 0  # turns that wait for the reply before them
        self._sent = self._ended = self._failed = self._spare = self._begun = 0
        self._alarm = clock.Alarm(loop, self._ring)
        self._working = False
        self._horizon_ns = AHEAD_NS

    async def warm(self) -> None:
        """Open connections ahead of the run."""
        await self._pool.warm(self.setup.warm_connections)

    def now_ns(self) -> int:
        """Nanoseconds since the run's begin; 0 before it."""
        return clock.now_ns() - self.start_ns if self.start_ns else 0

    def add(self, batch: Batch) -> None:
        """Take requests that are to be sent."""
        if self._stopping:  # they were on their way to us when that was said
            self.unsent += len(batch)
            return
        self._received.append(Rows(batch, self.setup.begin_s, self.setup.from_s))
        self._work_soon()

    def start(self, origin_ns: int) -> None:
        """Begin: 0 s of the schedule is at ``origin_ns`` of the monotonic clock."""
        self.start_ns = origin_ns
        self._set_alarm()

    def stop(self, until_ns: int) -> None:
        """Send nothing more, and give up at ``until_ns`` of the monotonic clock what is still open then. What was due
        for a while and has not gone is written down as unsent."""
        self.send_due(clock.now_ns())
        self._until_ns = min(until_ns, self._until_ns) if self._stopping else until_ns
        self._stopping, self.told_all = True, True
        planned = [(due_ns, row, 0) for due_ns, _, row, _ in self._planned]
        planned += [(due_ns, call.row, 0) for due_ns, _, call in self._made]
        planned += [(call.due_ns, call.row, HELD) for call in self._held]
        self.unsent += self._waiting + len(planned) + sum(len(rows) for rows in self._received)
        for rows in self._received:
            planned += [(row.due_ns, row, 0) for row in rows.take(len(rows)) if row.think_ns is None]
        late_ns = self.now_ns() - _LATE_NS if self.start_ns else -1
        for due_ns, row, flags in planned:
            if due_ns <= late_ns:
                self.journal.add(never_sent(row, due_ns, flags))
        for queue in (self._planned, self._made, self._held, self._received):
            queue.clear()
        self._waiting = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left to be sent or to end."""
        nothing = not (self._received or self._planned or self._made or self._held or self._waiting)
        return self.told_all and nothing and not self.open

    def state(self) -> tuple[int, int, int, int, int, int]:
        """The figures of :data:`groundswell.replay.journal.STATE`."""
        known = len(self._planned) + len(self._made) + self._waiting + sum(len(rows) for rows in self._received)
        return (self._sent, self._ended, self.open, len(self._held), self._failed, known)

    def look_after(self) -> None:
        """What is done now and then: requests that took too long are given up, and connections held ready."""
        now_ns = clock.now_ns()
        late = list(takewhile(lambda call: self._open_calls[call] <= now_ns, self._open_calls))
        for call in late:
            self._pool.give_up(call, "timeout", f"no end after {self.setup.timeout_s:g} s")
        if self._stopping and now_ns >= self._until_ns:
            for call in tuple(self._open_calls):
                self._pool.give_up(call, "interrupted", "")
        # As many as calls took into use in a like time: none where the server keeps its connections, and one a request
        # where it closes each.
        self._spare = max(self._pool.begun - self._begun, self._spare * 9 // 10)
        self._begun = self._pool.begun
        self._pool.keep_spare(self._spare + 1)

    def _ring(self) -> None:
        self.send_due(clock.now_ns())
        self._work_soon()

    def send_due(self, at_ns: int) -> None:
        """Send all that is due by ``at_ns`` of the monotonic clock."""
        made = self._made
        if not made or not self.start_ns or made[0][0] > at_ns - self.start_ns:
            return
        while made and made[0][0] <= clock.now_ns() - self.start_ns:
            call = heappop(made)[2]
            if self.setup.most_open and self.open >= self.setup.most_open:
                call.flags |= HELD
                self._held.append(call)
            else:
                self._send(call)
        self._set_alarm()

    def _send(self, call: Sent) -> None:
        self.open += 1
        self._sent += 1
        self._open_calls[call] = clock.now_ns() + int(self.setup.timeout_s * 1e9)
        self._pool.send(call)

    def give_up(self, call: Sent, kind: str, words: str) -> None:
        """Have ``call`` fail, and its connection closed."""
        self._pool.give_up(call, kind, words)

    def ended(self, call: Sent) -> None:
        """``call`` has ended and written its record: what waited for that goes on."""
        self.open -= 1
        self._ended += 1
        self._failed += call.error != 0
        del self._open_calls[call]
        if call.talk is not None:
            self._go_on(call.talk, call)
        if self._held:
            self._send(self._held.popleft())

    def _go_on(self, talk: Talk, call: Sent) -> None:
        talk.heard(call)
        if self._stopping:
            return
        if call.row.last:
            self._talks.pop(call.row.talk, None)
        elif talk.waiting:
            self._waiting -= 1
            self._plan_turn(talk, talk.waiting.popleft())

    def _plan_turn(self, talk: Talk, row: Row) -> None:
        talk.busy = True
        self._plan(talk.done_ns + (row.think_ns or 0), row, talk)

    def _plan(self, due_ns: int, row: Row, talk: Talk | None) -> None:
        heappush(self._planned, (due_ns, row.row, row, talk))
        if due_ns - AHEAD_NS // 2 <= self.now_ns():
            self._work_soon()
        elif self._planned[0][0] == due_ns:
            self._set_alarm()

    def _work_soon(self) -> None:
        if not self._working:
            self._working = True
            self.loop.call_soon(self._work)

    def _work(self) -> None:
        """A slice of what is done ahead of time; then others have their turn."""
        self._working = False
        if self._stopping:
            return
        now_ns = self.now_ns()
        if self._is_planned_by(now_ns + AHEAD_NS // 2):
            self._horizon_ns = now_ns + AHEAD_NS
        if self._is_due_soon(now_ns) and not self._is_planned_by(now_ns + AHEAD_NS // 4):
            self._set_alarm()  # which goes on with this
            return
        if self._is_planned_by(self._horizon_ns):
            self._make()
        elif self._received:
            self._unpack()
        self.send_due(clock.now_ns())
        self._set_alarm()
        if self._received or self._is_planned_by(self._horizon_ns):
            self._work_soon()

    def _is_due_soon(self, now_ns: int) -> bool:
        return bool(self.start_ns and self._made) and self._made[0][0] <= now_ns + _SLICE_NS

    def _is_planned_by(self, at_ns: int) -> bool:
        return bool(self._planned) and self._planned[0][0] <= at_ns

    def _make(self) -> None:
        """The next few requests."""
        slice_: list[tuple[int, Row, Talk | None]] = []
        tokens = 0
        while self._is_planned_by(self._horizon_ns) and len(slice_) < _SLICE_ROWS and tokens < _SLICE_TOKENS:
            due_ns, _, row, talk = heappop(self._planned)
            slice_.append((due_ns, row, talk))
            tokens += row.input_tokens
        for (due_ns, row, talk), made in zip(slice_, self._maker.make(slice_), strict=True):
            call = Sent(self, row, talk, due_ns, made)
            heappush(self._made, (due_ns, row.row, call))

    def _unpack(self) -> None:
        """The next few rows that were received."""
        rows = self._received[0]
        for row in rows.take(_UNPACK_ROWS):
            self._place(row)
        if not len(rows):
            self._received.popleft()

    def _place(self, row: Row) -> None:
        if row.talk == ALONE:
            self._plan(row.due_ns, row, None)
            return
        talk = self._talks.get(row.talk)
        if talk is None or row.think_ns is None:
            talk = Talk()
            if not row.last:
                self._talks[row.talk] = talk
            talk.busy = True
            self._plan(row.due_ns, row, talk)
        elif talk.busy:
            talk.waiting.append(row)
            self._waiting += 1
        else:
            self._plan_turn(talk, row)

    def _set_alarm(self) -> None:
        if not self.start_ns or not (self._made or self._planned):
            return
        next_ns = self._made[0][0] if self._made else _FAR_NS
        if self._planned:
            next_ns = min(next_ns, self._planned[0][0] - AHEAD_NS // 2)
        self._alarm.set(self.start_ns + next_ns)


def _connections(loop: asyncio.AbstractEventLoop, setup: Setup) -> Connections:
    if setup.target.partition(":")[0] == "null":
        return Nowhere(loop)
    endpoint = Endpoint.parse(setup.url)
    context = tls_context(setup.tls) if endpoint.tls else None
    return Pool(loop, endpoint, context=context, quick_ack=setup.quick_ack)
