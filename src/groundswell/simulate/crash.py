"""An instance fails: what it has is lost, and whoever was on it is sent anew."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import kernel
from groundswell.simulate.blocks import forget_all
from groundswell.simulate.engine import cut, settle
from groundswell.simulate.events import expect, woken
from groundswell.simulate.serving import AGAIN, fail
from groundswell.simulate.state import LOST, NOBODY
from groundswell.simulate.waiting import take_next


@kernel
def crash(w: Any, i: Any, now_s: Any) -> None:
    """Instance ``i`` loses its memory and all requests that run, wait or were about to leave at ``now_s``."""
    a, load = w.at[i], w.load[i]
    w.fleet[0].now_s = now_s
    if a.planned > 0:
        cut(w, i, now_s)
        settle(w, i)
    a.busy_s -= max(0.0, a.clock_s - now_s)
    for first in (a.first, a.ended, a.fresh):
        r = first
        while r != NOBODY:
            after = w.requests[r].behind
            _lose(w, r, now_s)
            r = after
    while a.waiting > 0:
        _lose(w, take_next(w, i), now_s)
    a.clock_s = now_s
    a.wake_s = np.inf
    a.planned = 0
    a.context = 0
    a.active = 0
    a.decoding = 0
    a.peaks = 0
    a.prefilled = 0
    a.partial = NOBODY
    a.first = NOBODY
    a.last = NOBODY
    a.ended = NOBODY
    a.fresh = NOBODY
    w.phases[i] = 0
    load.requests = 0
    load.prefill_tokens = 0
    load.tokens = 0
    forget_all(w, i)
    woken(w, i)


@kernel
def _lose(w: Any, r: Any, now_s: Any) -> None:
    """Request ``r`` begins anew, or fails if it has been sent too often."""
    q, f = w.requests[r], w.fleet[0]
    q.ahead = NOBODY
    q.behind = NOBODY
    q.named = 0
    q.tip = NOBODY
    q.left = NOBODY
    q.computed = 0
    q.made = 0
    q.handed = 0
    if f.front < w.at.shape[0]:
        q.goal = 1
    q.longest_gap_s = 0.0
    never_s = np.nan
    q.ready_s = never_s
    q.admitted_s = never_s
    q.first_s = never_s
    q.latest_s = never_s
    q.done_s = never_s
    q.tries += 1
    f.lost += 1
    if q.tries >= f.most_tries:
        fail(w, r, LOST)
    else:
        expect(w, r, now_s + f.retry_s, AGAIN)
