"""By chance."""

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


@ROUTING.register("random")
@dataclass(frozen=True)
class Random:
    """Any instance that is up, each as likely as the others. A request's instance depends on the seed and its row, not
    on what was sent before."""

    def state(self, served: Served) -> _State:
        """The stream that belongs to the seed."""
        return _State(np.array([stream_key(served.seed, "routing")], np.uint64))


@picks(_State)
def _pick(router: Any, w: Any, r: Any, begin: Any, end: Any) -> Any:
    count = ups(w, begin, end)
    if count == 0:
        return -1
    return up(w, begin, np.int64(word_of(w, router.key[0], r, 0) % np.uint64(count)))
