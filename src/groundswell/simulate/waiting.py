"""Who waits on an instance, and who of them is admitted next.

First come, first served is a row, and whoever was preempted stands in front of it. For other orders those that wait
are a pairing heap (Fredman, Sedgewick, Sleator and Tarjan, Algorithmica 1, 1986), whose links are in the requests.
"""

from __future__ import annotations

from typing import Any

from groundswell.chance import kernel
from groundswell.simulate.state import NOBODY

POLICIES = ("fcfs", "shortest", "longest", "priority")
"""Who is admitted next: who came first, whose prompt and reply together are shortest or longest, or whose priority is
lowest; among equals the first of the workload."""
_FCFS, _SHORTEST, _LONGEST, _PRIORITY = range(4)


@kernel
def _before(w: Any, policy: Any, a: Any, b: Any) -> Any:
    """Whether ``a`` is to be admitted before ``b``."""
    qa, qb = w.requests[a], w.requests[b]
    if policy == _PRIORITY:
        if qa.priority != qb.priority:
            return qa.priority < qb.priority
        return a < b
    size_a, size_b = qa.prompt + qa.output, qb.prompt + qb.output
    if size_a == size_b:
        return a < b
    return (size_a > size_b) == (policy == _LONGEST)


@kernel
def _joined(w: Any, policy: Any, a: Any, b: Any) -> Any:
    """The root of two heaps put together."""
    if a == NOBODY:
        return b
    if b == NOBODY:
        return a
    if _before(w, policy, b, a):
        a, b = b, a
    w.requests[b].behind = w.requests[a].child
    w.requests[a].child = b
    return a


@kernel
def _without_root(w: Any, policy: Any, root: Any) -> Any:
    """The heap of all but its root: its children joined in pairs, and the pairs from the last to the first."""
    pairs = NOBODY
    child = w.requests[root].child
    while child != NOBODY:
        other = w.requests[child].behind
        w.requests[child].behind = NOBODY
        if other != NOBODY:
            after = w.requests[other].behind
            w.requests[other].behind = NOBODY
            child = _joined(w, policy, child, other)
        else:
            after = NOBODY
        w.requests[child].behind = pairs
        pairs = child
        child = after
    whole = NOBODY
    while pairs != NOBODY:
        after = w.requests[pairs].behind
        w.requests[pairs].behind = NOBODY
        whole = _joined(w, policy, whole, pairs)
        pairs = after
    w.requests[root].child = NOBODY
    return whole


@kernel
def enqueue(w: Any, i: Any, r: Any, in_front: Any) -> None:
    """Request ``r`` waits on instance ``i``: behind all others, or in front of them, where the policy is first come,
    first served."""
    a, q = w.at[i], w.requests[r]
    policy = w.pools[a.pool].policy
    q.child = NOBODY
    q.behind = NOBODY
    if policy != _FCFS:
        a.head = _joined(w, policy, a.head, r)
    elif a.head == NOBODY:
        a.head = r
        a.tail = r
    elif in_front:
        q.behind = a.head
        a.head = r
    else:
        w.requests[a.tail].behind = r
        a.tail = r
    a.waiting += 1
    a.waiting_tokens += q.prompt


@kernel
def take_next(w: Any, i: Any) -> Any:
    """Who is next waits no more; who that is. It is ``head``, as long as nobody comes."""
    a = w.at[i]
    r = a.head
    q = w.requests[r]
    policy = w.pools[a.pool].policy
    if policy == _FCFS:
        a.head = q.behind
        if a.head == NOBODY:
            a.tail = NOBODY
    else:
        a.head = _without_root(w, policy, r)
    q.behind = NOBODY
    a.waiting -= 1
    a.waiting_tokens -= q.prompt
    return r
