"""One step of an engine, as vLLM v1 schedules it.

Those that run get tokens first, in order of admission, up to a budget: one for each that is past its prompt, what the
budget leaves for the others. Whoever cannot get the blocks of memory that it needs takes them from the last that was
admitted, which begins anew later (recomputation). If nobody had to go, those that wait are admitted, while budget,
places and memory last. (vLLM 0.19, ``v1/core/sched/scheduler.py``: ``schedule`` and ``update_from_output``.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from groundswell.chance import compiled
from groundswell.simulate.blocks import find, give_back, hold, name, room, take
from groundswell.simulate.state import GAP_BUCKETS
from groundswell.simulate.waiting import chosen, put_in_front, take_out

_LEAST_GAP_S = 2.0**-20
_PER_DOUBLING = 64.0


@compiled
def step_s(settings: Any, tokens: Any, decoding: Any, context: Any, prefill: Any) -> Any:
    """How long a step takes: of so many tokens, so many of them replies', with contexts of so many tokens together,
    and Σ chunk · (what was there + chunk / 2) over the chunks of prompts."""
    return (
        settings.c0_s
        + settings.token_s * tokens
        + settings.hinge_s * max(0.0, tokens - settings.hinge_tokens)
        + settings.decode_s * decoding
        + settings.context_s * context
        + settings.prefill_s * prefill
    )


@compiled
def count_gap(tally: Any, at_s: Any, gap_s: Any, count: Any) -> None:
    """Count ``count`` gaps of ``gap_s`` between tokens, which ended at ``at_s``."""
    place = 0
    if gap_s > _LEAST_GAP_S:
        place = min(int(math.log2(gap_s / _LEAST_GAP_S) * _PER_DOUBLING) + 1, GAP_BUCKETS - 1)
    stretch = min(int(at_s / tally.stretch_s[0]), tally.gaps.shape[0] - 1)
    tally.gaps[stretch, place] += count


@compiled
def blocks_of(settings: Any, tokens: Any) -> Any:
    """How many blocks so many tokens fill, the last perhaps in part."""
    return (tokens + settings.block_tokens - 1) // settings.block_tokens


@compiled
def _preempt_last(requests: Any, at: Any, cache: Any, settings: Any, i: Any) -> Any:
    """The last that was admitted gives back its memory and waits in front of all others; who that is."""
    at.active[i] -= 1
    r = at.running[i, at.active[i]]
    give_back(requests, at, cache, i, r, settings.caching)
    requests.computed[r] = 0
    requests.preempted[r] += 1
    at.preemptions[i] += 1
    put_in_front(requests, at, i, r)
    return r


@compiled
def _give_tokens(requests: Any, at: Any, cache: Any, settings: Any, load: Any, given: Any, i: Any, n: Any) -> None:
    """Request number ``n`` of those that run computes as many tokens as the budget leaves, in blocks that are there."""
    r = at.running[i, n]
    left = requests.prompt[r] + requests.made[r] - requests.computed[r]
    new = min(left, settings.most_tokens - int(load[0]))
    need = blocks_of(settings, requests.computed[r] + new) - requests.held[r]
    take(at, cache, i, need)
    requests.held[r] += need
    if settings.caching and requests.computed[r] < requests.prompt[r]:
        name(requests, cache, settings, i, r, requests.computed[r] + new)
    given[n] = new
    load[0] += new
    if requests.made[r] > 0 and left == 1:
        load[1] += 1
        load[2] += requests.computed[r]
    else:
        load[3] += new * (requests.computed[r] + 0.5 * new)


@compiled
def _serve_running(requests: Any, at: Any, cache: Any, settings: Any, load: Any, given: Any, i: Any) -> Any:
    """Those that run get their tokens, in order; whether any had to go for that."""
    preempted = False
    n = 0
    while n < at.active[i] and load[0] < settings.most_tokens:
        r = at.running[i, n]
        left = requests.prompt[r] + requests.made[r] - requests.computed[r]
        new = min(left, settings.most_tokens - int(load[0]))
        need = blocks_of(settings, requests.computed[r] + new) - requests.held[r]
        while n < at.active[i] and need > room(at, cache, i):
            preempted = True
            _preempt_last(requests, at, cache, settings, i)
        if n < at.active[i]:
            _give_tokens(requests, at, cache, settings, load, given, i, n)
            n += 1
    return preempted


@compiled
def _admit(requests: Any, at: Any, cache: Any, settings: Any, load: Any, given: Any, i: Any) -> None:
    """Those that wait are admitted in the policy's order, until one cannot be."""
    while at.waiting[i] > 0 and load[0] < settings.most_tokens and at.active[i] < settings.most_running:
        r, before = chosen(requests, at, settings, i)
        found, unused = find(requests, cache, settings, i, r)
        computed = found * settings.block_tokens
        new = min(requests.prompt[r] + requests.made[r] - computed, settings.most_tokens - int(load[0]))
        need = blocks_of(settings, computed + new) - found
        if need + settings.watermark > room(at, cache, i) - unused:
            return
        take_out(requests, at, i, r, before)
        if settings.caching:
            hold(requests, cache, i, r, found)
        requests.computed[r] = computed
        if requests.made[r] == 0 and requests.preempted[r] == 0:
            requests.cached[r] = computed
        n = at.active[i]
        at.running[i, n] = r
        at.active[i] = n + 1
        _give_tokens(requests, at, cache, settings, load, given, i, n)


@compiled
def step(requests: Any, at: Any, cache: Any, settings: Any, tally: Any, given: Any, i: Any) -> None:
    """One step of instance ``i``, on which somebody runs or waits; ``given`` is scratch, [most running]."""
    load = np.zeros(4)
    given[: at.active[i]] = 0
    if not _serve_running(requests, at, cache, settings, load, given, i):
        _admit(requests, at, cache, settings, load, given, i)
    took_s = step_s(settings, load[0], load[1], load[2], load[3])
    at.clock_s[i] += took_s
    at.busy_s[i] += took_s
    at.steps[i] += 1
    kept = 0
    for n in range(at.active[i]):
        r = at.running[i, n]
        requests.computed[r] += given[n]
        if given[n] > 0 and requests.computed[r] == requests.prompt[r] + requests.made[r]:
            _token(requests, tally, r, at.clock_s[i])
        if requests.made[r] == requests.output[r]:
            finish(requests, at, cache, settings, i, r)
        else:
            at.running[i, kept] = r
            kept += 1
    at.active[i] = kept


@compiled
def _token(requests: Any, tally: Any, r: Any, now_s: Any) -> None:
    requests.made[r] += 1
    if requests.made[r] == 1:
        requests.first_s[r] = now_s
    else:
        gap_s = now_s - requests.latest_s[r]
        requests.longest_gap_s[r] = max(requests.longest_gap_s[r], gap_s)
        count_gap(tally, now_s, gap_s, 1)
    requests.latest_s[r] = now_s


@compiled
def finish(requests: Any, at: Any, cache: Any, settings: Any, i: Any, r: Any) -> None:
    """Request ``r`` has its last token."""
    requests.done_s[r] = at.clock_s[i]
    give_back(requests, at, cache, i, r, settings.caching)
