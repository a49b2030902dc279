"""Which of several instances: those that are up, counted, and a fair order among equals."""

from __future__ import annotations

from typing import Any

from groundswell.chance import kernel, word_at


@kernel
def ups(w: Any, begin: Any, end: Any) -> Any:
    """How many of the instances from ``begin`` on and before ``end`` are up."""
    count = 0
    for i in range(begin, end):
        count += w.seen[i].up
    return count


@kernel
def up(w: Any, begin: Any, place: Any) -> Any:
    """The instance that is up and has ``place`` such before it, from ``begin`` on; there must be one."""
    i = begin
    while place > 0 or not w.seen[i].up:
        place -= w.seen[i].up
        i += 1
    return i


@kernel
def in_turn(begin: Any, end: Any, turn: Any, k: Any) -> Any:
    """The ``k``-th instance to look at, if one begins elsewhere each turn: whoever is found first of those that are
    equally good is then another each time."""
    return begin + (turn + k) % (end - begin)


@kernel
def shortest(w: Any, begin: Any, end: Any, turn: Any) -> Any:
    """Of the instances that are up the one with the fewest requests in flight, of equals each in turn; -1 where none is
    up."""
    best = -1
    for k in range(end - begin):
        i = in_turn(begin, end, turn, k)
        if w.seen[i].up and (best < 0 or w.seen[i].requests < w.seen[best].requests):
            best = i
    return best


@kernel
def word_of(w: Any, key: Any, r: Any, which: Any) -> Any:
    """Random word ``which`` of request ``r``, of four for each time that it is to be routed: none depends on what comes
    of other requests."""
    q = w.requests[r]
    time = 2 * q.tries + (q.handed > 0)
    return word_at(word_at(key, r), 4 * time + which)
