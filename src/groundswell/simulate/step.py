"""A step of an engine, as vLLM v1 schedules it: continuous batching with chunked prefill over paged memory.

Those that run get tokens first, in order of admission, up to a budget: one for each that is past its prompt, what the
budget leaves for whoever is not. Whoever cannot get the blocks of memory that it needs takes them from the last that
was admitted, which begins anew later (recomputation). If nobody had to go, those that wait are admitted, while budget,
places and memory last. (vLLM 0.19, ``v1/core/sched/scheduler.py``: ``schedule`` and ``update_from_output``.) As no more
may run than the budget has tokens, and as whoever is admitted last gets what is left of it, only one prompt at a time
is read in part, and its reader is the last of those that run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import kernel
from groundswell.simulate.blocks import (
    blocks_of,
    come_back,
    find,
    give_back,
    hold,
    leave_behind,
    left,
    name,
    room,
    take,
)
from groundswell.simulate.state import NOBODY
from groundswell.simulate.ticks import blocks_for, count_gap, end_of, join, leave_early, leave_first, note_peak
from groundswell.simulate.waiting import enqueue, take_next


@kernel
def step_s(settings: Any, tokens: Any, decoding: Any, context: Any, prefill: Any) -> Any:
    """How long a step takes: of so many tokens, so many of them replies', with contexts of so many tokens together,
    and Σ chunk · (what was there + chunk / 2) over the chunks of prompts."""
    took_s = (
        settings.c0_s
        + settings.token_s * tokens
        + settings.hinge_s * max(0.0, tokens - settings.hinge_tokens)
        + settings.decode_s * decoding
        + settings.context_s * context
        + settings.prefill_s * prefill
    )
    if prefill > 0.0:
        return max(took_s + settings.prompt_s + settings.mixed_s * context, settings.prompt_least_s)
    return took_s


@kernel
def step(w: Any, settings: Any, i: Any) -> None:
    """One step in which prompts are read, or for which there is too little memory."""
    a = w.at[i]
    a.step_prefill = 0.0
    preempted = _serve_decoding(w, settings, i)
    a.step_tokens = a.decoding
    a.step_decodes = a.decoding
    a.step_context = a.context
    newest = a.partial
    preempted |= _serve_partial(w, settings, i)
    if not preempted:
        before = a.last
        _admit(w, settings, i)
        if newest == NOBODY:
            newest = a.first if before == NOBODY else w.requests[before].behind
    else:
        newest = a.partial
    took_s = step_s(settings, a.step_tokens, a.step_decodes, a.step_context, a.step_prefill)
    a.began_s = a.clock_s
    a.clock_s += took_s
    a.busy_s += took_s
    a.steps += 1
    if a.decoding > 0:
        count_gap(w, a.clock_s, took_s, a.decoding)
        a.tick += 1
        a.context += a.decoding
        note_peak(w, i, took_s)
    let_go(w, settings, i)
    while newest != NOBODY:
        after = w.requests[newest].behind
        _read(w, settings, i, newest)
        newest = after


@kernel
def _serve_decoding(w: Any, settings: Any, i: Any) -> Any:
    """Those that decode get blocks for one more token, in order; whether anybody had to go for that."""
    a = w.at[i]
    need = blocks_for(w, settings, i, 1)
    if need <= room(a):
        take(w, i, need)
        return False
    r = a.first
    while r != NOBODY and r != a.partial:
        q = w.requests[r]
        if (q.prompt + a.tick - q.joined - 1) % settings.block_tokens == 0:
            while room(a) < 1:
                if _preempt_last(w, settings, i) == r:
                    return True
            take(w, i, 1)
        r = q.behind
    return True


@kernel
def _serve_partial(w: Any, settings: Any, i: Any) -> Any:
    """Whoever's prompt is being read gets what is left of the budget; whether it had to go instead."""
    a = w.at[i]
    r = a.partial
    if r == NOBODY or a.step_tokens >= settings.most_tokens:
        return False
    q = w.requests[r]
    new = min(np.int64(q.prompt + q.made - q.computed), settings.most_tokens - a.step_tokens)
    need = blocks_of(settings, q.computed + new) - blocks_of(settings, q.computed)
    if need > room(a):
        _preempt_last(w, settings, i)
        return True
    take(w, i, need)
    _compute(w, settings, i, r, new)
    return False


@kernel
def _compute(w: Any, settings: Any, i: Any, r: Any, new: Any) -> None:
    """Request ``r`` computes ``new`` tokens in this step, in blocks that are taken."""
    a, q = w.at[i], w.requests[r]
    if settings.caching:
        name(w, settings, i, r, min(q.computed + new, np.int64(q.prompt)))
    q.given = new
    a.step_tokens += new
    if q.made > 0 and q.prompt + q.made - q.computed == 1:
        a.step_decodes += 1
        a.step_context += q.computed
    else:
        a.step_prefill += new * (q.computed + 0.5 * new)


@kernel
def _preempt_last(w: Any, settings: Any, i: Any) -> Any:
    """The last that was admitted gives back its memory and waits in front of all others; who that is."""
    a = w.at[i]
    r = a.last
    q = w.requests[r]
    stop(w, settings, i, r)
    leave_behind(w, settings, i, r, np.int64(q.computed))
    q.computed = 0
    q.handed = 0
    q.preempted += 1
    a.preemptions += 1
    enqueue(w, i, r, True)
    return r


@kernel
def stop(w: Any, settings: Any, i: Any, r: Any) -> None:
    """Request ``r``, which has not all its tokens, runs no more; what it has in memory is still there, and counted."""
    a, q = w.at[i], w.requests[r]
    if r == a.partial:
        a.partial = NOBODY
    else:
        leave_early(w, settings, i, r)
        q.computed = q.prompt + q.made - 1
    _unlink(w, i, r)


@kernel
def _unlink(w: Any, i: Any, r: Any) -> None:
    """Request ``r`` runs no more."""
    a, q = w.at[i], w.requests[r]
    if q.ahead == NOBODY:
        a.first = q.behind
    else:
        w.requests[q.ahead].behind = q.behind
    if q.behind == NOBODY:
        a.last = q.ahead
    else:
        w.requests[q.behind].ahead = q.ahead
    q.ahead = NOBODY
    q.behind = NOBODY
    a.active -= 1


@kernel
def wanted(w: Any, settings: Any, i: Any, r: Any, most: Any) -> Any:
    """What it takes to admit ``r`` and to compute at most ``most`` tokens: (named blocks found, blocks that are there
    and that nobody holds, tokens that are there, new blocks, new blocks that there must be for it to be admitted)."""
    q = w.requests[r]
    found, unused = find(w, settings, i, r)
    own = left(w, i, r, found)
    there = found * settings.name_blocks + own
    computed = max(there * settings.block_tokens, np.int64(q.handed))
    all_of_it = q.prompt + q.made
    new = min(all_of_it - computed, most)
    need = blocks_of(settings, computed + new) - there
    whole = blocks_of(settings, all_of_it) - there if settings.whole_prompts else need
    return found, unused * settings.name_blocks + own, computed, need, whole


@kernel
def _admit(w: Any, settings: Any, i: Any) -> None:
    """Those that wait are admitted in the policy's order, until one cannot be."""
    a = w.at[i]
    while a.waiting > 0 and a.step_tokens < settings.most_tokens and a.active < settings.most_running:
        r = a.head
        q = w.requests[r]
        found, unused, computed, need, whole = wanted(w, settings, i, r, settings.most_tokens - a.step_tokens)
        if whole + settings.watermark > room(a) - unused:
            return
        take_next(w, i)
        if settings.caching:
            hold(w, i, r, found)
        come_back(w, i, r, found)
        if np.isnan(q.admitted_s):
            q.admitted_s = a.clock_s
            q.cached = 0 if q.handed > 0 else computed
        q.computed = computed
        q.order = a.orders
        a.orders += 1
        q.ahead = a.last
        q.behind = NOBODY
        if a.last == NOBODY:
            a.first = r
        else:
            w.requests[a.last].behind = r
        a.last = r
        a.active += 1
        take(w, i, need)
        _compute(w, settings, i, r, min(q.prompt + q.made - computed, settings.most_tokens - a.step_tokens))


@kernel
def _read(w: Any, settings: Any, i: Any, r: Any) -> None:
    """What ``r`` was given in this step is computed; with the last of its prompt comes a token."""
    a, q = w.at[i], w.requests[r]
    q.computed += q.given
    q.given = 0
    if q.computed < q.prompt + q.made:
        a.partial = r
        return
    if a.partial == r:
        a.partial = NOBODY
    if q.made == 0:
        q.first_s = a.clock_s
        a.prefilled += q.prompt
    else:
        gap_s = a.clock_s - q.latest_s
        count_gap(w, a.clock_s, gap_s, 1)
        q.longest_gap_s = max(q.longest_gap_s, gap_s)
    q.made += 1
    q.latest_s = a.clock_s
    if q.made == q.goal:
        _end(w, settings, i, r)
    else:
        join(w, settings, i, r)


@kernel
def let_go(w: Any, settings: Any, i: Any) -> None:
    """Those that decode and have all their tokens leave, in order of admission."""
    a = w.at[i]
    while a.decoding > 0 and end_of(w, i) == a.tick:
        _end(w, settings, i, leave_first(w, settings, i))


@kernel
def _end(w: Any, settings: Any, i: Any, r: Any) -> None:
    """Request ``r`` leaves: it stands with those that left with this step."""
    a, q = w.at[i], w.requests[r]
    _unlink(w, i, r)
    tokens = np.int64(q.prompt + q.made - 1)
    if settings.caching:
        name(w, settings, i, r, tokens)
    give_back(w, settings, i, r, tokens)
    q.done_s = a.clock_s
    if a.ended == NOBODY:
        a.ended = r
    else:
        w.requests[a.ended_last].behind = r
    a.ended_last = r
