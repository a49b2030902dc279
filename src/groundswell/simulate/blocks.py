"""Paged memory: blocks that requests hold, and those that are kept for whoever's prompt begins alike.

A prompt's named blocks (equal ids are equal tokens behind equal tokens) can be held by several requests at a time. What
nobody holds any more stays findable until its place is needed, the longest unused first: blocks are put behind all
others when they are given back, a request's last one first, and taken from the front (vLLM 0.19,
``v1/core/kv_cache_manager.py`` and ``block_pool.py``). Blocks without a name wait in the same row, and are found by
nobody but whoever was preempted: its own, from the first on, as far as their places were not needed meanwhile.
A named block of the workload can be several of the engine's (``name_blocks``), which are found and lost together.

**Segments.** Whoever holds a block by name holds those before it, and gives it back before them. So where a block is,
all before it are, are held by as many or more, and were used later. Blocks that were named together, as a rule a whole
turn of a conversation, are therefore one node, a segment: a part of ``World.ids``, of which only the first id is in the
table of names, and which hangs from the segment before it, as in SGLang's radix tree (arXiv 2312.07104). It is cut in
two where somebody's prompt leaves it half-way, and loses its last blocks first.
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
    while w.slot[i, place].node != 0 and w.slot[i, place].id != key:
        place = (place + 1) & mask
    return place


@kernel
def _remember(w: Any, i: Any, node: Any) -> None:
    """The first id of ``node`` leads to it."""
    key = w.ids[w.nodes[i, node].names_from]
    slot = w.slot[i, _place(w, i, key)]
    slot.id = key
    slot.node = node + 1


@kernel
def _forget(w: Any, i: Any, key: Any) -> None:
    """Take ``key`` out of the table; those behind it move up (Knuth, TAOCP 3, 6.4, algorithm R)."""
    mask = w.slot.shape[1] - 1
    hole = _place(w, i, key)
    w.slot[i, hole].node = 0
    at = hole
    while True:
        at = (at + 1) & mask
        slot = w.slot[i, at]
        if slot.node == 0:
            return
        if ((at - _home(w, slot.id)) & mask) >= ((at - hole) & mask):
            w.slot[i, hole].id = slot.id
            w.slot[i, hole].node = slot.node
            slot.node = 0
            hole = at


@kernel
def _put_behind(w: Any, i: Any, node: Any, ahead: Any) -> None:
    """``node`` stands behind ``ahead`` in the row of those that nobody holds; NOBODY: in front of all."""
    a, new = w.at[i], w.nodes[i, node]
    behind = a.first_kept if ahead == NOBODY else w.nodes[i, ahead].behind
    new.ahead = ahead
    new.behind = behind
    if ahead == NOBODY:
        a.first_kept = node
    else:
        w.nodes[i, ahead].behind = node
    if behind == NOBODY:
        a.last_kept = node
    else:
        w.nodes[i, behind].ahead = node
    a.kept += new.size * new.unit


@kernel
def _remove(w: Any, i: Any, node: Any) -> None:
    """``node`` leaves the row."""
    a, old = w.at[i], w.nodes[i, node]
    if old.ahead == NOBODY:
        a.first_kept = old.behind
    else:
        w.nodes[i, old.ahead].behind = old.behind
    if old.behind == NOBODY:
        a.last_kept = old.ahead
    else:
        w.nodes[i, old.behind].ahead = old.ahead
    a.kept -= old.size * old.unit


@kernel
def _new(w: Any, i: Any, names_from: Any, size: Any, unit: Any, parent: Any, users: Any) -> Any:
    a = w.at[i]
    if a.spares > 0:
        a.spares -= 1
        node = w.spare[i, a.spares]
    else:
        node = a.nodes
        a.nodes += 1
    new = w.nodes[i, node]
    new.names_from = names_from
    new.size = size
    new.unit = unit
    new.parent = parent
    new.users = users
    return node


@kernel
def _evict(w: Any, i: Any, wanted: Any) -> None:
    """Have ``wanted`` blocks free, from the front of the row; there must be as many."""
    a = w.at[i]
    while a.free < wanted:
        node = a.first_kept
        old = w.nodes[i, node]
        part = min(old.size, (wanted - a.free + old.unit - 1) // old.unit)
        old.size -= part
        a.kept -= part * old.unit
        a.free += part * old.unit
        if old.size == 0:
            _remove(w, i, node)
            if old.names_from != NOBODY:
                _forget(w, i, w.ids[old.names_from])
            elif old.parent != NOBODY:
                w.requests[old.parent].left = NOBODY
            _spare(w, i, node)


@kernel
def _spare(w: Any, i: Any, node: Any) -> None:
    a = w.at[i]
    w.nodes[i, node].names_from = NOBODY
    w.spare[i, a.spares] = node
    a.spares += 1


@kernel
def _alike(w: Any, i: Any, q: Any, begin: Any, end: Any, node: Any) -> Any:
    """How many of a request's named blocks from ``begin`` on and before ``end`` are those of a segment with the same
    first one."""
    mine, its = q.names_from + begin, w.nodes[i, node].names_from
    most = min(w.nodes[i, node].size, end - begin)
    if w.ids[mine + most - 1] == w.ids[its + most - 1]:
        return most
    low, high = np.int64(1), most - 1
    while low < high:
        middle = (low + high + 1) // 2
        if w.ids[mine + middle - 1] == w.ids[its + middle - 1]:
            low = middle
        else:
            high = middle - 1
    return low


@kernel
def _segment(w: Any, i: Any, q: Any, begin: Any) -> Any:
    """The segment that begins with a request's named block number ``begin``, or NOBODY."""
    return w.slot[i, _place(w, i, w.ids[q.names_from + begin])].node - 1


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
        node = _segment(w, i, q, found)
        if node == NOBODY:
            break
        alike = _alike(w, i, q, found, most, node)
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
        node = _segment(w, i, q, begin)
        alike = _alike(w, i, q, begin, found, node)
        if alike < w.nodes[i, node].size:
            node = _cut_off(w, i, node, alike)
        held = w.nodes[i, node]
        if held.users == 0:
            _remove(w, i, node)
        held.users += 1
        held.parent = q.tip  # the one before it may have grown or been cut since
        q.tip = node
        begin += alike


@kernel
def _cut_off(w: Any, i: Any, node: Any, size: Any) -> Any:
    """The first ``size`` blocks of a segment as a segment of their own. The rest stays what those who hold it know."""
    rest = w.nodes[i, node]
    front = _new(w, i, rest.names_from, size, rest.unit, rest.parent, rest.users)
    rest.names_from += size
    rest.size -= size
    rest.parent = front
    _remember(w, i, node)
    slot = w.slot[i, _place(w, i, w.ids[w.nodes[i, front].names_from])]
    slot.node = front + 1
    if rest.users == 0:
        w.at[i].kept -= size * rest.unit
        _put_behind(w, i, front, node)
    return front


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
        _remove(w, i, q.left)
        _spare(w, i, q.left)
    else:
        w.nodes[i, q.left].parent = NOBODY
    q.left = NOBODY


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

    Where another request has named the next of them meanwhile, that one stays found; this request's own copy has no
    name, nor has what is behind it: what is held by name is a prompt's beginning.
    """
    q = w.requests[r]
    full = min(np.int64(q.names), tokens // (settings.block_tokens * settings.name_blocks))
    if full <= q.named or _segment(w, i, q, np.int64(q.named)) != NOBODY:
        return
    new, begin = full - q.named, q.names_from + q.named
    mine = q.tip != NOBODY and w.nodes[i, q.tip].users == 1
    if mine and w.nodes[i, q.tip].names_from + w.nodes[i, q.tip].size == begin:
        w.nodes[i, q.tip].size += new
    else:
        q.tip = _new(w, i, begin, new, settings.name_blocks, q.tip, np.int64(1))
        _remember(w, i, q.tip)
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
            _put_behind(w, i, _new(w, i, NOBODY, plain, np.int64(1), NOBODY, np.int64(0)), last)
    if own > 0:
        q.left = _new(w, i, NOBODY, own, np.int64(1), r, np.int64(0))
        q.left_from = q.named
        _put_behind(w, i, q.left, a.last_kept)
    node = q.tip
    while node != NOBODY:
        old = w.nodes[i, node]
        old.users -= 1
        if old.users == 0:
            _put_behind(w, i, node, a.last_kept)
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
