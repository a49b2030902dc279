"""A request that nobody waits for any more leaves its instance, as an engine aborts it when its client hangs up."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import kernel
from groundswell.simulate.blocks import come_back, give_back
from groundswell.simulate.engine import cut
from groundswell.simulate.events import woken
from groundswell.simulate.state import NOBODY
from groundswell.simulate.step import stop
from groundswell.simulate.waiting import enqueue, take_next


@kernel
def give_up(w: Any, r: Any, now_s: Any) -> Any:
    """Request ``r`` leaves its instance; whether it has. It has not while it is on its way to one, nor where a step
    has begun that it may end with: then it should be asked again, or ends by itself."""
    q = w.requests[r]
    i = q.instance
    if i == NOBODY:
        return False
    if not (_runs(w, i, r) and _stop(w, i, r, now_s)) and not _forget(w, i, r, now_s):
        return False
    load = w.load[i]
    load.requests -= 1
    load.tokens -= q.prompt + q.output
    if q.made == 0:
        load.prefill_tokens -= q.prompt
    return True


@kernel
def _runs(w: Any, i: Any, r: Any) -> Any:
    other = w.at[i].first
    while other != NOBODY and other != r:
        other = w.requests[other].behind
    return other == r


@kernel
def _stop(w: Any, i: Any, r: Any, now_s: Any) -> Any:
    """Request ``r`` runs no more; whether that could be."""
    a, q = w.at[i], w.requests[r]
    settings = w.pools[a.pool]
    if a.planned > 0:
        cut(w, i, now_s)
        if a.planned > 0:
            return False
        woken(w, i)
    stop(w, settings, i, r)
    give_back(w, settings, i, r, q.computed)
    return True


@kernel
def _forget(w: Any, i: Any, r: Any, now_s: Any) -> Any:
    """Request ``r`` waits no more; whether it did. Whoever is next then may be admitted."""
    a = w.at[i]
    found = False
    kept = NOBODY  # those in front and behind, the last one first
    for _ in range(a.waiting):
        other = take_next(w, i)
        if other == r:
            found = True
            come_back(w, i, r, np.int64(NOBODY))  # what it left behind is nobody's
        else:
            w.requests[other].ahead = kept
            kept = other
    while kept != NOBODY:
        other = kept
        kept = w.requests[other].ahead
        w.requests[other].ahead = NOBODY
        enqueue(w, i, other, True)
    if found and a.planned > 0:
        cut(w, i, now_s)
        woken(w, i)
    return found
