"""Paged memory: blocks that requests hold, and those that are kept for whoever's prompt begins alike.

A prompt's named blocks (equal ids are equal tokens behind equal tokens) can be held by several requests at a time. What
nobody holds any more stays findable until its place is needed, the longest unused first: blocks are put behind all
others when they are given back, a request's last one first, and taken from the front (vLLM 0.19,
``v1/core/kv_cache_manager.py`` and ``block_pool.py``). Blocks without a name are never found, but wait in the same row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from groundswell.chance import compiled
from groundswell.simulate.state import NOBODY, Ints

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Cache(NamedTuple):
    """The named blocks of all requests, and for each instance what is kept.

    A node is a named block, or a number of blocks without a name that were given back together.
    """

    ids: Ints
    """The ids of all prompts' named blocks, one after the other."""
    slot: Ints
    """[I, H]: the node of an id, at a place that its hash says; NOBODY where there is none."""
    id: Ints
    """[I, M] of each node; NOBODY for one without a name."""
    size: Ints
    """[I, M]: of how many blocks."""
    users: Ints
    """[I, M]: how many requests hold it."""
    ahead: Ints
    behind: Ints
    """[I, M]: the nodes next to it in the row of those that nobody holds."""
    first: Ints
    last: Ints
    """[I]: the ends of that row."""
    spare: Ints
    """[I, M]: nodes that are not in use, as a stack of :attr:`spares`."""
    spares: Ints
    kept: Ints
    """[I]: blocks in that row."""


def cache_of(instances: int, blocks: int, ids: Ints) -> Cache:
    """Nothing kept; for engines without caching, ``ids`` is empty."""
    nodes = 2 * blocks + 2 if ids.size else 1
    places = 1 << max(int(np.ceil(np.log2(max(2 * blocks, 2)))), 1) if ids.size else 1

    def ints(shape: tuple[int, ...], value: int = 0) -> Ints:
        return np.full(shape, value, np.int64)

    pair = (instances, nodes)
    spare = np.tile(np.arange(nodes, dtype=np.int64), (instances, 1))
    return Cache(
        np.ascontiguousarray(ids, np.int64),
        ints((instances, places), NOBODY),
        ints(pair, NOBODY),
        ints(pair),
        ints(pair),
        ints(pair, NOBODY),
        ints(pair, NOBODY),
        ints((instances,), NOBODY),
        ints((instances,), NOBODY),
        spare,
        ints((instances,), nodes),
        ints((instances,)),
    )


@compiled
def _place(cache: Any, i: Any, key: Any) -> Any:
    """Where ``key`` is in the table, or would be."""
    mask = cache.slot.shape[1] - 1
    place = np.int64((np.uint64(key) * _GOLDEN) >> np.uint64(20)) & mask
    while cache.slot[i, place] != NOBODY and cache.id[i, cache.slot[i, place]] != key:
        place = (place + 1) & mask
    return place


@compiled
def _forget(cache: Any, i: Any, key: Any) -> None:
    """Take ``key`` out of the table; those behind it move up (Knuth, TAOCP 3, 6.4, algorithm R)."""
    mask = cache.slot.shape[1] - 1
    hole = _place(cache, i, key)
    cache.slot[i, hole] = NOBODY
    at = hole
    while True:
        at = (at + 1) & mask
        node = cache.slot[i, at]
        if node == NOBODY:
            return
        home = np.int64((np.uint64(cache.id[i, node]) * _GOLDEN) >> np.uint64(20)) & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            cache.slot[i, hole] = node
            cache.slot[i, at] = NOBODY
            hole = at


@compiled
def _append(cache: Any, i: Any, node: Any) -> None:
    cache.ahead[i, node] = cache.last[i]
    cache.behind[i, node] = NOBODY
    if cache.last[i] == NOBODY:
        cache.first[i] = node
    else:
        cache.behind[i, cache.last[i]] = node
    cache.last[i] = node
    cache.kept[i] += cache.size[i, node]


@compiled
def _remove(cache: Any, i: Any, node: Any) -> None:
    ahead, behind = cache.ahead[i, node], cache.behind[i, node]
    if ahead == NOBODY:
        cache.first[i] = behind
    else:
        cache.behind[i, ahead] = behind
    if behind == NOBODY:
        cache.last[i] = ahead
    else:
        cache.ahead[i, behind] = ahead
    cache.kept[i] -= cache.size[i, node]


@compiled
def _new(cache: Any, i: Any, key: Any, size: Any) -> Any:
    cache.spares[i] -= 1
    node = cache.spare[i, cache.spares[i]]
    cache.id[i, node] = key
    cache.size[i, node] = size
    cache.users[i, node] = 0
    return node


@compiled
def _drop(cache: Any, i: Any, node: Any) -> None:
    cache.id[i, node] = NOBODY
    cache.spare[i, cache.spares[i]] = node
    cache.spares[i] += 1


@compiled
def _evict(at: Any, cache: Any, i: Any, wanted: Any) -> None:
    """Have ``wanted`` blocks free, from the front of the row; there must be as many."""
    while at.free[i] < wanted:
        node = cache.first[i]
        if cache.id[i, node] == NOBODY:
            part = min(cache.size[i, node], wanted - at.free[i])
            cache.size[i, node] -= part
            cache.kept[i] -= part
            at.free[i] += part
            if cache.size[i, node] == 0:
                _remove(cache, i, node)
                _drop(cache, i, node)
        else:
            _remove(cache, i, node)
            _forget(cache, i, cache.id[i, node])
            _drop(cache, i, node)
            at.free[i] += 1


@compiled
def room(at: Any, cache: Any, i: Any) -> Any:
    """How many blocks can be had."""
    return at.free[i] + cache.kept[i]


@compiled
def find(requests: Any, cache: Any, settings: Any, i: Any, r: Any) -> Any:
    """(how many of the prompt's first blocks are there, how many of them nobody holds). One token at least is always
    computed."""
    if not settings.caching:
        return 0, 0
    begin, end = requests.blocks_from[r], requests.blocks_from[r + 1]
    most = (requests.prompt[r] + requests.made[r] - 1) // settings.block_tokens
    found, unused = 0, 0
    while begin + found < end and found < most:
        node = cache.slot[i, _place(cache, i, cache.ids[begin + found])]
        if node == NOBODY:
            break
        unused += cache.users[i, node] == 0
        found += 1
    return found, unused


@compiled
def hold(requests: Any, cache: Any, i: Any, r: Any, found: Any) -> None:
    """Request ``r`` holds the first ``found`` of its named blocks, which are there."""
    begin = requests.blocks_from[r]
    for b in range(found):
        node = cache.slot[i, _place(cache, i, cache.ids[begin + b])]
        if cache.users[i, node] == 0:
            _remove(cache, i, node)
        cache.users[i, node] += 1
    requests.held[r] = found
    requests.named[r] = found


@compiled
def take(at: Any, cache: Any, i: Any, count: Any) -> None:
    """Take ``count`` blocks; there must be as many."""
    if at.free[i] < count:
        _evict(at, cache, i, count)
    at.free[i] -= count


@compiled
def name(requests: Any, cache: Any, settings: Any, i: Any, r: Any, tokens: Any) -> None:
    """What of the prompt's named blocks is full with its first ``tokens`` can be found from here on.

    A block that another request has named meanwhile stays that one's; this request's own copy has no name.
    """
    begin, end = requests.blocks_from[r], requests.blocks_from[r + 1]
    full = min(tokens // settings.block_tokens, end - begin)
    while requests.named[r] < full:
        key = cache.ids[begin + requests.named[r]]
        place = _place(cache, i, key)
        if cache.slot[i, place] != NOBODY:
            return  # those behind it are not named either: what is held by name is a prompt's beginning
        node = _new(cache, i, key, 1)
        cache.users[i, node] = 1
        cache.slot[i, place] = node
        requests.named[r] += 1


@compiled
def give_back(requests: Any, at: Any, cache: Any, i: Any, r: Any, caching: Any) -> None:
    """All blocks of ``r`` go to the end of the row, the last of the prompt in front."""
    if not caching:
        at.free[i] += requests.held[r]
    else:
        plain = requests.held[r] - requests.named[r]
        if plain > 0:
            if cache.last[i] != NOBODY and cache.id[i, cache.last[i]] == NOBODY:
                cache.size[i, cache.last[i]] += plain
                cache.kept[i] += plain
            else:
                _append(cache, i, _new(cache, i, NOBODY, plain))
        begin = requests.blocks_from[r]
        for b in range(requests.named[r] - 1, -1, -1):
            node = cache.slot[i, _place(cache, i, cache.ids[begin + b])]
            cache.users[i, node] -= 1
            if cache.users[i, node] == 0:
                _append(cache, i, node)
    requests.held[r] = 0
    requests.named[r] = 0
