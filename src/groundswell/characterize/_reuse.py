"""How long ago each block was last seen, in seconds and in other blocks: LRU stack distances of a stream, that add up.

A reference's stack distance is the number of different blocks since the last one to the same block; a cache of x blocks
that forgets the least recently used hits exactly the distances below x (Mattson et al., "Evaluation techniques for
storage hierarchies", 1970). Two parts of a stream add up as in PARDA (Niu et al., IPDPS 2012): the first references of
the later part run through the order in which the earlier part left its blocks. Where there would be too many blocks, a
share of them is followed, chosen by hash, and distances are scaled (SHARDS, Waldspurger et al., FAST 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.characterize._stack import BLOCK, DISTANCES, SECONDS, among, follow
from groundswell.stats.batches import BASE_S, BatchSums
from groundswell.stats.batches import MOST as STRETCHES

MOST = 2**18
"""As many blocks are followed at most. Their number is then within 1.4 % (five standard errors). At level l those
are followed whose hash begins with l zero bits, and a hit of one counts as 2**l hits."""


@dataclass(frozen=True, eq=False)
class Requests:
    """Requests in order of time, and the blocks they refer to: request i to ``ids[ends[i - 1]:ends[i]]``."""

    ids: NDArray[np.int64]
    ends: NDArray[np.int64]
    place: NDArray[np.int32]
    at_s: NDArray[np.float64]
    talk: NDArray[np.uint64]
    """The conversation, 0 for none."""
    client: NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Reuse:
    """The blocks that are followed, in order of their first references, and the hits so far.

    ``distances`` and ``seconds`` estimate the hits by bucket, ``shares`` over time. Hits among the requests of one part
    were counted at that part's level: they know more than the blocks that are followed still.
    """

    level: int = 0
    table: Any = field(default_factory=lambda: np.empty(0, BLOCK))
    distances: NDArray[np.float64] = field(default_factory=lambda: np.zeros(DISTANCES))
    seconds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(SECONDS))
    shares: BatchSums = field(default_factory=BatchSums)

    @classmethod
    def of(cls, requests: Requests) -> Reuse:
        """The blocks of some requests, and how they were reused among these."""
        return cls()._followed(requests, 0, np.empty(0, np.int64))

    def __add__(self, later: Reuse) -> Reuse:
        level = max(self.level, later.level)
        while True:
            a, b = self._thinned(level), later._thinned(level)
            firsts = Requests(
                b["id"].copy(), np.arange(1, b.size + 1), b["place"], b["first_s"], b["first_talk"], b["first_client"]
            )
            where = np.empty(b.size, np.int64)
            joined = Reuse(level, a)._followed(firsts, level, where)
            if joined.level == level:
                break
            level = joined.level
        _go_on(joined.table, where, b)
        return Reuse(
            level,
            joined.table,
            self.distances + later.distances + joined.distances,
            self.seconds + later.seconds + joined.seconds,
            self.shares + later.shares + joined.shares,
        )

    def _followed(self, requests: Requests, level: int, where: NDArray[np.int64]) -> Reuse:
        """This table after ``requests``, at ``level`` or the next with room for all blocks, and their hits alone."""
        width_s, first, stretches = _stretches(requests.at_s)
        while True:
            before = self._thinned(level)
            table = np.empty(min(MOST, before.size + requests.ids.size), BLOCK)
            table[: before.size] = before
            hits = Reuse(level, table)
            sums = np.zeros((stretches, 3))
            known = follow(
                requests.ids, requests.ends, requests.place, requests.at_s, requests.talk, requests.client, level,
                table, before.size, hits.distances, hits.seconds, sums, width_s, first, where,
            )  # fmt: skip
            if known is not None:
                break
            level += 1
        shares = BatchSums(width_s, first, sums)
        return Reuse(level, table[:known].copy(), hits.distances, hits.seconds, shares)

    def _thinned(self, level: int) -> Any:
        """The blocks that are followed at ``level``."""
        if level <= self.level:
            return self.table
        table = self.table[among(self.table["id"], level)]
        _rank(table, table["slot"])
        return table


def _go_on(table: Any, where: NDArray[np.int64], later: Any) -> None:
    """Let the blocks at ``where`` in ``table``, which saw the first references of ``later``, see its last ones too."""
    table["count"][where] += later["count"] - 1
    for name in ("last_s", "last_talk", "last_client"):
        table[name][where] = later[name]
    rank = table["slot"].astype(np.int64)
    rank[where] = table.size + later["slot"]
    _rank(table, rank)


def _rank(table: Any, last: NDArray[np.integer[Any]]) -> None:
    """Give the blocks of ``table`` their ranks by ``last``."""
    table["slot"][np.argsort(last)] = np.arange(table.size)


def _stretches(at_s: NDArray[np.float64]) -> tuple[float, int, int]:
    """Width, first and number of the stretches of :class:`BatchSums` that hold times which rise."""
    width_s = BASE_S
    if not at_s.size:
        return width_s, 0, 0
    while at_s[-1] // width_s - at_s[0] // width_s >= STRETCHES:
        width_s *= 2.0
    first = int(at_s[0] // width_s)
    return width_s, first, int(at_s[-1] // width_s) - first + 1
