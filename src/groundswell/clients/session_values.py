"""What recorded conversations say of each law that a client can have: the values that occurred, and what each counts.

A record ends, and with it conversations that would have gone on; it begins in the midst of others. Both ends are
seen to:

- How long it was watched whether a request would be followed is known of every request. The share that is followed,
  and after which pause, is Kaplan and Meier's estimate (1958) with a part that never is (Maller and Zhou 1992):
  a long pause that was seen stands for those that the record's end hid. It stands for :data:`MOST_LIKE_IT` at most,
  so that the last ones, of which few could have been seen, do not outweigh all others.
- A conversation that was begun sooner after the record's beginning than pauses usually last may be the rest of one.
  It says nothing of turns and first prompts.

What a conversation is like is taken turn by turn: its turns, pauses and lengths do not know of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.clients.sessions import Sessions
from groundswell.service import TPOT_S, TTFT_S

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KEPT_STEPS = 50
"""The share of its context that a turn keeps is told to this fraction, rounded down; what is beyond is new text."""
MOST_LIKE_IT = 4.0
LONGEST_MS = 2**24
USUALLY = 0.95
"""Of pauses, those that are no longer than they usually last."""
_MOST_LEFT_OUT = 0.25  # of the record, in which a conversation's beginning is not believed


@dataclass(frozen=True, eq=False)
class Values:
    """Things with a ``value``: of client number ``client``, at ``at_s`` on the pool's clock, each counting ``weight``.

    Weights of a client sum to about the number of its things.
    """

    client: Ints
    at_s: Floats
    value: Ints
    weight: Floats


@compiled
def _followed(edge: Any, event: Any, most: Any, jump: Any) -> None:
    """The probability that a request is followed after each wait: ``jump``, 0 where none was seen.

    Requests of a group lie between its edges in order of the time for which they were watched, those that were
    followed then (``event``) first; 1 - Σ jump is Kaplan and Meier's estimate of never.
    """
    for g in range(edge.size - 1):
        left, n = 1.0, edge[g + 1] - edge[g]
        for i in range(edge[g], edge[g + 1]):
            jump[i] = 0.0
            if event[i]:
                jump[i] = min(left / (edge[g + 1] - i), most / n)
                left -= jump[i]


@compiled
def _ends(client: Any, goes_on: Any, out: Any) -> None:
    """The probability that a conversation ends with each turn, from that to go on; rows by client, then turn."""
    alive = 1.0
    for g in range(client.size):
        if g == 0 or client[g] != client[g - 1]:
            alive = 1.0
        out[g] = alive * (1.0 - goes_on[g])
        alive *= goes_on[g]


@dataclass(frozen=True, eq=False)
class Watched:
    """Sessions with the time of every request, the wait until the next one, and for how long one was looked for.

    ``begin_s`` and ``end_s`` [C] say from when to when clients were recorded, which is all the time from the first
    request to the last at least; they are infinite where conversations are whole.
    """

    sessions: Sessions
    begin_s: Floats
    end_s: Floats
    talk: Ints  # [N] the conversation
    place: Ints  # [N]
    at_s: Floats  # [N]
    last: NDArray[np.bool_]  # [N] whether it is the last that was seen of its conversation
    wait_s: Floats  # [N] until the next one, or until the record ends

    @classmethod
    def of(cls, sessions: Sessions, begin_s: Floats, end_s: Floats) -> Watched:
        """That of sessions, at the nominal speed of the service."""
        wait = np.zeros(sessions.requests)
        reply_s = TTFT_S + TPOT_S * sessions.output_tokens[:-1].astype(np.float64)
        wait[1:] = np.maximum(reply_s + sessions.think_s[1:], 0.0)
        wait[sessions.edge[:-1]] = 0.0
        requests = np.diff(sessions.edge)
        running = np.cumsum(wait)
        at_s = np.repeat(sessions.start_s - running[sessions.edge[:-1]], requests) + running
        begin_s = np.minimum(begin_s, at_s.min(initial=np.inf))
        end_s = np.maximum(end_s, at_s.max(initial=-np.inf))
        last = np.zeros(sessions.requests, np.bool_)
        last[sessions.edge[1:] - 1] = True
        talk = np.repeat(np.arange(len(sessions)), requests)
        left_s = end_s[sessions.client[talk]] - at_s
        until = np.where(last, left_s, np.append(wait[1:], 0.0))
        return cls(sessions, begin_s, end_s, talk, sessions.place, at_s, last, until)

    @property
    def client(self) -> Ints:
        """Every request's client, shape [N]."""
        return self.sessions.client[self.talk]

    def followed(self, rows: Ints, group: Ints) -> tuple[Ints, Floats]:
        """``rows`` in another order, by their ``group``, and the probability of each one's wait until the next."""
        order = np.lexsort((self.last[rows], self.wait_s[rows], group))
        edge = np.append(np.flatnonzero(np.diff(group[order], prepend=-1)), rows.size).astype(np.int64)
        jump = np.empty(rows.size)
        _followed(edge, ~self.last[rows[order]], MOST_LIKE_IT, jump)
        return rows[order], jump

    def begun(self, jump: Floats) -> NDArray[np.bool_]:
        """Which conversations certainly begin where they were first seen, shape [M]; ``jump`` [N] is that of waits.

        Where these are fewer than half of a client's, all of its are taken for such.
        """
        sessions = self.sessions
        usual_s = self._usual_s(jump)
        span_s = self.end_s - self.begin_s
        from_s = self.begin_s + np.minimum(usual_s, np.where(np.isfinite(span_s), _MOST_LEFT_OUT * span_s, 0.0))
        begun = sessions.start_s >= from_s[sessions.client]
        held = np.diff(sessions.first)
        kept = np.bincount(sessions.client, begun, held.size)
        return np.asarray(begun | (2 * kept < held)[sessions.client])

    def _usual_s(self, jump: Floats) -> Floats:
        """The wait that :data:`USUALLY` of each client's do not exceed, shape [C]; 0 where nothing is followed."""
        client = self.client
        rows = np.flatnonzero(jump > 0)
        rows = rows[np.lexsort((self.wait_s[rows], client[rows]))]
        of = client[rows]
        total = np.bincount(of, jump[rows], self.begin_s.size)
        below = np.cumsum(jump[rows])
        before = np.concatenate([[0.0], np.cumsum(total)])[of]
        out = np.zeros(self.begin_s.size)
        within = below - before - jump[rows] < USUALLY * total[of]
        np.maximum.at(out, of[within], self.wait_s[rows[within]])
        return out


def values_of(sessions: Sessions, begin_s: Floats, end_s: Floats) -> dict[str, Values]:
    """What ``sessions`` say of their clients' laws, by field (:data:`groundswell.clients.pool.FIELDS`).

    Clients were recorded from ``begin_s`` to ``end_s`` [C] on the pool's clock; infinite times say that conversations
    are whole. ``input_tokens`` are those of first prompts; ``kept_ratio`` is in steps of 1 / :data:`KEPT_STEPS`;
    ``think_ms`` is 0 for a turn that did not wait. Of ``shared_tokens``, which are one thing with who else has them,
    nothing is said.
    """
    watched = Watched.of(sessions, begin_s, end_s)
    client, rows = watched.client, np.arange(sessions.requests)
    order, jumps = watched.followed(rows, client)
    jump = np.zeros(sessions.requests)
    jump[order] = jumps
    begun = watched.begun(jump)
    first = sessions.edge[:-1][begun]
    out = {
        "turns": _turns(watched, begun),
        "input_tokens": Values(
            client[first],
            watched.at_s[first],
            np.maximum(sessions.input_tokens[first].astype(np.int64), 1),
            np.ones(first.size),
        ),
    }
    return out | _later(watched, jump)


def _turns(watched: Watched, begun: NDArray[np.bool_]) -> Values:
    """The turns of the conversations that have ``begun`` in the record."""
    sessions = watched.sessions
    turns, talks = np.diff(sessions.edge)[begun], np.flatnonzero(begun)
    longest = int(turns.max(initial=1)) + 1
    rows = np.flatnonzero(begun[watched.talk])
    group = watched.client[rows] * longest + watched.place[rows]
    order, jump = watched.followed(rows, group)
    cells, cell = np.unique(watched.client[order] * longest + watched.place[order], return_inverse=True)
    ends = np.empty(cells.size)
    _ends(cells // longest, np.bincount(cell, jump, cells.size), ends)
    own = np.searchsorted(cells, sessions.client[talks] * longest + turns - 1)
    alike = np.bincount(own, minlength=cells.size)
    held = np.bincount(sessions.client[talks], minlength=watched.begin_s.size)
    weight = ends[own] * held[sessions.client[talks]] / alike[own]
    return Values(sessions.client[talks], sessions.start_s[talks], turns.astype(np.int64), weight)


def _later(watched: Watched, jump: Floats) -> dict[str, Values]:
    """The fields of later turns."""
    sessions, client = watched.sessions, watched.client
    later = np.flatnonzero(watched.place > 0)
    given = sessions.input_tokens.astype(np.int64)
    context = given[later - 1] + sessions.output_tokens[later - 1]
    again = (sessions.back[later] == 1) & (given[later] == given[later - 1])
    again &= sessions.kept_tokens[later] >= given[later]
    kept = np.minimum(np.minimum(sessions.kept_tokens[later], given[later]), context)
    step = KEPT_STEPS * kept // np.maximum(context, 1)
    new = np.maximum(given[later] - step * context // KEPT_STEPS, 1)
    pause_ms = np.rint(1000.0 * np.maximum(sessions.think_s[later], 0.0)).astype(np.int64)
    seen = np.bincount(client[later], minlength=watched.begin_s.size)
    counted = np.bincount(client[later], jump[later - 1], watched.begin_s.size)
    stands_for = jump[later - 1] * (seen / np.where(counted > 0, counted, 1.0))[client[later]]

    def of(which: NDArray[np.bool_], value: Ints, weight: Floats) -> Values:
        return Values(client[later[which]], watched.at_s[later[which]], value[which], weight[which])

    every, one = np.ones(later.size, np.bool_), np.ones(later.size)
    return {
        "think_ms": of(every, np.minimum(pause_ms, LONGEST_MS), stands_for),
        "new_tokens": of(~again, new, one),
        "kept_ratio": of(~again, step, one),
        "regenerate": of(every, again.astype(np.int64), one),
    }
