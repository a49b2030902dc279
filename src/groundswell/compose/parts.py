"""Windows too large for one block: made part by part, without ever holding the whole.

The sum of a piece's gaps must be known before its first request can be placed. One pass over the gaps keeps the
running sum at every chunk's start; a part then makes only the chunks that reach into it. Gaps are functions of their
index, so making them twice gives the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.compose.kernels import accumulate, by_part, place, reach
from groundswell.compose.plan import Pieces
from groundswell.compose.shapes import Shapes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CHUNKS = (16, 512)  # the least and most gaps between running sums
_HELD_ROWS = 1 << 21
_STRIDE = 1 << 18


@dataclass(frozen=True, eq=False)
class Placed:
    """Requests on their windows: share ``u`` of the window, the piece they are ``of``, their ``number`` in it."""

    u: Floats
    of: NDArray[np.int32]
    number: Ints

    def __getitem__(self, rows: Any) -> Placed:
        return Placed(self.u[rows], self.of[rows], self.number[rows])


@dataclass(frozen=True, eq=False)
class Runs:
    """Stretches of pieces' requests to be made: from ``first`` for ``count`` requests, the gaps before summing to
    ``begin``.
    """

    piece: Ints
    first: Ints
    count: Ints
    begin: Floats


def put(pieces: Pieces, runs: Runs, total: Floats, shapes: Shapes, low: float = 0.0, high: float = 2.0) -> Placed:
    """Make the gaps of ``runs`` (sorted by piece) and place their requests; keep those in [low, high)."""
    offset = np.concatenate([[0], np.cumsum(runs.count)])
    rows = int(offset[-1])
    gaps = np.empty(rows)
    family = pieces.family[runs.piece]
    for code in np.unique(family):
        a, b = np.searchsorted(family, [code, code + 1])
        of = runs.piece[a:b]
        shapes.part(int(code)).fill(
            gaps, offset[a : b + 1], pieces.gap_key[of], runs.first[a:b], pieces.a[of], pieces.b[of]
        )
    u, owner, number = np.empty(rows), np.empty(rows, np.int32), np.empty(rows, np.int64)
    n = place(
        gaps, offset, runs.piece, runs.first, runs.begin, total, pieces.phase, pieces.start, pieces.active,
        low, high, u, owner, number,
    )  # fmt: skip
    return Placed(u[:n], owner[:n], number[:n])


def whole(pieces: Pieces, shapes: Shapes) -> Placed:
    """Every request of ``pieces``."""
    runs = Runs(np.arange(pieces.size), np.zeros(pieces.size, np.int64), pieces.count, np.zeros(pieces.size))
    return put(pieces, runs, np.full(pieces.size, np.nan), shapes)


@dataclass(frozen=True, eq=False)
class Held:
    """All requests of some pieces, sorted by the part of the window that they lie in."""

    placed: Placed
    first: Ints  # [parts + 1]

    @classmethod
    def of(cls, pieces: Pieces, which: Ints, parts: int, shapes: Shapes) -> Held:
        """The requests of pieces number ``which``."""
        runs = Runs(which, np.zeros(which.size, np.int64), pieces.count[which], np.zeros(which.size))
        placed = put(pieces, runs, np.full(pieces.size, np.nan), shapes)
        first, order = np.zeros(parts + 1, np.int64), np.empty(placed.u.size, np.int32)
        by_part(placed.u, _edges(parts), first, order)
        return cls(placed[order], first)

    def part(self, k: int) -> Placed:
        """Those in part ``k``."""
        return self.placed[self.first[k] : self.first[k + 1]]


@dataclass(frozen=True, eq=False)
class PartedWindow:
    """One window's pieces, ready to be made in parts.

    The requests of the smallest pieces, up to two million together, are made once and held. Of the others the running
    sums of gaps are kept, at the start of every ``chunk``: about what a part needs of a piece.
    """

    pieces: Pieces
    shapes: Shapes
    parts: int
    chunk: int
    large: Ints  # pieces that are made part by part
    marks: Floats
    mark_edge: Ints  # [large + 1]
    total: Floats  # [P], of the large ones
    held: list[Held]  # all requests of the other pieces

    @classmethod
    def of(cls, pieces: Pieces, parts: int, shapes: Shapes, map_: Callable[..., Iterable[Any]]) -> PartedWindow:
        """Pass over the gaps of ``pieces`` once; ``map_`` may do it on several threads."""
        by_count = np.argsort(pieces.count, kind="stable")
        fits = np.cumsum(pieces.count[by_count]) <= _HELD_ROWS
        few, large = np.sort(by_count[fits]), np.sort(by_count[~fits])
        wanted = float(pieces.count[large].mean()) / parts if large.size else 0.0
        chunk = int(np.clip(2 ** np.ceil(np.log2(max(wanted, 1.0))), *_CHUNKS))
        sums = list(map_(lambda p: _running_sums(pieces, int(p), chunk, shapes), large))
        total = np.full(pieces.size, np.nan)
        total[large] = [end for _, end in sums]
        groups = np.split(few, np.flatnonzero(np.diff(np.cumsum(pieces.count[few]) // _STRIDE)) + 1)
        held = list(map_(lambda group: Held.of(pieces, group, parts, shapes), groups))
        return cls(
            pieces=pieces,
            shapes=shapes,
            parts=parts,
            chunk=chunk,
            large=large,
            marks=np.concatenate([np.empty(0), *(marks for marks, _ in sums)]),
            mark_edge=np.concatenate([[0], np.cumsum([marks.size for marks, _ in sums])]).astype(np.int64),
            total=total,
            held=held,
        )

    def part(self, k: int) -> Placed:
        """The requests of part ``k``."""
        low, high = _edges(self.parts)[k : k + 2]
        some = [held.part(k) for held in self.held]
        if self.large.size:
            some.append(put(self.pieces, self._runs(low, high), self.total, self.shapes, low, high))
        placed = Placed(*(np.concatenate([getattr(p, name) for p in some]) for name in ("u", "of", "number")))
        if self.large.size:  # ties in time go in the order of pieces, as in an undivided window
            return placed[np.argsort(placed.of, kind="stable")]
        return placed

    def _runs(self, low: float, high: float) -> Runs:
        """What of the large pieces reaches into [low, high)."""
        pieces, large = self.pieces, self.large
        first, last = np.zeros((2, large.size), np.int64), np.zeros((2, large.size), np.int64)
        circles = (pieces.phase, pieces.start, pieces.active)
        reach(self.marks, self.mark_edge, large, self.total, *circles, low, high, first, last)
        i, k = np.nonzero((last >= first).T)  # by piece, then along it
        chunk, owner = first[k, i], large[i]
        count = np.minimum((last[k, i] + 1) * self.chunk, pieces.count[owner]) - chunk * self.chunk
        return Runs(owner, chunk * self.chunk, count, self.marks[self.mark_edge[i] + chunk])


def _edges(parts: int) -> Floats:
    """Where parts begin and end, as shares of the window."""
    edges = np.arange(parts + 1) / parts
    edges[-1] = 2.0
    return edges


def _running_sums(pieces: Pieces, p: int, chunk: int, shapes: Shapes) -> tuple[Floats, float]:
    """The running sum of piece ``p``'s gaps at every chunk's start, and after the last gap."""
    count = int(pieces.count[p])
    marks = np.empty((count + chunk - 1) // chunk)
    fill = shapes.part(int(pieces.family[p])).fill
    key, a, b = pieces.gap_key[p : p + 1], pieces.a[p : p + 1], pieces.b[p : p + 1]
    running = 0.0
    for first in range(0, count, _STRIDE):
        gaps = np.empty(min(_STRIDE, count - first))
        fill(gaps, np.array([0, gaps.size]), key, np.array([first]), a, b)
        running = accumulate(gaps, running, chunk, marks[first // chunk :])
    return marks, running
