"""How long after its beginning the requests of a conversation come, and so how long before a run it has to begin."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import compiled, word_at
from groundswell.compose.laws import ALONE, OUTPUT, STATED, THINK, TURNS, drawn

_MOST_LAGS, _LOOKED_AT = 1 << 16, 1 << 12


@compiled
def leads(
    kind: Any, key: Any, tries: Any, law: Any, tables: Any, first: Any, edge: Any, think_s: Any, output_tokens: Any,
    speed: Any, bounds: Any, window_s: float, lead_s: Any, came: Any,
) -> None:  # fmt: skip
    """``lead_s[c]``: how long after their conversation's beginning all but a share of a client's later turns have come;
    ``came[c, k]``: the share of all its requests that come k windows after it, or more than the last of these.

    ``bounds`` are that share, and a time: turns that come after it do not count. A client's recorded conversations are
    looked at, or some of them if they have many requests, or as many as ``tries[c]`` that are drawn by its laws.
    """
    late, longest_s = bounds
    lag_s = np.empty(_MOST_LAGS)
    last = came.shape[1] - 1
    for c in range(kind.size):
        n = 0
        came[c] = 0.0
        stated = kind[c] == STATED
        step = 1
        if not stated and kind[c] != ALONE:
            step += (edge[first[c + 1]] - edge[first[c]]) // _LOOKED_AT
        for i in range(0, tries[c] if stated else first[c + 1] - first[c], step):
            own = word_at(key[c], i)
            begin = np.int64(0)
            if stated:
                turns = np.int64(drawn(own, 0, TURNS, law[c], 1.0, tables))
            else:
                begin = edge[first[c] + i]
                turns = edge[first[c] + i + 1] - begin
            t = 0.0
            came[c, 0] += 1.0
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
                # a beginning is anywhere in its window
                windows = int(min(t / window_s, last))
                part = min(t / window_s, last) - windows
                came[c, windows] += 1.0 - part
                came[c, min(windows + 1, last)] += part
                n += 1
        if came[c, 0] > 0.0:
            came[c] /= came[c].sum()
        if n > 0:
            place = min(int(n * (1.0 - late)), n - 1)
            lead_s[c] = np.partition(lag_s[:n], place)[place]
