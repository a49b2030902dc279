"""The plan of a run, a stretch of time after the other: who sends how many requests in which window, and by which
process.

Planning is columns over clients and windows; the requests themselves are made from a plan in :mod:`.render`. What a
plan holds depends on the seed and the pool alone, never on where the run is cut into stretches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import stream_keys, uniforms, words
from groundswell.clients import ClientPool
from groundswell.compose.ahead import ahead
from groundswell.compose.geometry import Geometry
from groundswell.compose.laws import RECORDED
from groundswell.compose.shapes import Shapes
from groundswell.compose.talks import Talks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

_MOST_CELLS = 2_000_000
_PHASE, _START = np.uint64(1 << 62), np.uint64((1 << 62) + 1)


@dataclass(frozen=True, eq=False)
class Pieces:
    """P pieces: one client in one window each, sorted by family, then window, then client."""

    client: NDArray[np.int32]
    window: Ints  # of the run
    family: Ints
    count: Ints
    gap_key: Words
    length_key: Words
    a: Floats
    b: Floats
    phase: Floats
    start: Floats
    active: Floats

    @property
    def size(self) -> int:
        """P."""
        return self.client.size


@dataclass(frozen=True)
class Stretch:
    """Windows ``low`` to ``high`` of the run; if it is one window in ``parts`` parts, then all of them follow each
    other.
    """

    low: int
    high: int
    parts: int


@dataclass(frozen=True, eq=False)
class Planner:
    """Plans the stretches of one run in order."""

    pool: ClientPool
    geometry: Geometry
    shapes: Shapes
    seed: int
    measured: NDArray[np.bool_]  # [C]
    block_rows: int
    talks: Talks | None = None

    def stretches(self) -> Iterator[Stretch]:
        """The run in stretches of about ``block_rows`` requests."""
        expected = self._rows_per_window
        most_windows = max(_MOST_CELLS // max(len(self.pool), 1), 1)
        low = 0
        while low < expected.size:
            if expected[low] > self.block_rows:
                yield Stretch(low, low + 1, int(np.ceil(expected[low] / self.block_rows)))
                low += 1
                continue
            high = low + 1
            total = expected[low]
            while high < expected.size and high - low < most_windows and total + expected[high] <= self.block_rows:
                total += expected[high]
                high += 1
            yield Stretch(low, high, 1)
            low = high

    @cached_property
    def expected_per_window(self) -> Floats:
        """Requests expected in each window of the run, shape [R]."""
        return self.pool.total_rate_per_s[self.geometry.window] * self.geometry.weight

    @cached_property
    def _rows_per_window(self) -> Floats:
        """About how many requests a window's block holds, shape [R]: before the run only some clients send."""
        rows = self.expected_per_window.copy()
        for w in range(self.geometry.warm):
            rows[w] = self.expected(w, w + 1).sum()
        return rows

    def expected(self, low: int, high: int) -> Floats:
        """Requests expected of each client in windows ``low`` to ``high`` of the run, shape [high - low, C].

        Of clients that converse these are the first requests of conversations. Before the run a client sends those
        that last into it, and others nothing.
        """
        window = self.geometry.window[low:high]
        expected: Floats = self.pool.rate_per_s[:, window].T * self.geometry.weight[low:high, None]
        if self.talks is None:
            return expected
        silent = np.arange(low, high)[:, None] < self._begin
        begun = expected * self.talks.share[:, window].T
        recorded = self.talks.kind == RECORDED
        if low < self.geometry.known and recorded.any():
            before = self._before[low:high]
            begun[: len(before), recorded] = before[:, recorded]
        return np.where(silent, 0.0, begun * self._ahead[low:high])

    @cached_property
    def _before(self) -> Floats:
        """The recorded conversations that begin in the windows before those that are the pool's own: [known, C]."""
        known, edge_s = self.geometry.known, self._edge_s
        if self.talks is None:
            return np.zeros((known, len(self.pool)))
        begun = self.talks.begun_between(self.geometry.start_s + edge_s[: known + 1])
        return begun * (self.geometry.weight / np.diff(edge_s))[:known, None]

    @cached_property
    def _begin(self) -> Ints:
        """The window of the run in which each client begins, shape [C]: early enough for conversations to reach it."""
        if self.talks is None:
            return np.zeros(len(self.pool), np.int64)
        return np.searchsorted(self._edge_s[1:], -self.talks.lead_s, side="right")

    @cached_property
    def _edge_s(self) -> Floats:
        return self.geometry.knot_s[self.geometry.piece]

    @cached_property
    def _ahead(self) -> Floats:
        """How many times as many conversations begin as the requests would need if all came at once: [R, C]."""
        geometry, talks = self.geometry, self.talks
        ratio = np.ones((geometry.window.size, len(self.pool)))
        if talks is not None:
            factor = geometry.weight / np.diff(self._edge_s)
            # a recorded client's beginnings are early as they were: only the factor on them must be early too
            wanted = np.where(talks.kind == RECORDED, 1.0, self.pool.rate_per_s[:, geometry.window].T)
            ahead(wanted * factor[:, None], self._begin, talks.came, ratio)
        return ratio

    def measured_pieces(self) -> Iterator[tuple[Stretch, Pieces]]:
        """For each stretch the pieces of the clients whose counts are measured.

        A client's running total of expected requests, from a random offset on, is rounded down at every window's end.
        So a window's count is within 1 of its share, right on average, and errors never add up over windows.
        """
        names = self.pool.names
        gap_keys, length_keys = stream_keys(self.seed, names, "gaps"), stream_keys(self.seed, names, "lengths")
        running = stream_keys(self.seed, names, "counts").astype(np.float64) * 2.0**-64
        for stretch in self.stretches():
            share = np.where(self.measured, self.expected(stretch.low, stretch.high), 0.0)
            # accumulate from the running total itself, so that rounding does not depend on the cut
            totals = np.add.accumulate(np.concatenate([running[None, :], share]), axis=0)
            running = totals[-1]
            counts = np.diff(np.floor(totals), axis=0).astype(np.int64)
            yield stretch, self._pieces(counts, stretch.low, gap_keys, length_keys)

    def _pieces(self, counts: Ints, low: int, gap_keys: Words, length_keys: Words) -> Pieces:
        run_window, client = np.nonzero(counts)
        count = counts[run_window, client]
        run_window += low
        window = self.geometry.window[run_window]
        family = self.pool.family[client, window].astype(np.int64)
        order = np.argsort(family, kind="stable")
        run_window, client, count, window, family = (x[order] for x in (run_window, client, count, window, family))
        a, b = np.empty(client.size), np.empty(client.size)
        for code in np.unique(family):
            of = family == code
            a[of], b[of] = self.shapes.parameters(int(code), client[of], window[of], count[of].astype(np.float64))
        number = self.geometry.number[run_window].astype(np.uint64)
        gap_key = words(gap_keys[client], number)
        active = self.shapes.active_share(family, client, window)
        return Pieces(
            client=client.astype(np.int32),
            window=run_window,
            family=family,
            count=count,
            gap_key=gap_key,
            length_key=words(length_keys[client], number),
            a=a,
            b=b,
            phase=uniforms(gap_key, _PHASE),
            start=uniforms(gap_key, _START) * (1.0 - active),
            active=active,
        )
