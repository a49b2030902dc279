"""What is known of those that decode together, without touching each of them at each step.

In a step in which all of them get a token, one number grows, the instance's ``tick``, and everything about each follows
from it: a request that joined with ``joined = tick - made`` has made ``tick - joined`` tokens. Who ends when stands in
a heap by tick; how many need a new block at a tick follows from the ticks' remainder; the longest gap since a request
joined is looked up in a stack of the longest steps.
"""

from __future__ import annotations

import math
from typing import Any

from groundswell.chance import kernel
from groundswell.gap_buckets import LEAST_GAP_S, PER_DOUBLING


@kernel
def _bucket(w: Any, gap_s: Any) -> Any:
    if gap_s <= LEAST_GAP_S:
        return 0
    return min(int(math.log2(gap_s / LEAST_GAP_S) * PER_DOUBLING) + 1, w.gaps.shape[1] - 1)


@kernel
def _stretch(w: Any, at_s: Any) -> Any:
    return min(int(at_s / w.stretch_s[0]), w.gaps.shape[0] - 1)


@kernel
def count_gap(w: Any, at_s: Any, gap_s: Any, count: Any) -> None:
    """Count ``count`` gaps of ``gap_s`` between tokens, which ended at ``at_s``."""
    w.gaps[_stretch(w, at_s), _bucket(w, gap_s)] += count


@kernel
def time_of(first_s: Any, slope_s: Any, steps: Any) -> Any:
    """How long so many steps take, of which each takes ``slope_s`` more than the one before."""
    return steps * first_s + slope_s * (0.5 * steps * (steps - 1))


@kernel
def count_gaps(w: Any, begin_s: Any, first_s: Any, slope_s: Any, steps: Any, count: Any) -> None:
    """Count ``count`` gaps for each of ``steps`` steps that begin at ``begin_s``; many at once where they fall into one
    bucket and one stretch."""
    j = 0  # steps that are counted
    while j < steps:
        bucket = _bucket(w, first_s + slope_s * j)
        stretch = _stretch(w, begin_s + time_of(first_s, slope_s, j + 1))
        low, high = j + 1, steps
        while low < high:
            middle = (low + high + 1) // 2
            same = _bucket(w, first_s + slope_s * (middle - 1)) == bucket
            if same and _stretch(w, begin_s + time_of(first_s, slope_s, middle)) == stretch:
                low = middle
            else:
                high = middle - 1
        w.gaps[stretch, bucket] += count * (low - j)
        j = low


@kernel
def _earlier(w: Any, i: Any, a: Any, b: Any) -> Any:
    x, y = w.ends[i, a], w.ends[i, b]
    return x.tick < y.tick or (x.tick == y.tick and x.order < y.order)


@kernel
def _swap(w: Any, i: Any, a: Any, b: Any) -> None:
    x, y = w.ends[i, a], w.ends[i, b]
    tick, order, who = x.tick, x.order, x.who
    x.tick = y.tick
    x.order = y.order
    x.who = y.who
    y.tick = tick
    y.order = order
    y.who = who


@kernel
def _up(w: Any, i: Any, place: Any) -> None:
    while place > 0 and _earlier(w, i, place, (place - 1) // 2):
        _swap(w, i, place, (place - 1) // 2)
        place = (place - 1) // 2


@kernel
def _down(w: Any, i: Any, place: Any, size: Any) -> None:
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and _earlier(w, i, child + 1, child):
            child += 1
        if not _earlier(w, i, child, place):
            return
        _swap(w, i, place, child)
        place = child


@kernel
def _slot(q: Any, settings: Any) -> Any:
    return (q.joined + 1 - q.prompt) % settings.block_tokens


@kernel
def join(w: Any, settings: Any, i: Any, r: Any) -> None:
    """Request ``r`` has read its prompt, and decodes from now on."""
    a, q = w.at[i], w.requests[r]
    q.joined = a.tick - q.made
    q.since = a.tick
    a.latest_join = a.tick
    w.phases[i, _slot(q, settings)] += 1
    a.context += q.prompt + q.made - 1
    end = w.ends[i, a.decoding]
    end.tick = q.joined + q.goal
    end.order = q.order
    end.who = r
    _up(w, i, a.decoding)
    a.decoding += 1


@kernel
def _leave(w: Any, settings: Any, i: Any, r: Any) -> None:
    """What is known of ``r`` as one of many becomes its own."""
    a, q = w.at[i], w.requests[r]
    q.made = a.tick - q.joined
    w.phases[i, _slot(q, settings)] -= 1
    a.context -= q.prompt + q.made - 1
    q.longest_gap_s = max(q.longest_gap_s, _longest(w, i, q.since))
    q.latest_s = a.clock_s
    a.decoding -= 1
    if a.decoding == 0:
        a.peaks = 0


@kernel
def end_of(w: Any, i: Any) -> Any:
    """The tick at which the first of those that decode has all its tokens."""
    return w.ends[i, 0].tick


@kernel
def leave_first(w: Any, settings: Any, i: Any) -> Any:
    """Whoever has all its tokens first decodes no more; who that is."""
    a = w.at[i]
    r = w.ends[i, 0].who
    _swap(w, i, 0, a.decoding - 1)
    _down(w, i, 0, a.decoding - 1)
    _leave(w, settings, i, r)
    return r


@kernel
def leave_early(w: Any, settings: Any, i: Any, r: Any) -> None:
    """Request ``r`` decodes no more, though it has not all its tokens."""
    a = w.at[i]
    place = 0
    while w.ends[i, place].who != r:
        place += 1
    last = a.decoding - 1
    if place != last:
        _swap(w, i, place, last)
        _down(w, i, place, last)
        _up(w, i, place)
    _leave(w, settings, i, r)


@kernel
def blocks_for(w: Any, settings: Any, i: Any, ticks: Any) -> Any:
    """How many blocks those that decode need for so many ticks."""
    a = w.at[i]
    size = settings.block_tokens
    need = (ticks // size) * a.decoding
    for j in range(ticks % size):
        need += w.phases[i, (a.tick + j) % size]
    return need


@kernel
def ticks_within(w: Any, settings: Any, i: Any, most: Any, blocks: Any) -> Any:
    """For how many ticks, at most ``most``, so many blocks are enough."""
    a = w.at[i]
    size = settings.block_tokens
    rounds = min(most // size, blocks // a.decoding)
    blocks -= rounds * a.decoding
    ticks = rounds * size
    while ticks < most:
        blocks -= w.phases[i, (a.tick + ticks) % size]
        if blocks < 0:
            return ticks
        ticks += 1
    return ticks


@kernel
def note_peak(w: Any, i: Any, gap_s: Any) -> None:
    """The steps up to the tick that is now took at most ``gap_s``."""
    a = w.at[i]
    n = a.peaks
    while n > 0 and w.peaks[i, n - 1].gap_s <= gap_s:
        n -= 1
    a.peaks = n
    if n > 0 and a.latest_join < w.peaks[i, n - 1].tick:
        return  # whoever decodes has seen a longer one
    if n == w.peaks.shape[1]:
        n = _tidied(w, i)
    peak = w.peaks[i, n]
    peak.tick = a.tick
    peak.gap_s = gap_s
    a.peaks = n + 1


@kernel
def _tidied(w: Any, i: Any) -> Any:
    """Of the peaks, those that are the longest for somebody who decodes are enough; how many these are."""
    a = w.at[i]
    kept, p = 0, 0
    r = a.first
    while r >= 0 and p < a.peaks:
        q = w.requests[r]
        if r != a.partial:
            while p < a.peaks and w.peaks[i, p].tick <= q.since:
                p += 1
            if p < a.peaks and (kept == 0 or w.peaks[i, kept - 1].tick < w.peaks[i, p].tick):
                w.peaks[i, kept].tick = w.peaks[i, p].tick
                w.peaks[i, kept].gap_s = w.peaks[i, p].gap_s
                kept += 1
        r = q.behind
    return kept


@kernel
def _longest(w: Any, i: Any, since: Any) -> Any:
    """The longest step after tick ``since``; 0 if there was none."""
    low, high = 0, w.at[i].peaks
    while low < high:
        middle = (low + high) // 2
        if w.peaks[i, middle].tick > since:
            high = middle
        else:
            low = middle + 1
    return w.peaks[i, low].gap_s if low < w.at[i].peaks else 0.0
