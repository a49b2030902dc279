"""Join the shortest queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswell.routing import ROUTING, Served, picks
from groundswell.routing._among import shortest


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


@picks(_State)
def _pick(router: Any, w: Any, r: Any, begin: Any, end: Any) -> Any:
    router.turn[0] += 1
    return shortest(w, begin, end, router.turn[0] - 1)
