"""New prefill tokens times batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswell.routing import ROUTING, Served, picks
from groundswell.routing._among import in_turn
from groundswell.routing._prefix import new_tokens


class _State(NamedTuple):
    turn: NDArray[np.int64]
    """[1]: where to look first, so that equals are taken in turn."""


@ROUTING.register("lmetric")
@dataclass(frozen=True)
class LMetric:
    """The instance with the smallest product of the prompt tokens that it would have to read and the requests that it
    would have in flight, each with this request; of equals the one with fewer requests, and of these each in turn.

    What it would have to read are the prompts of those in flight that have no token yet, and what of this request's
    prompt is not in its memory (Zhang et al., "LMetric", arXiv:2603.15202; in our reading, as its text leaves open
    whether what waits counts). The memory is seen as it is, also where the view of loads is old.
    """

    def state(self, served: Served) -> _State:
        """Nobody has been sent."""
        return _State(np.zeros(1, np.int64))


@picks(_State)
def _pick(router: Any, w: Any, r: Any, begin: Any, end: Any) -> Any:
    best, least = -1, np.int64(0)
    turn = router.turn[0]
    router.turn[0] += 1
    for k in range(end - begin):
        i = in_turn(begin, end, turn, k)
        seen = w.seen[i]
        if not seen.up:
            continue
        score = (seen.prefill_tokens + new_tokens(w, i, r)) * (seen.requests + 1)
        if best < 0 or score < least or (score == least and seen.requests < w.seen[best].requests):
            best, least = i, score
    return best
