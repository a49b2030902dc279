"""Kept blocks in segments, and the row in which they wait for somebody to need their place.

Whoever holds a block by name holds those before it, and gives it back before them. So where a block is,
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
def remember(w: Any, i: Any, node: Any) -> None:
    """The first id of ``node`` leads to it."""
    key = w.ids[w.nodes[i, node].names_from]
    slot = w.slot[i, _place(w, i, key)]
    slot.id = key
    slot.node = node + 1


@kernel
def forget(w: Any, i: Any, key: Any) -> None:
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
def put_behind(w: Any, i: Any, node: Any, ahead: Any) -> None:
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
def remove(w: Any, i: Any, node: Any) -> None:
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
def new_node(w: Any, i: Any, names_from: Any, size: Any, unit: Any, parent: Any, users: Any) -> Any:
    """A node that is in no row, and its number."""
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
def evict(w: Any, i: Any, wanted: Any) -> None:
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
            remove(w, i, node)
            if old.names_from != NOBODY:
                forget(w, i, w.ids[old.names_from])
            elif old.parent != NOBODY:
                w.requests[old.parent].left = NOBODY
            spare(w, i, node)


@kernel
def spare(w: Any, i: Any, node: Any) -> None:
    """``node`` is in use no more."""
    a = w.at[i]
    w.nodes[i, node].names_from = NOBODY
    w.spare[i, a.spares] = node
    a.spares += 1


@kernel
def alike_from(w: Any, i: Any, q: Any, begin: Any, end: Any, node: Any) -> Any:
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
def segment_of(w: Any, i: Any, q: Any, begin: Any) -> Any:
    """The segment that begins with a request's named block number ``begin``, or NOBODY."""
    return w.slot[i, _place(w, i, w.ids[q.names_from + begin])].node - 1


@kernel
def cut_off(w: Any, i: Any, node: Any, size: Any) -> Any:
    """The first ``size`` blocks of a segment as a segment of their own. The rest stays what those who hold it know."""
    rest = w.nodes[i, node]
    front = new_node(w, i, rest.names_from, size, rest.unit, rest.parent, rest.users)
    rest.names_from += size
    rest.size -= size
    rest.parent = front
    remember(w, i, node)
    slot = w.slot[i, _place(w, i, w.ids[w.nodes[i, front].names_from])]
    slot.node = front + 1
    if rest.users == 0:
        w.at[i].kept -= size * rest.unit
        put_behind(w, i, front, node)
    return front
