"""The fewest tokens in flight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswell.routing import ROUTING, Served, picks
from groundswell.routing._among import in_turn


class _State(NamedTuple):
    turn: NDArray[np.int64]
    """[1]: where to look first, so that equals are taken in turn."""


@ROUTING.register("least_tokens")
@dataclass(frozen=True)
class LeastTokens:
    """The instance whose requests in flight have the fewest tokens, prompts and replies together; of equals, each in
    turn. It takes replies for as long as they will be, which a router knows only as far as clients' limits tell."""

    def state(self, served: Served) -> _State:
        """Nobody has been sent."""
        return _State(np.zeros(1, np.int64))


@picks(_State)
def _pick(router: Any, w: Any, r: Any, begin: Any, end: Any) -> Any:
    best = -1
    turn = router.turn[0]
    router.turn[0] += 1
    for k in range(end - begin):
        i = in_turn(begin, end, turn, k)
        if w.seen[i].up and (best < 0 or w.seen[i].tokens < w.seen[best].tokens):
            best = i
    return best
