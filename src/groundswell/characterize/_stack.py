"""The stack of blocks in the order of their last references, as compiled code: what :mod:`_reuse` runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import GOLDEN, compiled, mix

Floats = NDArray[np.float64]

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
_DISTANCE_SHIFT, _DISTANCE_LOWEST, DISTANCES = 45, 1023 << 7, 44 * 128 + 1
_SECONDS_SHIFT, _SECONDS_LOWEST, SECONDS = 47, (1023 - 10) << 5, 42 * 32 + 1
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
def follow(
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
                distances[min(bucket, DISTANCES - 1)] += weight
                exact[0] = t - table[b]["last_s"]
                bucket = max((bits[0] >> _SECONDS_SHIFT) - _SECONDS_LOWEST + 1, 0)
                seconds[min(bucket, SECONDS - 1)] += weight
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


@compiled
def among(ids: Any, level: int) -> Any:
    """Which blocks are followed at ``level``, above 0."""
    out = np.empty(ids.size, np.bool_)
    for i in range(ids.size):
        out[i] = _word(ids[i]) >> np.uint64(64 - level) == 0
    return out


def distance_edges() -> Floats:
    """The least distance of each bucket of ``distances``."""
    return _edges(DISTANCES, _DISTANCE_LOWEST, _DISTANCE_SHIFT)


def seconds_edges() -> Floats:
    """The least seconds of each bucket of ``seconds``."""
    return _edges(SECONDS, _SECONDS_LOWEST, _SECONDS_SHIFT)


def _edges(buckets: int, lowest: int, shift: int) -> Floats:
    edges = ((np.arange(buckets, dtype=np.int64) - 1 + lowest) << shift).view(np.float64)
    edges[0] = 0.0
    return edges
