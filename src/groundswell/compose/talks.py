"""Conversations of a run: who converses, how often one begins, and what becomes of each that does."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import stream_keys, words
from groundswell.clients import ClientPool
from groundswell.clients.sessions import Sessions
from groundswell.compose import begun as beginnings
from groundswell.compose import turns as kernels
from groundswell.compose.laws import ALONE, DEALT, RECORDED, STATED
from groundswell.compose.leads import leads
from groundswell.compose.talking import Talking
from groundswell.compose.turn_rows import Turns
from groundswell.errors import UsageError
from groundswell.service import TPOT_S, TTFT_S

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FIELDS = ("turns", "think_ms", "new_tokens", "kept_ratio", "regenerate", "shared_tokens")
"""The fields of a pool that are of conversations, as :mod:`groundswell.compose.laws` numbers them."""
_LAWS = (*FIELDS, "output_tokens", "reason_ratio")
_TRIED = (512, 8192)  # conversations of a client that are tried to see how long they last: as many as in an hour
_LATE = 0.002  # of later turns come later than a client's conversations begin before the run
_LONGEST_S = 86_400.0
_MOST_WINDOWS = 65
_NEAR = 256
_LONGEST = 2**30  # tokens


@dataclass(frozen=True, eq=False)
class Talks:
    """How the clients of a pool converse; ``law`` numbers the tables of clients, slots and laws."""

    pool: ClientPool
    law: NDArray[np.int32]  # [C, S, 8]
    seed: int
    talking: Talking
    sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sessions", self.pool.sessions or Sessions.none(len(self.pool)))

    @classmethod
    def of(cls, pool: ClientPool, seed: int, talking: Talking) -> Talks | None:
        """Those of ``pool``, or None if nobody in it converses or shares the beginnings of prompts."""
        shares = "shared_tokens" in pool.fields and bool(
            (pool.table[:, :, pool.fields.index("shared_tokens")] >= 0).any()
        )
        if not (shares or pool.converses.any()):
            return None
        nearest = np.maximum(pool.nearest_slot, 0)
        missing = np.full(nearest.shape, -1, np.int32)
        law = np.stack(
            [
                np.take_along_axis(pool.table[:, :, pool.fields.index(name)], nearest, axis=1)
                if name in pool.fields
                else missing
                for name in _LAWS
            ],
            axis=2,
        )
        talks = cls(pool, np.ascontiguousarray(law), seed, talking)
        talks._check_limit()
        return talks

    @cached_property
    def kind(self) -> NDArray[np.int64]:
        """How each client converses, shape [C]."""
        stated = (self.law[:, :, 0] >= 0).any(axis=1)
        whole = np.where(self.pool.stated, DEALT, RECORDED)
        return np.where(np.diff(self.sessions.first) > 0, whole, np.where(stated, STATED, ALONE))

    @cached_property
    def converses(self) -> NDArray[np.bool_]:
        """Which clients do, shape [C]."""
        return np.asarray(self.kind != ALONE)

    @cached_property
    def reasons(self) -> bool:
        """Whether a recorded conversation has reasoning."""
        return bool(self.sessions.reason_tokens.any())

    @cached_property
    def share(self) -> Floats:
        """The conversations that begin, of each client and window, per request: [C, W].

        A recorded client's is that of the window; one whose rates are a law has the same at all times.
        """
        pool = self.pool
        out = np.ones(pool.rate_per_s.shape)
        stated = np.flatnonzero(self.kind == STATED)
        if stated.size:
            law = self.law[stated, :, 0]
            turns = np.where(law >= 0, np.maximum(pool.lengths.mean[law], 1.0), 1.0)
            out[stated] = 1.0 / turns[:, pool.slot_of_window]
        if len(self.sessions):
            recorded, dealt = self.kind == RECORDED, self.kind == DEALT
            whole = self._conversations_per_request[:, None]
            out[dealt] = whole[dealt]
            if recorded.any():
                begun, sent = self._recorded
                known = sent > 0
                out[recorded] = np.where(known, begun / np.where(known, sent, 1.0), whole)[recorded]
        return out

    @property
    def _conversations_per_request(self) -> Floats:
        """Of each client's whole sessions, shape [C]."""
        sessions = self.sessions
        requests = np.diff(sessions.edge[sessions.first])
        return np.asarray(np.diff(sessions.first) / np.maximum(requests, 1))

    @property
    def _recorded(self) -> tuple[Floats, Floats]:
        """The conversations that begin, and the requests that are sent, in the windows of the recorded: [C, W] each."""
        pool, sessions = self.pool, self.sessions
        wait = np.zeros(sessions.requests)
        wait[1:] = np.maximum(TTFT_S + TPOT_S * sessions.output_tokens[:-1] + sessions.think_s[1:], 0.0)
        wait[sessions.edge[:-1]] = 0.0
        running = np.cumsum(wait)
        requests = np.diff(sessions.edge)
        at_s = np.repeat(sessions.start_s - running[sessions.edge[:-1]], requests) + running
        shape = pool.rate_per_s.shape
        counts = []
        for time_s, client in ((sessions.start_s, sessions.client), (at_s, np.repeat(sessions.client, requests))):
            window = self._window_of(time_s)
            inside = (window >= 0) & (window < shape[1])
            cell = client[inside] * shape[1] + window[inside]
            counts.append(np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64))
        return counts[0], counts[1]

    def begun_between(self, edge_s: Floats) -> Floats:
        """The recorded conversations that begin between these times on the pool's clock, at the rate of the pool's
        own time: [K, C].
        """
        pool, sessions = self.pool, self.sessions
        place = np.searchsorted(edge_s, sessions.start_s, side="right") - 1
        inside = (place >= 0) & (place < edge_s.size - 1)
        shape = edge_s.size - 1, len(pool)
        cell = place[inside] * shape[1] + sessions.client[inside]
        sent = self._recorded[1].sum(axis=1)
        scale = np.where(sent > 0, pool.sent_per_s.sum(axis=1) * pool.window_s / np.maximum(sent, 1.0), 1.0)
        return np.asarray(np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape) * scale)

    @cached_property
    def lead_s(self) -> Floats:
        """How long before a run each client's conversations begin that reach into it, shape [C]: all but 1 in 500 of
        their later turns come sooner. It is of the client alone, so that nobody else changes when it begins.
        """
        return self._leads[0]

    @cached_property
    def came(self) -> Floats:
        """Which share of a client's requests comes k windows after their conversation began, shape [C, K]."""
        return self._leads[1]

    @cached_property
    def _leads(self) -> tuple[Floats, Floats]:
        pool, sessions = self.pool, self.sessions
        an_hour = np.nan_to_num(3600.0 * pool.mean_rate_per_s * self.share.mean(axis=1))
        tries = np.where(self.converses, np.clip(an_hour, *_TRIED), 0).astype(np.int64)
        law = self.law[np.arange(len(pool)), pool.slot_rate.argmax(axis=1)]
        lead_s, came = np.zeros(len(pool)), np.zeros((len(pool), _MOST_WINDOWS))
        leads(
            self.kind, stream_keys(self.seed, pool.names, "leads"), tries, law,
            pool.lengths.drawing,
            sessions.first, sessions.edge, sessions.think_s, sessions.output_tokens,
            (self.talking.ttft_s, self.talking.tpot_s), (_LATE, _LONGEST_S), pool.window_s, lead_s, came,
        )  # fmt: skip
        return lead_s, came

    def may_last(
        self, of: NDArray[np.int32], number: Ints, key: NDArray[np.uint64], client: NDArray[np.int32], slot: Ints,
        at_s: Floats,
    ) -> NDArray[np.bool_]:  # fmt: skip
        """Which of the conversations that begin ``at_s`` may still be going on at 0 s; most before a run are not.

        Each is request ``number`` of piece ``of``, and a piece has a key, a client and a slot.
        """
        out = np.ones(at_s.size, np.bool_)
        if at_s.size and at_s.min() < 0.0:
            tables = self.pool.lengths
            beginnings.may_last(
                of, number, key, client, slot, self.kind, self.law,
                tables.drawing, tables.largest,
                (self.talking.ttft_s, self.talking.tpot_s), at_s, out,
            )  # fmt: skip
        return out

    def unfold(
        self, client: NDArray[np.uint32], conversation: NDArray[np.void], at_s: Floats, clock_s: float,
        begun: NDArray[np.int32], end_s: float,
    ) -> Turns:  # fmt: skip
        """The turns before ``end_s`` of each ``conversation`` (:data:`begun.BEGUN`) that begins ``at_s`` with the
        request ``begun`` ([3, rows]: input, output, reasoning). ``clock_s`` is the pool's clock at 0 s.
        """
        talking, sessions, drawing = self.talking, self.sessions, self.pool.lengths.drawing
        key = np.ascontiguousarray(conversation["key"])
        law = self.law[client, conversation["slot"]]
        recorded, turns = np.empty(client.size, np.int64), np.empty(client.size, np.int64)
        beginnings.shapes(
            self.kind, client, conversation, at_s + clock_s, law, drawing,
            sessions.first, self._near, sessions.start_s, sessions.edge, self._edge_s, self._shuffled, recorded, turns,
        )  # fmt: skip
        room = np.empty(client.size, np.int64)
        beginnings.rooms(key, law, drawing, room)
        base_id = (words(self._shared_keys[client], room) >> np.uint64(2)).astype(np.int64)
        total = int(turns.sum())
        row, turn = np.empty(total, np.int64), np.empty(total, np.int16)
        time, think = np.empty(total), np.empty(total)
        given, reply, reason = (np.empty(total, np.int32) for _ in range(3))
        runs = np.zeros(total, np.int64)
        n, pairs = kernels.unfold(
            client, key, at_s, turns, recorded, law, drawing, room, base_id,
            (sessions.shared_tokens, sessions.shared_within, self._shared_base), self._deepest,
            sessions.edge, sessions.shared, sessions.think_s, sessions.back, sessions.kept_tokens,
            sessions.input_tokens, sessions.output_tokens, sessions.reason_tokens,
            (talking.ttft_s, talking.tpot_s), min(talking.max_context_tokens or _LONGEST, _LONGEST),
            talking.block_tokens or 0, end_s,
            begun, row, turn, time, think, given, reply, reason, runs,
        )  # fmt: skip
        return Turns(row[:n], turn[:n], time[:n], think[:n], given[:n], reply[:n], reason[:n], runs[:n], pairs)

    @cached_property
    def _edge_s(self) -> Floats:
        """Where the pool's windows begin, and the last one ends, shape [W + 1]."""
        return np.asarray(self.pool.start_s + self.pool.window_s * np.arange(self.pool.window_count + 1), np.float64)

    def _window_of(self, time_s: Floats) -> Ints:
        return np.searchsorted(self._edge_s, time_s, side="right") - 1

    @cached_property
    def _shuffled(self) -> Ints:
        """The recorded conversations; those that a client began one after the other in a window change places."""
        sessions = self.sessions
        client, window = sessions.client, self._window_of(sessions.start_s)
        cell = client * (self.pool.window_count + 2) + window + 1
        begin = np.flatnonzero(np.diff(cell, prepend=-1))
        place = np.arange(len(sessions)) - np.repeat(begin, np.diff(begin, append=len(sessions)))
        own = np.arange(len(sessions)) - sessions.first[client]
        keys = stream_keys(self.seed, self.pool.names, "shapes")
        return np.lexsort((words(keys[client], own), place // beginnings.TOGETHER, window, client))

    @cached_property
    def _near(self) -> Ints:
        """From how many conversations about its time each client's next one takes its shape: all, for a law."""
        held = np.diff(self.sessions.first)
        return np.where(self.kind == DEALT, held, np.minimum(held, _NEAR))

    @cached_property
    def _shared_keys(self) -> NDArray[np.uint64]:
        return stream_keys(self.seed, self.pool.names, "shared")

    @cached_property
    def _shared_base(self) -> Ints:
        return (words(self.sessions.shared_key, 0) >> np.uint64(2)).astype(np.int64)

    @cached_property
    def _deepest(self) -> int:
        """How many shared beginnings lie in each other at most."""
        depth = np.ones(self.sessions.shared_tokens.size, np.int64)
        within = self.sessions.shared_within.astype(np.int64)
        while (inside := within >= 0).any():
            depth[inside] += 1
            within = np.where(inside, self.sessions.shared_within[np.maximum(within, 0)], -1)
        return int(depth.max(initial=1))

    def _check_limit(self) -> None:
        """Raise UsageError where no first prompt of a client fits the limit of contexts."""
        most = self.talking.max_context_tokens
        if most is None:
            return
        tables, sessions = self.pool.lengths, self.sessions
        least = np.full(len(self.pool), 0.0)
        stated = self.kind == STATED
        if stated.any():
            column = self.pool.fields.index("input_tokens")
            number = self.pool.table[:, :, column]
            lowest = np.where(number >= 0, tables.value[tables.first[:-1]][number], np.inf).min(axis=1)
            least[stated] = lowest[stated]
        if len(sessions):
            first = sessions.input_tokens[sessions.edge[:-1]]
            recorded = np.full(len(self.pool), np.inf)
            np.minimum.at(recorded, sessions.client, first)
            whole = np.isin(self.kind, (RECORDED, DEALT))
            least[whole] = recorded[whole]
        beyond = least > most
        if beyond.any():
            c = int(beyond.argmax())
            raise UsageError(
                f"max_context_tokens {most:,} is below the first turn: client {self.pool.names[c]!r} begins with "
                f"{int(least[c]):,} tokens at least"
            )
