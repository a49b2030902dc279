"""How many conversations must begin when, for their requests to come when they are asked for.

A conversation's later turns come later: where a rate rises, beginnings in proportion to it bring too few requests, and
too many where it falls. What comes is the rate blurred by how long after a beginning requests come, and what undoes
that without ever asking for less than nothing is the iteration of Richardson (1972) and Lucy (1974).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import compiled

_ROUNDS = 16
_NEAR_ENOUGH = 2e-3


@compiled
def ahead(wanted: Any, begin: Any, late: Any, ratio: Any) -> None:
    """The factor ``ratio[w, c]`` on client c's beginnings in window w that gives about the requests ``wanted[w, c]``.

    Beginnings in proportion to ``wanted`` are those with a factor of 1. Of a conversation's requests the share
    ``late[c, k]`` comes k windows after it began. A client's windows count from ``begin[c]`` on; before the first and
    after the last all is as it is there.
    """
    windows, clients = wanted.shape
    begun, came, lack = np.empty(windows), np.empty(windows), np.empty(windows)
    for c in range(clients):
        low = begin[c]
        size = windows - low
        longest = 0
        for k in range(late.shape[1]):
            if late[c, k] > 0.0:
                longest = k
        goal = wanted[low:, c]
        ratio[:, c] = 1.0
        if size < 2 or longest == 0 or goal.min() == goal.max():
            continue
        for w in range(size):
            begun[w] = goal[w]
        for _ in range(_ROUNDS):
            worst = 0.0
            for w in range(size):
                came[w] = 0.0
                for k in range(longest + 1):
                    came[w] += late[c, k] * begun[max(w - k, 0)]
                lack[w] = goal[w] / came[w] if came[w] > 0.0 else 1.0
                if goal[w] > 0.0:
                    worst = max(worst, abs(lack[w] - 1.0))
            if worst < _NEAR_ENOUGH:
                break
            for w in range(size):
                factor = 0.0
                for k in range(longest + 1):
                    factor += late[c, k] * lack[min(w + k, size - 1)]
                begun[w] *= factor
        for w in range(size):
            if goal[w] > 0.0:
                ratio[low + w, c] = begun[w] / goal[w]
