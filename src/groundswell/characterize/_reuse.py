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

from groundswell.chance import GOLDEN, compiled, mix
from groundswell.stats.batches import BASE_S, BatchSums
from groundswell.stats.batches import MOST as STRETCHES

MOST = 2**18
"""As many blocks are followed at most. Their number is then within 1.4 % (five standard errors). At level l those
are followed whose hash begins with l zero bits, and a hit of one counts as 2**l hits."""
BLOCK = np.dtype(
    [
        ("id", np.int64), ("count", np.int64),
        ("first_s", np.float64), ("first_talk", np.uint64), ("first_client", np.uint32), ("place", np.int32),
        ("last_s", np.float64), ("last_talk", np.uint64), ("last_client", np.uint32), ("slot", np.int32),
    ]
)  # fmt: skip
"""A block that is followed: its references; the first one, which was the request's block number ``place``; the last
one, and its rank among all blocks' last ones. It fills one line of the cache."""

# Buckets are the first bits of a double, as in a Histogram. Distances: one for each whole number up to 256, then 128 to
# a doubling. Seconds: 32 to a doubling, from 1 ms on.
_DISTANCE_SHIFT, _DISTANCE_LOWEST, _DISTANCES = 45, 1023 << 7, 44 * 128 + 1
_SECONDS_SHIFT, _SECONDS_LOWEST, _SECONDS = 47, (1023 - 10) << 5, 42 * 32 + 1
HITS, SAME_TALK, SAME_CLIENT = range(3)


@compiled
def _word(block: Any) -> Any:
    """A random word for a block. ``mix`` alone would leave block 0, often the one that all prompts share, all zeros."""
    return mix(np.uint64(block) + GOLDEN)


@compiled
def _ones(word: Any) -> Any:
    """How many bits of ``word`` are set (Warren, "Hacker's Delight", 5-1)."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


# Blocks stand in slots in the order of their last references. Which slots are taken is a bit each; a Fenwick tree over
# words of 64 slots counts them, and fits into the nearest cache.


@compiled
def _flip(slot: Any, by: Any, taken: Any, tree: Any) -> Any:
    """Take the slot (``by`` 1) or leave it (``by`` -1)."""
    word = slot >> 6
    taken[word] ^= np.uint64(1) << np.uint64(slot & 63)
    node = word + 1
    while node < tree.size:
        tree[node] += by
        node += node & -node


@compiled
def _upto(slot: Any, taken: Any, tree: Any) -> Any:
    """How many slots are taken from the first one to ``slot``."""
    node = slot >> 6
    count = _ones(taken[node] << np.uint64(63 - (slot & 63)))
    while node > 0:
        count += tree[node]
        node &= node - 1
    return count


@compiled
def _compact(used: Any, table: Any, owner: Any, taken: Any, tree: Any) -> Any:
    """Move all blocks to the first slots, in their order; how many there are."""
    n = 0
    for slot in range(used):
        if taken[slot >> 6] >> np.uint64(slot & 63) & np.uint64(1):
            b = owner[slot]
            owner[n] = b
            table[b]["slot"] = n
            n += 1
    taken[:], tree[:] = 0, 0
    for slot in range(n):
        _flip(slot, 1, taken, tree)
    return n


@compiled
def _index(table: Any, known: Any, size: Any) -> Any:
    """Where the first ``known`` blocks are, by hash with linear probing; -1 where nothing is."""
    index = np.full(size, -1, np.int32)
    mask = np.uint64(size - 1)
    for b in range(known):
        h = _word(table[b]["id"]) & mask
        while index[h] >= 0:
            h = (h + np.uint64(1)) & mask
        index[h] = b
    return index


@compiled
def _follow(
    ids: Any, ends: Any, place: Any, at_s: Any, talk: Any, client: Any, level: int, table: Any, known: int,
    distances: Any, seconds: Any, shares: Any, width_s: float, first: int, where: Any,
) -> Any:  # fmt: skip
    """Run references through ``table``, whose first ``known`` blocks there are already, and count the hits.

    Request i has ``ids[ends[i - 1]:ends[i]]``, of which the first is its block number ``place[i]``. ``where[j]`` is
    filled with the row of reference j. Gives the number of blocks there are then, None if the table has too few rows.
    """
    size = 1024
    while size < 4 * known:
        size *= 2
    index = _index(table, known, size)
    slots = (2 * table.size // 64 + 65) * 64
    owner, taken = np.empty(slots, np.int32), np.zeros(slots >> 6, np.uint64)
    tree = np.zeros((slots >> 6) + 1, np.int32)
    for b in range(known):
        owner[table[b]["slot"]] = b
    for used in range(known):
        _flip(used, 1, taken, tree)
    used = known
    exact = np.empty(1)
    bits = exact.view(np.int64)
    weight, shift = np.float64(1 << level), np.uint64(64 - level)
    begin = 0
    for i in range(ends.size):
        t = at_s[i]
        stretch = np.int64(t // width_s) - first
        for j in range(begin, ends[i]):
            word = _word(ids[j])
            if level and word >> shift:
                continue
            mask = np.uint64(index.size - 1)
            h = word & mask
            while index[h] >= 0 and table[index[h]]["id"] != ids[j]:
                h = (h + np.uint64(1)) & mask
            b = index[h]
            if used == slots or used > 4 * known + 4096:  # few slots stay in the nearest cache
                used = _compact(used, table, owner, taken, tree)
            if b < 0:
                if known == table.size:
                    return None
                b = known
                index[h] = b
                table[b]["id"], table[b]["count"] = ids[j], 0
                table[b]["first_s"], table[b]["first_talk"], table[b]["first_client"] = t, talk[i], client[i]
                table[b]["place"] = place[i] + j - begin
                known += 1
                if 2 * known > index.size:
                    index = _index(table, known, 2 * index.size)
            else:
                slot = table[b]["slot"]
                exact[0] = (known - _upto(slot, taken, tree)) << level
                bucket = max((bits[0] >> _DISTANCE_SHIFT) - _DISTANCE_LOWEST + 1, 0)
                distances[min(bucket, _DISTANCES - 1)] += weight
                exact[0] = t - table[b]["last_s"]
                bucket = max((bits[0] >> _SECONDS_SHIFT) - _SECONDS_LOWEST + 1, 0)
                seconds[min(bucket, _SECONDS - 1)] += weight
                shares[stretch, HITS] += weight
                if talk[i] != 0 and table[b]["last_talk"] == talk[i]:
                    shares[stretch, SAME_TALK] += weight
                if table[b]["last_client"] == client[i]:
                    shares[stretch, SAME_CLIENT] += weight
                _flip(slot, -1, taken, tree)
            owner[used] = b
            _flip(used, 1, taken, tree)
            table[b]["slot"] = used
            used += 1
            table[b]["count"] += 1
            table[b]["last_s"], table[b]["last_talk"], table[b]["last_client"] = t, talk[i], client[i]
            if where.size:
                where[j] = b
        begin = ends[i]
    _compact(used, table, owner, taken, tree)
    return known


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
    distances: NDArray[np.float64] = field(default_factory=lambda: np.zeros(_DISTANCES))
    seconds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(_SECONDS))
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
            known = _follow(
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
        table = self.table[_among(self.table["id"], level)]
        _rank(table, table["slot"])
        return table


def distance_edges() -> NDArray[np.float64]:
    """The least distance of each bucket of ``distances``."""
    return _edges(_DISTANCES, _DISTANCE_LOWEST, _DISTANCE_SHIFT)


def seconds_edges() -> NDArray[np.float64]:
    """The least seconds of each bucket of ``seconds``."""
    return _edges(_SECONDS, _SECONDS_LOWEST, _SECONDS_SHIFT)


def _edges(buckets: int, lowest: int, shift: int) -> NDArray[np.float64]:
    edges = ((np.arange(buckets, dtype=np.int64) - 1 + lowest) << shift).view(np.float64)
    edges[0] = 0.0
    return edges


@compiled
def _among(ids: Any, level: int) -> Any:
    """Which blocks are followed at ``level``, above 0."""
    out = np.empty(ids.size, np.bool_)
    for i in range(ids.size):
        out[i] = _word(ids[i]) >> np.uint64(64 - level) == 0
    return out


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
