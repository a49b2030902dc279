"""From recorded conversations to lines of values, which the pool's tables of them are made of, and to the beginnings of
prompts that many share.

Tables of turns, pauses, new text and what is kept are a sender's over all of the trace; those of first prompts are of
slots, as other lengths are. A sender's shared beginnings are told by their lengths, and by nothing else: one in
another is either the same as that one, or another one altogether, whichever has more tokens sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.clients.session_values import Values, values_of
from groundswell.clients.sessions import Sessions
from groundswell.fit.setting import Grid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LATER = ("think_ms", "new_tokens", "kept_ratio", "regenerate")
"""Fields of later turns."""
OF_TALKS = ("turns", *LATER, "shared_tokens")
_PARTS = {"turns": 2**12, "think_ms": 2**12}  # to which what a thing counts is told, where it is not 1


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines of ``sender``, ``slot`` (as the grid numbers them), ``value``, ``n``, ``total`` and ``support``, by field.

    ``input_tokens`` are of the senders that ``converses`` [P] marks, and the requests of their members that do not
    converse are in none of the lines.
    """

    frames: Mapping[str, pl.DataFrame]
    converses: NDArray[np.bool_]


def lines_of(sessions: Sessions, grid: Grid, recorded_s: tuple[float, float], k: int, single: Ints) -> Lines:
    """What the ``sessions`` of senders, recorded from and to these times of the clock, say with ``k`` requests or more.

    ``single`` [P] is how many requests of other members each sender has; they are conversations of one turn.
    """
    senders = sessions.first.size - 1
    values = values_of(sessions, *(np.full(senders, at) for at in recorded_s))
    shared = _shared(sessions, k)
    frames = {"shared_tokens": _lines("shared_tokens", shared, grid)} if shared.value.size else {}
    enough = values["turns"].value.size >= k and (k == 1 or values["new_tokens"].value.size >= k)
    converses = (np.diff(sessions.first) > 0) & enough
    if enough:
        frames |= {name: _lines(name, one, grid) for name, one in values.items() if one.value.size}
        also = np.flatnonzero(converses & (single > 0))
        once = Values(also, np.zeros(also.size), np.ones(also.size, np.int64), single[also].astype(np.float64))
        frames["turns"] = pl.concat([frames["turns"], _lines("turns", once, grid)])
    return Lines(frames, converses)


def _lines(name: str, values: Values, grid: Grid) -> pl.DataFrame:
    slot = np.zeros(values.value.size, np.int64)
    if name == "input_tokens":
        slot = grid.slot(grid.window(values.at_s - grid.clock_s(0.0)))
    n = np.rint(_PARTS.get(name, 1) * values.weight).astype(np.int64)
    columns = {"sender": values.client.astype(np.int64), "slot": slot, "value": values.value, "n": n}
    return (
        pl.DataFrame({**columns, "total": n * values.value, "support": np.ones(n.size)})
        .group_by("sender", "slot", "value")
        .agg(pl.exclude("sender", "slot", "value").sum())
        .filter(pl.col("n") > 0)
    )


@compiled
def _beginnings(first: Any, begun: Any, tokens: Any, within: Any, k: Any, out: Any) -> None:
    """The length of the beginning that each conversation is said to have, 0 for none, where ``begun`` is that it had.

    A beginning stands for all of a sender's conversations that begin with it, or those in it stand for theirs and it
    for the others: whichever sends more tokens again. Each that stands is that of ``k`` or more; those of fewer have
    the one that theirs lies in.
    """
    count = tokens.size
    own, all_of, rest = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    gain, below = np.zeros(count), np.zeros(count)
    whole = np.zeros(count, np.bool_)
    stands, length = np.full(count, -1, np.int64), np.zeros(count, np.int64)
    for c in range(first.size - 1):
        met = np.empty(0, np.int64)
        used = 0
        for m in range(first[c], first[c + 1]):
            at = begun[m]
            if at >= 0:
                own[at] += 1
            while at >= 0 and all_of[at] == 0:
                all_of[at] = 1
                if used == met.size:
                    larger = np.empty(2 * met.size + 8, np.int64)
                    larger[:used] = met
                    met = larger
                met[used] = at
                used += 1
                at = within[at]
        met = np.sort(met[:used])
        for at in met:
            all_of[at], rest[at], below[at] = own[at], own[at], 0.0
        for i in range(used - 1, -1, -1):  # what lies in another comes after it
            at = met[i]
            alone = (all_of[at] - 1.0) * tokens[at] if all_of[at] >= k else 0.0
            apart = below[at] + ((rest[at] - 1.0) * tokens[at] if rest[at] >= k else 0.0)
            whole[at] = alone >= apart and alone > 0.0
            gain[at] = max(alone, apart)
            up = within[at]
            if up >= 0:
                all_of[up] += all_of[at]
                below[up] += gain[at]
                if not whole[at] and rest[at] < k:
                    rest[up] += rest[at]
        stand = np.zeros(used, np.int64)
        standing = 0
        for at in met:
            up = within[at]
            if up >= 0 and whole[up]:
                whole[at], stands[at] = True, stands[up]
            elif whole[at] or (rest[at] >= k and tokens[at] > 0):
                stands[at] = at
                stand[standing] = at
                standing += 1
            else:
                stands[at] = stands[up] if up >= 0 else -1
        # two of one length are told apart by a token
        order = np.argsort(tokens[stand[:standing]])
        longest = 0
        for i in order:
            longest = max(longest + 1, tokens[stand[i]])
            length[stand[i]] = longest
        for m in range(first[c], first[c + 1]):
            at = begun[m]
            out[m] = length[stands[at]] if at >= 0 and stands[at] >= 0 else 0
        for at in met:
            own[at], all_of[at], rest[at], stands[at] = 0, 0, 0, -1


def _shared(sessions: Sessions, k: int) -> Values:
    """The beginnings of conversations' first prompts, of the senders of which some share any."""
    begun = sessions.shared[sessions.edge[:-1]].astype(np.int64)
    tokens, within = sessions.shared_tokens.astype(np.int64), sessions.shared_within.astype(np.int64)
    length = np.empty(begun.size, np.int64)
    _beginnings(sessions.first, begun, tokens, within, max(k, 2), length)
    any_of = np.bincount(sessions.client, length > 0, sessions.first.size - 1) > 0
    told = any_of[sessions.client]
    return Values(sessions.client[told], sessions.start_s[told], length[told], np.ones(int(told.sum())))
