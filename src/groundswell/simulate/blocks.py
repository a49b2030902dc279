"""Paged memory: blocks that requests hold, and those that are kept for whoever's prompt begins alike.

A prompt's named blocks (equal ids are equal tokens behind equal tokens) can be held by several requests at a time. What
nobody holds any more stays findable until its place is needed, the longest unused first: blocks are put behind all
others when they are given back, a request's last one first, and taken from the front (vLLM 0.19,
``v1/core/kv_cache_manager.py`` and ``block_pool.py``). Blocks without a name are never found, but wait in the same row.
A named block of the workload can be several of the engine's (``name_blocks``), which are found and lost together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import kernel
from groundswell.simulate.state import NOBODY

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@kernel
def blocks_of(settings: Any, tokens: Any) -> Any:
    """How many blocks so many tokens fill, the last perhaps in part."""
    return (tokens + settings.block_tokens - 1) // settings.block_tokens


@kernel
def room(a: Any) -> Any:
    """How many blocks can be had on an instance."""
    return a.free + a.kept


@kernel
def _home(w: Any, key: Any) -> Any:
    return np.int64((np.uint64(key) * _GOLDEN) >> np.uint64(20)) & (w.slot.shape[1] - 1)


@kernel
def _place(w: Any, i: Any, key: Any) -> Any:
    """Where ``key`` is in the table, or would be."""
    mask = w.slot.shape[1] - 1
    place = _home(w, key)
    while w.slot[i, place] != NOBODY and w.nodes[i, w.slot[i, place]].id != key:
        place = (place + 1) & mask
    return place


@kernel
def _forget(w: Any, i: Any, key: Any) -> None:
    """Take ``key`` out of the table; those behind it move up (Knuth, TAOCP 3, 6.4, algorithm R)."""
    mask = w.slot.shape[1] - 1
    hole = _place(w, i, key)
    w.slot[i, hole] = NOBODY
    at = hole
    while True:
        at = (at + 1) & mask
        node = w.slot[i, at]
        if node == NOBODY:
            return
        if ((at - _home(w, w.nodes[i, node].id)) & mask) >= ((at - hole) & mask):
            w.slot[i, hole] = node
            w.slot[i, at] = NOBODY
            hole = at


@kernel
def _append(w: Any, i: Any, node: Any) -> None:
    a, new = w.at[i], w.nodes[i, node]
    new.ahead = a.last_kept
    new.behind = NOBODY
    if a.last_kept == NOBODY:
        a.first_kept = node
    else:
        w.nodes[i, a.last_kept].behind = node
    a.last_kept = node
    a.kept += new.size


@kernel
def _remove(w: Any, i: Any, node: Any) -> None:
    a, old = w.at[i], w.nodes[i, node]
    if old.ahead == NOBODY:
        a.first_kept = old.behind
    else:
        w.nodes[i, old.ahead].behind = old.behind
    if old.behind == NOBODY:
        a.last_kept = old.ahead
    else:
        w.nodes[i, old.behind].ahead = old.ahead
    a.kept -= old.size


@kernel
def _new(w: Any, i: Any, key: Any, size: Any) -> Any:
    a = w.at[i]
    a.spares -= 1
    node = w.spare[i, a.spares]
    new = w.nodes[i, node]
    new.id = key
    new.size = size
    new.users = 0
    return node


@kernel
def _drop(w: Any, i: Any, node: Any) -> None:
    a = w.at[i]
    w.nodes[i, node].id = NOBODY
    w.spare[i, a.spares] = node
    a.spares += 1


@kernel
def _evict(w: Any, i: Any, wanted: Any) -> None:
    """Have ``wanted`` blocks free, from the front of the row; there must be as many."""
    a = w.at[i]
    while a.free < wanted:
        node = a.first_kept
        old = w.nodes[i, node]
        if old.id == NOBODY:
            part = min(np.int64(old.size), wanted - a.free)
            old.size -= part
            a.kept -= part
            a.free += part
            if old.size == 0:
                _remove(w, i, node)
                _drop(w, i, node)
        else:
            a.free += old.size
            _remove(w, i, node)
            _forget(w, i, old.id)
            _drop(w, i, node)


@kernel
def _node(w: Any, i: Any, q: Any, b: Any) -> Any:
    """The node of a request's named block number ``b``, or NOBODY."""
    return w.slot[i, _place(w, i, w.ids[q.names_from + b])]


@kernel
def find(w: Any, settings: Any, i: Any, r: Any) -> Any:
    """(how many of the request's first named blocks are there, how many of them nobody holds). One token at least is
    always computed.

    Whoever holds a block holds those before it, and gives it back before them: where a block is, all before it are, and
    are held by as many or more. So both numbers are found by halving.
    """
    if not settings.caching:
        return 0, 0
    q = w.requests[r]
    tokens = settings.block_tokens * settings.name_blocks
    low, high = np.int64(0), min(np.int64(q.names), (q.prompt + q.made - 1) // tokens)
    while low < high:
        middle = (low + high) // 2
        if _node(w, i, q, middle) == NOBODY:
            high = middle
        else:
            low = middle + 1
    found = low
    low = np.int64(0)
    while low < high:
        middle = (low + high) // 2
        if w.nodes[i, _node(w, i, q, middle)].users == 0:
            high = middle
        else:
            low = middle + 1
    return found, found - low


@kernel
def hold(w: Any, i: Any, r: Any, found: Any) -> None:
    """Request ``r`` holds the first ``found`` of its named blocks, which are there."""
    q = w.requests[r]
    for b in range(found):
        node = _node(w, i, q, b)
        if w.nodes[i, node].users == 0:
            _remove(w, i, node)
        w.nodes[i, node].users += 1
    q.named = found


@kernel
def take(w: Any, i: Any, count: Any) -> None:
    """Take ``count`` blocks; there must be as many."""
    a = w.at[i]
    if a.free < count:
        _evict(w, i, count)
    a.free -= count


@kernel
def name(w: Any, settings: Any, i: Any, r: Any, tokens: Any) -> None:
    """What of the request's named blocks is full with its first ``tokens`` can be found from here on.

    A block that another request has named meanwhile stays that one's; this request's own copy has no name, nor has what
    is behind it: what is held by name is a prompt's beginning.
    """
    q = w.requests[r]
    full = min(np.int64(q.names), tokens // (settings.block_tokens * settings.name_blocks))
    while q.named < full:
        key = w.ids[q.names_from + q.named]
        place = _place(w, i, key)
        if w.slot[i, place] != NOBODY:
            return
        node = _new(w, i, key, settings.name_blocks)
        w.nodes[i, node].users = 1
        w.slot[i, place] = node
        q.named += 1


@kernel
def give_back(w: Any, settings: Any, i: Any, r: Any, tokens: Any) -> None:
    """All blocks of ``r``, which hold ``tokens``, go to the end of the row: first those without a name, then the last
    of the prompt, its first one last."""
    a, q = w.at[i], w.requests[r]
    held = blocks_of(settings, tokens)
    if not settings.caching:
        a.free += held
        return
    plain = held - q.named * settings.name_blocks
    if plain > 0:
        if a.last_kept != NOBODY and w.nodes[i, a.last_kept].id == NOBODY:
            w.nodes[i, a.last_kept].size += plain
            a.kept += plain
        else:
            _append(w, i, _new(w, i, NOBODY, plain))
    for b in range(q.named - 1, -1, -1):
        node = _node(w, i, q, b)
        w.nodes[i, node].users -= 1
        if w.nodes[i, node].users == 0:
            _append(w, i, node)
    q.named = 0
