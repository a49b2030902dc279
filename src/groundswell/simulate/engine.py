"""One engine over time: steps, and whoever comes meanwhile (:mod:`groundswell.simulate.step`).

**Steps in one piece.** While all that run are past their prompts and nobody can be admitted, steps differ only in the
length of the contexts, and their times are linear in that: k of them take k·t + s·k(k - 1)/2. Such steps are planned
until one ends or memory runs out, and are done when that time has come, or as many of them as had begun when somebody
came.

**Ahead.** An engine that decides on a step while the one before runs does not know of those that came since that one
began. They are kept apart (``fresh``) until the next step is decided on, and wait like others from then on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import kernel
from groundswell.simulate.blocks import blocks_of, room, take
from groundswell.simulate.state import NOBODY
from groundswell.simulate.step import let_go, step, step_s, wanted
from groundswell.simulate.ticks import blocks_for, count_gaps, end_of, note_peak, ticks_within, time_of
from groundswell.simulate.waiting import enqueue


@kernel
def arrive(w: Any, i: Any, r: Any, now_s: Any) -> Any:
    """Request ``r`` comes to instance ``i``; whether it can ever be served there."""
    a, q = w.at[i], w.requests[r]
    settings = w.pools[a.pool]
    if blocks_of(settings, q.prompt + q.goal) + settings.watermark > a.blocks:
        return False
    if np.isnan(q.ready_s):
        q.ready_s = now_s
    if a.wake_s == np.inf:
        a.clock_s = now_s
        a.wake_s = now_s
        a.began_s = np.inf
    elif a.planned > 0:
        if settings.ahead:
            begun = _begun(a, now_s)
            unknown = begun == a.planned
            _keep(w, i, min(begun + 1, np.int64(a.planned)))
        else:
            cut(w, i, now_s)
            unknown = False
        if unknown:
            _stand_apart(w, i, r)
            return True
    elif settings.ahead and now_s > a.began_s:
        _stand_apart(w, i, r)
        return True
    enqueue(w, i, r, False)
    return True


@kernel
def _stand_apart(w: Any, i: Any, r: Any) -> None:
    """Request ``r`` came during a step of an engine that has decided on the next one."""
    a = w.at[i]
    w.requests[r].behind = NOBODY
    if a.fresh == NOBODY:
        a.fresh = r
    else:
        w.requests[a.fresh_last].behind = r
    a.fresh_last = r


@kernel
def _know(w: Any, i: Any) -> None:
    """Those that stood apart wait like others."""
    a = w.at[i]
    r = a.fresh
    a.fresh = NOBODY
    while r != NOBODY:
        after = w.requests[r].behind
        enqueue(w, i, r, False)
        r = after


@kernel
def settle(w: Any, i: Any) -> None:
    """The time has come that instance ``i`` was to wake: what was planned is done, and who has all tokens leaves."""
    a = w.at[i]
    if a.planned > 0:
        settings = w.pools[a.pool]
        _do(w, settings, i, a.planned)
        let_go(w, settings, i)


@kernel
def begin(w: Any, i: Any) -> None:
    """Whoever runs or waits on instance ``i`` goes on: steps are planned, or one is done."""
    a = w.at[i]
    if a.active == 0 and a.waiting == 0:
        if a.fresh == NOBODY:
            a.wake_s = np.inf
            return
        _know(w, i)
    settings = w.pools[a.pool]
    steps = _alike(w, settings, i)
    if steps > 0:
        if a.fresh != NOBODY:
            steps = 1
        a.planned = steps
        a.plan_first_s = step_s(settings, a.decoding, a.decoding, a.context, 0.0)
        a.plan_slope_s = settings.context_s * a.decoding
        a.wake_s = a.clock_s + time_of(a.plan_first_s, a.plan_slope_s, steps)
    else:
        step(w, settings, i)
        a.wake_s = a.clock_s
    if a.fresh != NOBODY:
        _know(w, i)


@kernel
def _alike(w: Any, settings: Any, i: Any) -> Any:
    """How many steps differ only in the length of contexts; 0 where the next one is no such."""
    a = w.at[i]
    if a.decoding == 0 or a.partial != NOBODY or _may_admit(w, settings, i):
        return 0
    most = end_of(w, i) - a.tick
    there = room(a)
    if blocks_for(w, settings, i, most) <= there:
        return most
    return ticks_within(w, settings, i, most, there)


@kernel
def _may_admit(w: Any, settings: Any, i: Any) -> Any:
    """Whether steps in which all that run get one token may admit somebody, before one of these ends.

    Who lacks memory at first lacks it later, as others take more of it; but not where some is kept for its own prompt,
    and memory for the first part of it is enough: when that goes, there may be room.
    """
    a = w.at[i]
    if a.waiting == 0 or a.active >= settings.most_running or a.active >= settings.most_tokens:
        return False
    _, unused, _, _, need = wanted(w, settings, i, a.head, settings.most_tokens - a.active)
    enough = need + settings.watermark <= room(a) - unused
    return enough or (unused > 0 and not settings.whole_prompts)


@kernel
def cut(w: Any, i: Any, now_s: Any) -> None:
    """Of the planned steps, those that had begun before ``now_s`` are done."""
    _keep(w, i, _begun(w.at[i], now_s))


@kernel
def _begun(a: Any, now_s: Any) -> Any:
    """How many of the planned steps had begun before ``now_s``."""
    low, high = np.int64(0), np.int64(a.planned)
    while low < high:
        middle = (low + high) // 2
        if a.clock_s + time_of(a.plan_first_s, a.plan_slope_s, middle) >= now_s:
            high = middle
        else:
            low = middle + 1
    return low


@kernel
def _keep(w: Any, i: Any, steps: Any) -> None:
    """Of the planned steps only the first ``steps`` are, and have been done."""
    a = w.at[i]
    if steps < a.planned:
        settings = w.pools[a.pool]
        if steps > 0:
            _do(w, settings, i, steps)
        a.planned = 0
        a.wake_s = a.clock_s


@kernel
def _do(w: Any, settings: Any, i: Any, steps: Any) -> None:
    """The first ``steps`` of the planned steps."""
    a = w.at[i]
    first_s, slope_s = a.plan_first_s, a.plan_slope_s
    take(w, i, blocks_for(w, settings, i, steps))
    count_gaps(w, a.clock_s, first_s, slope_s, steps, a.decoding)
    took_s = time_of(first_s, slope_s, steps)
    a.began_s = a.clock_s + time_of(first_s, slope_s, steps - 1)
    a.planned = 0
    a.clock_s += took_s
    a.busy_s += took_s
    a.steps += steps
    a.tick += steps
    a.context += steps * a.decoding
    note_peak(w, i, first_s + slope_s * (steps - 1))
