"""What happens next: which instance wakes first, and who comes when other than at a recorded arrival."""

from __future__ import annotations

from typing import Any

from groundswell.chance import kernel


@kernel
def woken(w: Any, i: Any) -> None:
    """The time at which instance ``i`` wakes has changed: play its matches of the tournament again."""
    half = w.tree.shape[0] // 2
    place = (half + i) // 2
    while place >= 1:
        a, b = w.tree[2 * place], w.tree[2 * place + 1]
        w.tree[place] = b if b >= 0 and (a < 0 or w.at[b].wake_s < w.at[a].wake_s) else a
        place //= 2


@kernel
def _sooner(w: Any, a: Any, b: Any) -> Any:
    x, y = w.coming[a], w.coming[b]
    return x.at_s < y.at_s or (x.at_s == y.at_s and x.order < y.order)


@kernel
def _swap(w: Any, a: Any, b: Any) -> None:
    x, y = w.coming[a], w.coming[b]
    at_s, order, who, why = x.at_s, x.order, x.who, x.why
    x.at_s = y.at_s
    x.order = y.order
    x.who = y.who
    x.why = y.why
    y.at_s = at_s
    y.order = order
    y.who = who
    y.why = why


@kernel
def expect(w: Any, r: Any, at_s: Any, why: Any) -> None:
    """Request ``r`` comes at ``at_s``, behind those that come at the same time."""
    f = w.fleet[0]
    place = f.coming
    new = w.coming[place]
    new.at_s = at_s
    new.order = f.orders
    new.who = r
    new.why = why
    f.orders += 1
    f.coming += 1
    while place > 0 and _sooner(w, place, (place - 1) // 2):
        _swap(w, place, (place - 1) // 2)
        place = (place - 1) // 2


@kernel
def take_coming(w: Any) -> Any:
    """(who comes first, why); it is expected no more."""
    f = w.fleet[0]
    r, why = w.coming[0].who, w.coming[0].why
    f.coming -= 1
    _swap(w, 0, f.coming)
    place = 0
    while 2 * place + 1 < f.coming:
        child = 2 * place + 1
        if child + 1 < f.coming and _sooner(w, child + 1, child):
            child += 1
        if not _sooner(w, child, place):
            break
        _swap(w, place, child)
        place = child
    return r, why
