"""Join the shortest queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswell.routing import ROUTING, Served, picks


class _State(NamedTuple):
    turn: NDArray[np.int64]
    """[1]: where to look first, so that equals are taken in turn."""


@ROUTING.register("jsq")
@dataclass(frozen=True)
class JoinShortestQueue:
    """The instance with the fewest requests in flight; of equals, each in turn."""

    def state(self, served: Served) -> _State:
        """Nobody has been sent."""
        return _State(np.zeros(1, np.int64))

    def shares(self, requests: int, served: Served) -> NDArray[np.int64] | None:
        """It depends on what is in flight."""
        return None


@picks(_State)
def _pick(router: Any, w: Any, r: Any, begin: Any, end: Any) -> Any:
    best = -1
    first = begin + router.turn[0] % (end - begin)
    router.turn[0] += 1
    for k in range(end - begin):
        i = first + k if first + k < end else first + k - (end - begin)
        if w.seen[i].up and (best < 0 or w.seen[i].requests < w.seen[best].requests):
            best = i
    return best
