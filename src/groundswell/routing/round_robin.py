"""Each in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswell.routing import ROUTING, Served, picks


class _State(NamedTuple):
    turn: NDArray[np.int64]
    """[2]: how many have been sent to those that take new requests, and to those that only decode."""


@ROUTING.register("round_robin")
@dataclass(frozen=True)
class RoundRobin:
    """Each instance in turn, without those that are down."""

    def state(self, served: Served) -> _State:
        """Nobody has been sent."""
        return _State(np.zeros(2, np.int64))


@picks(_State)
def _pick(router: Any, w: Any, r: Any, begin: Any, end: Any) -> Any:
    side = 1 if begin > 0 else 0
    for _ in range(end - begin):
        i = begin + router.turn[side] % (end - begin)
        router.turn[side] += 1
        if w.seen[i].up:
            return i
    return -1
