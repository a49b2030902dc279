"""A pool for short requests, and one for long ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import kernel
from groundswell.errors import UsageError
from groundswell.routing import ROUTING, Served, picks
from groundswell.routing._among import shortest


class _State(NamedTuple):
    turn: NDArray[np.int64]
    """[1]: where to look first, so that equals are taken in turn."""
    long: NDArray[np.int64]
    """[1]: the first instance for long requests."""
    context: NDArray[np.int64]
    """[1]: for how many tokens an instance for short requests has memory."""
    threshold: NDArray[np.float64]
    """[1]"""
    learning: NDArray[np.float64]
    """[1]"""
    bytes_per_token: NDArray[np.float64]
    """[clients]: as far as it is known."""
    watched: NDArray[np.int64]
    """[clients]: whose reply will tell next; -1 for none."""


@ROUTING.register("dual_pool")
@dataclass(frozen=True)
class DualPool:
    """Requests that seem to need at most ``threshold`` tokens go to the fleet's first pool, others to its second, each
    to the instance with the fewest requests in flight (Liu et al., "Dual-Pool Token-Budget Routing", arXiv:2604.08075).

    What a request seems to need are its prompt's bytes, divided by its client's bytes per token, and its reply's
    tokens, as if the client's limit were exact. Bytes per token begin at ``bytes_per_token`` and move by ``learning``
    of the difference with each reply that tells ``usage.prompt_tokens``. Of each client one request at a time is
    watched: it tells when its reply has ended and the client sends the next.

    A pool is full when whichever of its instances has the fewest requests in flight has as many as may run there, or no
    memory for one more of this size. Then, and where none of its instances is up, requests go to the other pool, unless
    that is full too; those that seem too long for the memory of an instance of the first pool never go there.
    """

    threshold: float = 8192.0
    learning: float = 0.1
    bytes_per_token: float = 4.0

    def __post_init__(self) -> None:
        for name in ("threshold", "learning", "bytes_per_token"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0.0 < value < np.inf):
                raise UsageError(f"dual_pool: {name} must be a number above 0, not {value!r}")
        if self.learning > 1.0:
            raise UsageError(f"dual_pool: learning is a share, at most 1, not {self.learning:g}")

    def state(self, served: Served) -> _State:
        """Nothing is known of any client. Raises UsageError for a fleet that has not two pools."""
        if len(served.pools) != 2:
            raise UsageError(
                f"dual_pool routes between two pools, the first for short requests, the second for long ones; this "
                f"fleet has {len(served.pools)}"
            )
        return _State(
            np.zeros(1, np.int64),
            np.array([served.pools[1][0]]),
            np.array([served.most_context[0]]),
            np.array([self.threshold], np.float64),
            np.array([self.learning], np.float64),
            np.full(served.clients, self.bytes_per_token, np.float64),
            np.full(served.clients, -1, np.int64),
        )


@picks(_State)
def _pick(router: Any, w: Any, r: Any, begin: Any, end: Any) -> Any:
    q = w.requests[r]
    _learn(router, w, q.client)
    if router.watched[q.client] < 0:
        router.watched[q.client] = r
    tokens = q.size_bytes / router.bytes_per_token[q.client] + q.output
    turn = router.turn[0]
    router.turn[0] += 1
    middle = router.long[0]
    if middle <= begin or middle >= end:  # one of the pools has another role
        return shortest(w, begin, end, turn)
    short, long = shortest(w, begin, middle, turn), shortest(w, middle, end, turn)
    if tokens > router.context[0]:
        return long
    mine, other = (short, long) if tokens <= router.threshold[0] else (long, short)
    if mine < 0 or (other >= 0 and _is_full(w, mine, tokens) and not _is_full(w, other, tokens)):
        return other
    return mine


@kernel
def _learn(router: Any, w: Any, client: Any) -> None:
    """What the reply to the request that is watched tells, if it has ended."""
    r = router.watched[client]
    if r < 0 or not w.requests[r].done_s <= w.fleet[0].now_s:
        return
    router.watched[client] = -1
    q = w.requests[r]
    if q.error == 0 and q.size_bytes > 0:
        known = router.bytes_per_token[client]
        router.bytes_per_token[client] = known + router.learning[0] * (q.size_bytes / q.prompt - known)


@kernel
def _is_full(w: Any, i: Any, tokens: Any) -> Any:
    a, seen = w.at[i], w.seen[i]
    settings = w.pools[a.pool]
    return seen.requests >= settings.most_running or seen.tokens + tokens > a.blocks * settings.block_tokens
