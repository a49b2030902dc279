"""A fleet over time: requests come, a router sends each to an engine, and engines go on until something happens.

Everything happens in order of time: recorded arrivals, then whoever comes for another reason (a turn whose predecessor
has ended, a try after a failure, keys and values that arrive where others decode), then engines. An engine is looked at
only when something happens on it, whatever comes to others meanwhile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import kernel
from groundswell.routing import choose
from groundswell.simulate.engine import arrive, begin, settle
from groundswell.simulate.events import expect, take_coming, woken
from groundswell.simulate.state import NOBODY, TOO_LONG

DUE, STAGED, AGAIN = range(3)
"""Why a request comes: it is due, a stage before an engine is done, or it goes to an engine, anew or with keys and
values that another has made."""


@kernel
def serve(w: Any, router: Any, until_s: Any) -> None:
    """Everything that happens before ``until_s``."""
    r = _until_routed(w, until_s)
    while r != NOBODY:
        f, q = w.fleet[0], w.requests[r]
        if q.handed > 0:
            i = choose(router, w, r, f.front, np.int64(w.at.shape[0]))
        else:
            i = choose(router, w, r, np.int64(0), f.front)
        if i == NOBODY:  # nothing is up; that changes between calls only
            expect(w, r, until_s, AGAIN)
        else:
            _send(w, r, i, f.now_s)
        r = _until_routed(w, until_s)


@kernel
def _until_routed(w: Any, until_s: Any) -> Any:
    """Everything that happens before the next request is to be routed; which that is, or NOBODY before ``until_s``."""
    f = w.fleet[0]
    while True:
        while f.next < w.requests.shape[0] and w.requests[f.next].waits:
            f.next += 1
        due_s = w.requests[f.next].arrival_s if f.next < w.requests.shape[0] else np.inf
        come_s = w.coming[0].at_s if f.coming > 0 else np.inf
        wake_s = w.at[w.tree[1]].wake_s
        now_s = min(due_s, come_s, wake_s)
        if not now_s < until_s:
            return NOBODY
        f.now_s = now_s
        if now_s >= f.refresh_s and f.view_s > 0.0:
            _look(w)
            f.refresh_s = (np.floor(now_s / f.view_s) + 1.0) * f.view_s
        if due_s > now_s and come_s > now_s:
            _wake(w, w.tree[1], now_s)
            continue
        if due_s == now_s:
            r, why = f.next, np.int64(DUE)
            f.next += 1
        else:
            r, why = take_coming(w)
        if _comes(w, r, why, now_s):
            return r


@kernel
def _look(w: Any) -> None:
    for i in range(w.load.shape[0]):
        seen, load = w.seen[i], w.load[i]
        seen.requests = load.requests
        seen.prefill_tokens = load.prefill_tokens
        seen.tokens = load.tokens


@kernel
def _comes(w: Any, r: Any, why: Any, now_s: Any) -> Any:
    """Request ``r`` comes; whether it is to be routed now, or has to go through a stage before."""
    q = w.requests[r]
    if why == DUE:
        q.arrival_s = now_s
    elif why == STAGED:
        w.stage_done_s[r, q.stage] = now_s
        q.stage += 1
    if q.stage < w.stages.shape[0]:
        expect(w, r, _stage_ends_s(w, r, now_s), STAGED)
        return False
    return True


@kernel
def _stage_ends_s(w: Any, r: Any, now_s: Any) -> Any:
    """When the stage that ``r`` comes to is done with it: it takes the place that is free first."""
    stage = w.requests[r].stage
    s = w.stages[stage]
    took_s = w.stage_s[r, stage]
    if s.parallel == 0 or took_s == 0.0:
        return now_s + took_s
    place = s.begin
    for other in range(s.begin, s.begin + s.parallel):
        if w.stage_free_s[other] < w.stage_free_s[place]:
            place = other
    w.stage_free_s[place] = max(now_s, w.stage_free_s[place]) + took_s
    return w.stage_free_s[place]


@kernel
def _send(w: Any, r: Any, i: Any, now_s: Any) -> None:
    """Request ``r`` goes to instance ``i``."""
    q, load = w.requests[r], w.load[i]
    q.instance = i
    if not arrive(w, i, r, now_s):
        fail(w, r, TOO_LONG)
        return
    load.requests += 1
    load.tokens += q.prompt + q.output
    if q.made == 0:
        load.prefill_tokens += q.prompt
    woken(w, i)


@kernel
def _wake(w: Any, i: Any, now_s: Any) -> None:
    a, load, f = w.at[i], w.load[i], w.fleet[0]
    settle(w, i)
    load.prefill_tokens -= a.prefilled
    a.prefilled = 0
    r = a.ended
    a.ended = NOBODY
    while r != NOBODY:
        q = w.requests[r]
        after = q.behind
        q.behind = NOBODY
        load.requests -= 1
        load.tokens -= q.prompt + q.output
        if q.goal < q.output:
            q.goal = q.output
            q.handed = q.prompt
            q.done_s = np.nan
            expect(w, r, now_s + f.transfer_s + f.transfer_token_s * q.prompt, AGAIN)
        elif q.next_turn != NOBODY:
            expect(w, q.next_turn, now_s + w.requests[q.next_turn].think_s, DUE)
        r = after
    if f.coming > 0 and w.coming[0].at_s <= now_s:
        return  # whoever comes at once, as a next turn without a pause, comes before the engine goes on
    begin(w, i)
    woken(w, i)


@kernel
def fail(w: Any, r: Any, why: Any) -> None:
    """Request ``r`` fails, and with it the later turns of its conversation, which would wait for its reply."""
    at_s = w.fleet[0].now_s
    first = r
    while r != NOBODY:
        q = w.requests[r]
        q.error = why
        q.done_s = at_s
        if r != first:  # it never came
            q.arrival_s = at_s
        r = q.next_turn
