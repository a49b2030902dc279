"""Paged memory: blocks that requests hold, and those that are kept for whoever's prompt begins alike.

A prompt's named blocks (equal ids are equal tokens behind equal tokens) can be held by several requests at a time. What
nobody holds any more stays findable until its place is needed, the longest unused first: blocks are put behind all
others when they are given back, a request's last one first, and taken from the front (vLLM 0.19,
``v1/core/kv_cache_manager.py`` and ``block_pool.py``). Blocks without a name wait in the same row, and are found by
nobody but whoever was preempted: its own, from the first on, as far as their places were not needed meanwhile.
A named block of the workload can be several of the engine's (``name_blocks``), which are found and lost together.
How they are kept, :mod:`groundswell.simulate.segments` has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import kernel
from groundswell.simulate.segments import (
    alike_from,
    cut_off,
    evict,
    new_node,
    put_behind,
    remember,
    remove,
    segment_of,
    spare,
)
from groundswell.simulate.state import NOBODY


@kernel
def blocks_of(settings: Any, tokens: Any) -> Any:
    """How many blocks so many tokens fill, the last perhaps in part."""
    return (tokens + settings.block_tokens - 1) // settings.block_tokens


@kernel
def room(a: Any) -> Any:
    """How many blocks can be had on an instance."""
    return a.free + a.kept


@kernel
def find(w: Any, settings: Any, i: Any, r: Any) -> Any:
    """(how many of the request's first named blocks are there, how many of them nobody holds). One token at least is
    always computed."""
    found, unused = np.int64(0), np.int64(0)
    if not settings.caching:
        return found, unused
    q = w.requests[r]
    most = min(np.int64(q.names), (q.prompt + q.made - 1) // (settings.block_tokens * settings.name_blocks))
    while found < most:
        node = segment_of(w, i, q, found)
        if node == NOBODY:
            break
        alike = alike_from(w, i, q, found, most, node)
        found += alike  # what comes next may be another segment: this one can have grown since that one was named
        if w.nodes[i, node].users == 0:
            unused += alike
    return found, unused


@kernel
def hold(w: Any, i: Any, r: Any, found: Any) -> None:
    """Request ``r`` holds the first ``found`` of its named blocks, which are there."""
    q = w.requests[r]
    q.tip = NOBODY
    q.named = found
    begin = np.int64(0)
    while begin < found:
        node = segment_of(w, i, q, begin)
        alike = alike_from(w, i, q, begin, found, node)
        if alike < w.nodes[i, node].size:
            node = cut_off(w, i, node, alike)
        held = w.nodes[i, node]
        if held.users == 0:
            remove(w, i, node)
        held.users += 1
        held.parent = q.tip  # the one before it may have grown or been cut since
        q.tip = node
        begin += alike


@kernel
def left(w: Any, i: Any, r: Any, found: Any) -> Any:
    """How many blocks the request left behind when it was preempted, and are still there, behind its first ``found``
    named ones."""
    q = w.requests[r]
    return np.int64(w.nodes[i, q.left].size) if q.left != NOBODY and q.left_from == found else np.int64(0)


@kernel
def come_back(w: Any, i: Any, r: Any, found: Any) -> None:
    """Request ``r`` holds again what it left behind its first ``found`` named blocks."""
    q = w.requests[r]
    if q.left == NOBODY:
        return
    if q.left_from == found:
        remove(w, i, q.left)
        spare(w, i, q.left)
    else:
        w.nodes[i, q.left].parent = NOBODY
    q.left = NOBODY


@kernel
def take(w: Any, i: Any, count: Any) -> None:
    """Take ``count`` blocks; there must be as many."""
    a = w.at[i]
    if a.free < count:
        evict(w, i, count)
    a.free -= count


@kernel
def name(w: Any, settings: Any, i: Any, r: Any, tokens: Any) -> None:
    """What of the request's named blocks is full with its first ``tokens`` can be found from here on.

    Where another request has named the next of them meanwhile, that one stays found; this request's own copy has no
    name, nor has what is behind it: what is held by name is a prompt's beginning.
    """
    q = w.requests[r]
    full = min(np.int64(q.names), tokens // (settings.block_tokens * settings.name_blocks))
    if full <= q.named or segment_of(w, i, q, np.int64(q.named)) != NOBODY:
        return
    new, begin = full - q.named, q.names_from + q.named
    mine = q.tip != NOBODY and w.nodes[i, q.tip].users == 1
    if mine and w.nodes[i, q.tip].names_from + w.nodes[i, q.tip].size == begin:
        w.nodes[i, q.tip].size += new
    else:
        q.tip = new_node(w, i, begin, new, settings.name_blocks, q.tip, np.int64(1))
        remember(w, i, q.tip)
    q.named = full


@kernel
def give_back(w: Any, settings: Any, i: Any, r: Any, tokens: Any) -> None:
    """All blocks of ``r``, which hold ``tokens``, go to the end of the row: first those without a name, then the last
    of the prompt, its first one last."""
    _give_back(w, settings, i, r, tokens, np.int64(0))


@kernel
def leave_behind(w: Any, settings: Any, i: Any, r: Any, tokens: Any) -> None:
    """As :func:`give_back`, for a request that comes back to those that are full, if its engine lets it."""
    own = tokens // settings.block_tokens - w.requests[r].named * settings.name_blocks
    _give_back(w, settings, i, r, tokens, own if settings.resuming else np.int64(0))


@kernel
def _give_back(w: Any, settings: Any, i: Any, r: Any, tokens: Any, own: Any) -> None:
    a, q = w.at[i], w.requests[r]
    held = blocks_of(settings, tokens)
    if not (settings.caching or settings.resuming):
        a.free += held
        return
    plain = held - q.named * settings.name_blocks - own
    if plain > 0:
        last = a.last_kept
        if last != NOBODY and w.nodes[i, last].names_from == NOBODY and w.nodes[i, last].parent == NOBODY:
            w.nodes[i, last].size += plain
            a.kept += plain
        else:
            put_behind(w, i, new_node(w, i, NOBODY, plain, np.int64(1), NOBODY, np.int64(0)), last)
    if own > 0:
        q.left = new_node(w, i, NOBODY, own, np.int64(1), r, np.int64(0))
        q.left_from = q.named
        put_behind(w, i, q.left, a.last_kept)
    node = q.tip
    while node != NOBODY:
        old = w.nodes[i, node]
        old.users -= 1
        if old.users == 0:
            put_behind(w, i, node, a.last_kept)
        node = old.parent
    q.named = 0
    q.tip = NOBODY


@kernel
def forget_all(w: Any, i: Any) -> None:
    """Nothing is held or kept on instance ``i``."""
    a = w.at[i]
    a.free = a.blocks
    a.kept = 0
    a.first_kept = NOBODY
    a.last_kept = NOBODY
    for place in range(w.slot.shape[1]):
        w.slot[i, place].node = 0
    for node in range(a.nodes):
        w.nodes[i, node].names_from = NOBODY
    a.nodes = 0
    a.spares = 0
