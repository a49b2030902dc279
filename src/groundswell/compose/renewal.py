"""Clients whose counts vary as their process says: each walks from arrival to arrival through the run.

A client's clock runs in expected requests, so the process has unit rate and the rate curve places it. As long as a
client's shape stays the same the process goes on across windows; where the shape changes, a new one starts in
equilibrium, which keeps every window's expected count what it should be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled, stream_keys, words
from groundswell.compose.plan import Planner

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MOST_GAPS = 1 << 20


@compiled
def _advance(
    gaps: Any, offset: Any, client: Any, size: Any, high: Any, position: Any, index: Any, sent: Any, place: Any,
    u: Any, of: Any, number: Any,
) -> Any:  # fmt: skip
    """Walk each client until share ``high`` of the window or the end of its gaps: how many requests were sent."""
    n = 0
    for r in range(client.size):
        c = client[r]
        x = position[c]
        for i in range(offset[r], offset[r + 1]):
            share = x / size[c]
            if share >= high:
                break
            u[n], of[n], number[n] = share, place[c], sent[c]
            n += 1
            sent[c] += 1
            index[c] += 1
            x += gaps[i]
        position[c] = x
    return n


@dataclass(frozen=True, eq=False)
class Sent:
    """Requests of free clients in (a part of) one window ``w`` of the run.

    Request i comes at share ``u[i]`` of the window from client ``client[of[i]]``, as its ``number[i]``-th there.
    """

    w: int
    client: Ints
    u: Floats
    of: NDArray[np.int32]
    number: Ints


@dataclass(eq=False)
class Walkers:
    """Where every free client stands. It moves in time order only."""

    planner: Planner
    position: Floats = field(init=False)  # [C] of the next arrival, in expected requests from the window's start
    index: Ints = field(init=False)  # [C] of the next gap
    sent: Ints = field(init=False)  # [C] in this window
    shape: Floats = field(init=False)  # [C, 3] family and the kernels' two numbers
    key: NDArray[np.uint64] = field(init=False)
    window: int = field(init=False)  # of the run, in which they are
    size: Floats = field(init=False)  # [C] requests expected in that window

    def __post_init__(self) -> None:
        clients = len(self.planner.pool)
        self.position, self.index = np.zeros(clients), np.zeros(clients, np.int64)
        self.sent, self.shape = np.zeros(clients, np.int64), np.full((clients, 3), np.nan)
        self.key = np.zeros(clients, np.uint64)
        self._client_key = stream_keys(self.planner.seed, self.planner.pool.names, "walk")

    def enter(self, w: int) -> None:
        """Begin window ``w`` of the run."""
        planner = self.planner
        size = np.where(planner.measured, 0.0, planner.expected(w, w + 1)[0])
        window = int(planner.geometry.window[w])
        self.sent[:] = 0
        active = np.flatnonzero(size > 0)
        family = planner.pool.family[active, window].astype(np.int64)
        for code in np.unique(family):
            client = active[family == code]
            a, b = planner.shapes.parameters(
                int(code), client, np.full(client.size, window), np.full(client.size, np.inf)
            )
            shape = np.column_stack([np.full(client.size, float(code)), a, b])
            new = (self.shape[client] != shape).any(axis=1)
            fresh = client[new]
            self.shape[fresh] = shape[new]
            self.index[fresh] = 0
            self.key[fresh] = words(self._client_key[fresh], planner.geometry.number[w])
            start = np.empty(fresh.size)
            planner.shapes.part(int(code)).first(start, self.key[fresh], a[new], b[new])
            self.position[fresh] = start
        self.window, self.size = w, size

    def walk(self, high: float) -> Sent:
        """What free clients send up to share ``high`` of the window they are in."""
        size = self.size
        active = np.flatnonzero(size > 0)
        place = np.empty(size.size, np.int32)
        place[active] = np.arange(active.size)
        rounds: list[tuple[Floats, NDArray[np.int32], Ints]] = []
        while True:
            open_ = np.flatnonzero((size > 0) & (self.position < size * high))
            if open_.size == 0:
                break
            open_ = open_[np.argsort(self.shape[open_, 0], kind="stable")]
            ahead = size[open_] * high - self.position[open_]
            need = np.minimum(ahead + 4.0 * np.sqrt(ahead) + 2.0, _MOST_GAPS).astype(np.int64)
            offset = np.concatenate([[0], np.cumsum(need)])
            gaps = np.empty(offset[-1])
            family = self.shape[open_, 0]
            for code in np.unique(family):
                low, stop = np.searchsorted(family, [code, code + 1])
                of = open_[low:stop]
                self.planner.shapes.part(int(code)).fill(
                    gaps, offset[low : stop + 1], self.key[of], self.index[of], self.shape[of, 1], self.shape[of, 2]
                )
            u, owner, number = np.empty(offset[-1]), np.empty(offset[-1], np.int32), np.empty(offset[-1], np.int64)
            n = _advance(gaps, offset, open_, size, high, self.position, self.index, self.sent, place, u, owner, number)
            rounds.append((u[:n], owner[:n], number[:n]))
            if n == 0:
                break  # rounding left every open client at the part's edge
        if not rounds:
            return Sent(self.window, active, np.empty(0), np.empty(0, np.int32), np.empty(0, np.int64))
        u, owner, number = (np.concatenate(columns) for columns in zip(*rounds, strict=True))
        return Sent(self.window, active, u, owner, number)

    def leave(self) -> None:
        """End the window: positions count from the next one's start."""
        self.position = np.maximum(self.position - self.size, 0.0)
