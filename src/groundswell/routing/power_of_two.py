"""The better of two that are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import stream_key
from groundswell.routing import ROUTING, Served, picks
from groundswell.routing._among import up, ups, word_of


class _State(NamedTuple):
    key: NDArray[np.uint64]
    """[1]: of the stream in which each request has words."""


@ROUTING.register("power_of_two")
@dataclass(frozen=True)
class PowerOfTwo:
    """Of two different instances drawn by chance the one with fewer requests in flight; the first of them, if both have
    as many (Mitzenmacher, IEEE TPDS 12(10), 2001)."""

    def state(self, served: Served) -> _State:
        """The stream that belongs to the seed."""
        return _State(np.array([stream_key(served.seed, "routing")], np.uint64))


@picks(_State)
def _pick(router: Any, w: Any, r: Any, begin: Any, end: Any) -> Any:
    count = ups(w, begin, end)
    if count == 0:
        return -1
    one = np.int64(word_of(w, router.key[0], r, 0) % np.uint64(count))
    i = up(w, begin, one)
    if count == 1:
        return i
    steps = 1 + np.int64(word_of(w, router.key[0], r, 1) % np.uint64(count - 1))
    j = up(w, begin, (one + steps) % count)
    return j if w.seen[j].requests < w.seen[i].requests else i
