"""Where most of the prompt is in memory already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import kernel
from groundswell.errors import UsageError
from groundswell.routing import ROUTING, Served, picks
from groundswell.routing._among import in_turn, ups
from groundswell.routing._prefix import new_tokens


class _State(NamedTuple):
    turn: NDArray[np.int64]
    """[1]: where to look first, so that equals are taken in turn."""
    bound: NDArray[np.float64]
    """[1]"""


@ROUTING.register("prefix_affine")
@dataclass(frozen=True)
class PrefixAffine:
    """The instance with the longest beginning of the prompt in its memory, of those that are not too full; of equals
    the one with the fewest requests in flight, and of these each in turn.

    Too full is one that would have more than ``bound`` times the mean of requests in flight, rounded up, each with this
    request (consistent hashing with bounded loads: Mirrokni, Thorup and Zadimoghaddam, SODA 2018; KubeAI's prefix
    routing has the same bound). With 1 loads differ by hardly more than one, with a large bound the prefix alone
    counts. The memory is seen as it is, also where the view of loads is old.
    """

    bound: float = 1.25

    def __post_init__(self) -> None:
        if not (isinstance(self.bound, int | float) and self.bound >= 1.0):
            raise UsageError(f"prefix_affine: bound must be a number of 1 or more, not {self.bound!r}")

    def state(self, served: Served) -> _State:
        """Nobody has been sent."""
        return _State(np.zeros(1, np.int64), np.array([self.bound], np.float64))


@kernel
def _most(w: Any, bound: Any, begin: Any, end: Any) -> Any:
    """How many requests an instance may have in flight; the one with the fewest always may have one more."""
    total = 1
    for i in range(begin, end):
        if w.seen[i].up:
            total += w.seen[i].requests
    return np.ceil(bound * total / max(ups(w, begin, end), 1))


@picks(_State)
def _pick(router: Any, w: Any, r: Any, begin: Any, end: Any) -> Any:
    most = _most(w, router.bound[0], begin, end)
    best, least = -1, np.int64(0)
    turn = router.turn[0]
    router.turn[0] += 1
    for k in range(end - begin):
        i = in_turn(begin, end, turn, k)
        seen = w.seen[i]
        if not seen.up or seen.requests + 1 > most:
            continue
        new = new_tokens(w, i, r)
        if best < 0 or new < least or (new == least and seen.requests < w.seen[best].requests):
            best, least = i, new
    return best
