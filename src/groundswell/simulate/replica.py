"""One engine over time: continuous batching with chunked prefill over paged memory.

**In one piece.** While all that run are past their prompts and nobody can be admitted, steps differ only in the length
of the contexts, and their times are linear in that: k of them take k·t + s·k(k − 1)/2. :func:`advance` does as many of
them at once as there are until one ends, somebody arrives, or memory runs out; ``one_by_one`` does the same without.
"""

from __future__ import annotations

from typing import Any

from groundswell.chance import compiled
from groundswell.simulate.blocks import find, room, take
from groundswell.simulate.stepping import blocks_of, count_gap, finish, step, step_s
from groundswell.simulate.waiting import chosen, enqueue


@compiled
def _may_admit(requests: Any, at: Any, cache: Any, settings: Any, i: Any) -> Any:
    """Whether steps in which all that run get one token may admit somebody, before one of these ends.

    Who lacks memory at first lacks it later, as others take more of it; but not where some is kept for its own prompt:
    when that goes, there may be room.
    """
    if at.waiting[i] == 0 or at.active[i] >= settings.most_running or at.active[i] >= settings.most_tokens:
        return False
    r, _ = chosen(requests, at, settings, i)
    found, unused = find(requests, cache, settings, i, r)
    computed = found * settings.block_tokens
    new = min(requests.prompt[r] + requests.made[r] - computed, settings.most_tokens - at.active[i])
    need = blocks_of(settings, computed + new) - found
    return unused > 0 or need + settings.watermark <= room(at, cache, i)


@compiled
def _blocks_for(requests: Any, at: Any, settings: Any, i: Any, k: Any) -> Any:
    """How many blocks those that run need beyond what they hold for ``k`` more tokens each."""
    need = 0
    for n in range(at.active[i]):
        r = at.running[i, n]
        need += blocks_of(settings, requests.computed[r] + k) - requests.held[r]
    return need


@compiled
def _steps_before(first_s: Any, slope_s: Any, wait_s: Any, most: Any) -> Any:
    """How many steps begin before ``wait_s`` are over, of at most ``most``: the first takes ``first_s``, each further
    one ``slope_s`` more."""
    low, high = 1, most
    while low < high:  # the least k of which wait_s is not longer than the time of k steps
        k = (low + high) // 2
        if k * first_s + slope_s * (0.5 * k * (k - 1)) >= wait_s:
            high = k
        else:
            low = k + 1
    return low


@compiled
def _in_one_piece(requests: Any, at: Any, cache: Any, settings: Any, tally: Any, i: Any, until_s: Any) -> Any:
    """As many steps at once as differ only in the length of contexts; how many, 0 where the next one is no such."""
    n = at.active[i]
    if n == 0 or n > settings.most_tokens:
        return 0
    context, most = 0, requests.output[at.running[i, 0]]
    for m in range(n):
        r = at.running[i, m]
        if requests.made[r] == 0 or requests.computed[r] != requests.prompt[r] + requests.made[r] - 1:
            return 0
        context += requests.computed[r]
        most = min(most, requests.output[r] - requests.made[r])
    if _may_admit(requests, at, cache, settings, i):
        return 0
    first_s = step_s(settings, n, n, context, 0.0)
    slope_s = settings.context_s * n
    k = _steps_before(first_s, slope_s, until_s - at.clock_s[i], most)
    there = room(at, cache, i)
    if _blocks_for(requests, at, settings, i, k) > there:
        low, high = 0, k
        while low < high:  # the most steps for which there is memory
            middle = (low + high + 1) // 2
            if _blocks_for(requests, at, settings, i, middle) <= there:
                low = middle
            else:
                high = middle - 1
        k = low
    if k > 0:
        _do_in_one_piece(requests, at, cache, settings, tally, i, k, first_s, slope_s)
    return k


@compiled
def _do_in_one_piece(
    requests: Any,
    at: Any,
    cache: Any,
    settings: Any,
    tally: Any,
    i: Any,
    k: Any,
    first_s: Any,
    slope_s: Any,
) -> None:
    n, begin_s = at.active[i], at.clock_s[i]
    for j in range(2, k + 1):
        end_s = begin_s + j * first_s + slope_s * (0.5 * j * (j - 1))
        count_gap(tally, end_s, first_s + slope_s * (j - 1), n)
    took_s = k * first_s + slope_s * (0.5 * k * (k - 1))
    at.clock_s[i] = begin_s + took_s
    at.busy_s[i] += took_s
    at.steps[i] += k
    kept = 0
    for m in range(n):
        r = at.running[i, m]
        gap_s = begin_s + first_s - requests.latest_s[r]
        count_gap(tally, begin_s + first_s, gap_s, 1)
        last_s = first_s + slope_s * (k - 1) if k > 1 else 0.0
        requests.longest_gap_s[r] = max(requests.longest_gap_s[r], max(gap_s, last_s))
        need = blocks_of(settings, requests.computed[r] + k) - requests.held[r]
        take(at, cache, i, need)
        requests.held[r] += need
        requests.computed[r] += k
        requests.made[r] += k
        requests.latest_s[r] = at.clock_s[i]
    for m in range(n):
        r = at.running[i, m]
        if requests.made[r] == requests.output[r]:
            finish(requests, at, cache, settings, i, r)
        else:
            at.running[i, kept] = r
            kept += 1
    at.active[i] = kept


@compiled
def advance(
    requests: Any, at: Any, cache: Any, settings: Any, tally: Any, given: Any, i: Any, until_s: Any, one_by_one: Any
) -> None:
    """Do all steps of instance ``i`` that begin before ``until_s``."""
    while at.clock_s[i] < until_s and (at.active[i] > 0 or at.waiting[i] > 0):
        if one_by_one or _in_one_piece(requests, at, cache, settings, tally, i, until_s) == 0:
            step(requests, at, cache, settings, tally, given, i)


@compiled
def arrive(requests: Any, at: Any, settings: Any, i: Any, r: Any) -> Any:
    """Request ``r`` comes to instance ``i`` at its arrival; whether it can ever be served there."""
    if blocks_of(settings, requests.prompt[r] + requests.output[r]) + settings.watermark > at.blocks[i]:
        return False
    if at.active[i] == 0 and at.waiting[i] == 0:
        at.clock_s[i] = max(at.clock_s[i], requests.arrival_s[r])
    enqueue(requests, at, i, r)
    return True
