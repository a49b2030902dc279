"""Who waits on an instance, and who of them is admitted next."""

from __future__ import annotations

from typing import Any

from groundswell.chance import compiled
from groundswell.simulate.state import FCFS, LONGEST, NOBODY, PRIORITY


@compiled
def enqueue(requests: Any, at: Any, i: Any, r: Any) -> None:
    """Request ``r`` waits behind all others of instance ``i``."""
    requests.next[r] = NOBODY
    if at.tail[i] == NOBODY:
        at.head[i] = r
    else:
        requests.next[at.tail[i]] = r
    at.tail[i] = r
    at.waiting[i] += 1
    at.waiting_tokens[i] += requests.prompt[r]


@compiled
def put_in_front(requests: Any, at: Any, i: Any, r: Any) -> None:
    """Request ``r`` waits in front of all others of instance ``i``."""
    requests.next[r] = at.head[i]
    at.head[i] = r
    if at.tail[i] == NOBODY:
        at.tail[i] = r
    at.waiting[i] += 1
    at.waiting_tokens[i] += requests.prompt[r]


@compiled
def _before(requests: Any, policy: Any, a: Any, b: Any) -> Any:
    """Whether ``a``, which waits behind ``b``, is to be admitted before it."""
    if policy == PRIORITY:
        return requests.priority[a] < requests.priority[b]
    size_a = requests.prompt[a] + requests.output[a]
    size_b = requests.prompt[b] + requests.output[b]
    return size_a > size_b if policy == LONGEST else size_a < size_b


@compiled
def chosen(requests: Any, at: Any, settings: Any, i: Any) -> Any:
    """(who of those that wait is next, who is in front of them in the queue)."""
    best, before = at.head[i], NOBODY
    if settings.policy == FCFS or best == NOBODY:
        return best, before
    previous = best
    r = requests.next[best]
    while r != NOBODY:
        if _before(requests, settings.policy, r, best):
            best, before = r, previous
        previous = r
        r = requests.next[r]
    return best, before


@compiled
def take_out(requests: Any, at: Any, i: Any, r: Any, before: Any) -> None:
    """Request ``r``, which stands behind ``before`` in the queue, waits no more."""
    after = requests.next[r]
    if before == NOBODY:
        at.head[i] = after
    else:
        requests.next[before] = after
    if at.tail[i] == r:
        at.tail[i] = before
    requests.next[r] = NOBODY
    at.waiting[i] -= 1
    at.waiting_tokens[i] -= requests.prompt[r]
