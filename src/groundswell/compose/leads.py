"""How long conversations last: so long before a run they have to begin for it to be in the midst of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import compiled, word_at
from groundswell.compose.turns import ALONE, OUTPUT, STATED, THINK, TURNS, drawn

_MOST_LAGS = 1 << 16


@compiled
def leads(
    kind: Any, key: Any, tries: Any, law: Any, tables: Any, first: Any, edge: Any, think_s: Any, output_tokens: Any,
    speed: Any, bounds: Any, lead_s: Any,
) -> None:  # fmt: skip
    """How long after their conversation's beginning all but a share of each client's later turns have come.

    ``bounds`` are that share, and a time: turns that come after it do not count. A client's recorded conversations are
    looked at, or as many as ``tries[c]`` that are drawn by its laws; :data:`_MOST_LAGS` turns at most.
    """
    late, longest_s = bounds
    lag_s = np.empty(_MOST_LAGS)
    for c in range(kind.size):
        n = 0
        stated = kind[c] == STATED
        step = 1
        if not stated and kind[c] != ALONE:
            step += (edge[first[c + 1]] - edge[first[c]]) // _MOST_LAGS
        for i in range(0, tries[c] if stated else first[c + 1] - first[c], step):
            own = word_at(key[c], i)
            begin = np.int64(0)
            if stated:
                turns = np.int64(drawn(own, 0, TURNS, law[c], 1.0, tables))
            else:
                begin = edge[first[c] + i]
                turns = edge[first[c] + i + 1] - begin
            t = 0.0
            for k in range(1, turns):
                if stated:
                    out = np.int64(drawn(own, k - 1, OUTPUT, law[c], 1.0, tables))
                    pause = 1e-3 * drawn(own, k, THINK, law[c], 0.0, tables)
                else:
                    out, pause = np.int64(output_tokens[begin + k - 1]), np.float64(think_s[begin + k])
                t += max(speed[0] + speed[1] * out + pause, 0.0)
                if t > longest_s or n == _MOST_LAGS:
                    break
                lag_s[n] = t
                n += 1
        if n > 0:
            place = min(int(n * (1.0 - late)), n - 1)
            lead_s[c] = np.sort(lag_s[:n])[place]
