"""Which tokens have come by now, on a fleet that is served up to now.

What is known of an instance can be ahead of the time by the step that is in progress, and by the next one where an
engine decides on steps ahead: whoever runs has its token of that step already, though it comes with the step's end.
Planned steps are behind it: those that have ended gave a token each, though they are not done yet.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import kernel
from groundswell.simulate.state import NOBODY
from groundswell.simulate.ticks import time_of


@kernel
def tokens_by(w: Any, now_s: Any, taken: Any, told: Any, who: Any, count: Any) -> Any:
    """Of the requests in the slots that are ``taken``, those that have more tokens by ``now_s`` than was ``told``, and
    how many more; how many such requests there are. ``told`` is what it is then."""
    found = 0
    for i in range(w.at.shape[0]):
        a = w.at[i]
        more = _ended(a, now_s)
        if a.clock_s > now_s:
            more -= 1 + (a.began_s > now_s)
        r = a.first
        while r != NOBODY:
            q = w.requests[r]
            if r != a.partial:
                found = _tell(r, a.tick - q.joined + more, told, who, count, found)
            r = q.behind
    for r in range(taken.shape[0]):
        if taken[r]:  # who decodes has been told, and had fewer tokens when it began to
            q = w.requests[r]
            found = _tell(r, q.made - (q.latest_s > now_s), told, who, count, found)
    return found


@kernel
def _tell(r: Any, tokens: Any, told: Any, who: Any, count: Any, found: Any) -> Any:
    if tokens <= told[r]:
        return found
    who[found] = r
    count[found] = tokens - told[r]
    told[r] = tokens
    return found + 1


@kernel
def _ended(a: Any, now_s: Any) -> Any:
    """How many of the planned steps have ended."""
    low, high = 0, a.planned
    while low < high:
        middle = (low + high + 1) // 2
        if a.clock_s + time_of(a.plan_first_s, a.plan_slope_s, middle) <= now_s:
            low = middle
        else:
            high = middle - 1
    return low


@kernel
def next_s(w: Any, now_s: Any) -> Any:
    """When something happens after ``now_s`` if nobody comes: a step ends, or somebody is through with what comes
    before an engine or between two; inf if nothing does."""
    soonest = np.inf
    if w.fleet[0].coming > 0:
        soonest = w.coming[0].at_s
    for i in range(w.at.shape[0]):
        a = w.at[i]
        if a.clock_s > now_s:
            soonest = min(soonest, a.began_s if a.began_s > now_s else a.clock_s)
        elif a.planned > 0:
            soonest = min(soonest, a.clock_s + time_of(a.plan_first_s, a.plan_slope_s, _ended(a, now_s) + 1))
        else:
            soonest = min(soonest, a.wake_s)
    return soonest
