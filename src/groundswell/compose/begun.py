"""Which conversations begin, and the shape of each: by its client's laws, or that of one which was recorded."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import compiled, mix, uniform_of, word_at
from groundswell.compose.laws import ALONE, OUTPUT, RECORDED, SHARED, STATED, THINK, TURNS, drawn, word_of

TOGETHER = 16
"""So many recorded conversations that began one after the other are shuffled."""

BEGUN = np.dtype([("key", np.uint64), ("slot", np.int64), ("window", np.int64), ("rank", np.int64), ("of", np.int64)])
"""A conversation that begins. In ``window`` of the pool, -1 for none of them, it is number ``rank`` in time of the
``of`` that its client begins there, about; ``of`` is 0 where that is not known.
"""

_SALT = np.uint64(0xD1B54A32D192ED03)


@compiled
def _key(piece: Any, number: Any) -> Any:
    """The key of the conversation that request ``number`` of a piece begins, of which ``piece`` is the key."""
    return mix(word_at(piece, np.uint64(number) * np.uint64(16)) ^ _SALT)


@compiled
def may_last(
    of: Any, number: Any, key: Any, client: Any, slot: Any, kind: Any, laws: Any, tables: Any, longest: Any, speed: Any,
    at_s: Any, out: Any,
) -> None:  # fmt: skip
    """Which conversations that would begin ``at_s`` may have a turn at 0 s or later; of the others none has.

    Only laws are looked at; the first reply, which is not known yet, is taken to be the ``longest`` of its law.
    """
    for i in range(of.size):
        p = of[i]
        c, t = client[p], at_s[i]
        law = laws[c, slot[p]]
        out[i] = t >= 0.0 or kind[c] > STATED or law[OUTPUT] < 0
        if out[i] or kind[c] == ALONE:
            continue
        own = _key(key[p], number[i])
        reply = np.float64(longest[law[OUTPUT]])
        for k in range(1, np.int64(drawn(own, 0, TURNS, law, 1.0, tables))):
            t += max(speed[0] + speed[1] * reply + 1e-3 * drawn(own, k, THINK, law, 0.0, tables), 0.0)
            if t >= 0.0:
                out[i] = True
                break
            reply = drawn(own, k, OUTPUT, law, 1.0, tables)


@compiled
def identify(
    of: Any, number: Any, rank: Any, key: Any, slot: Any, window: Any, count: Any, phase: Any, conversation: Any
) -> None:
    """The ``conversation`` that each placed request would begin, where its row is (:data:`BEGUN`)."""
    for i in range(of.size):
        p, to = of[i], rank[i]
        conversation[to]["key"] = _key(key[p], number[i])
        conversation[to]["slot"], conversation[to]["window"] = slot[p], window[p]
        conversation[to]["of"] = count[p]
        # A piece's requests lie on a circle that is turned by its phase.
        turned = number[i] + np.int64(phase[p] * count[p])
        conversation[to]["rank"] = turned % count[p] if count[p] > 0 else number[i]


@compiled
def _place(rank: Any, of: Any, size: Any) -> Any:
    """Which of ``size`` recorded conversations number ``rank`` of ``of`` takes: each as often as the others."""
    if of == 0:
        return rank % size
    at = min(np.int64((rank + 0.5) * size / of), size - 1)
    low = at - at % TOGETHER
    begins = np.int64(np.ceil(low * of / size - 0.5))  # the first rank that comes among these
    return low + max(rank - begins, 0) % min(TOGETHER, size - low)


@compiled
def shapes(
    kind: Any, client: Any, begun: Any, at_s: Any, law: Any, tables: Any, first: Any, near: Any, start_s: Any,
    edge: Any, window_s: Any, shuffled: Any, recorded: Any, turns: Any,
) -> None:  # fmt: skip
    """How many ``turns`` each conversation has, and the number of the ``recorded`` one whose shape it takes.

    The conversations of a window take the shapes of those that its client began there, each as often as the others
    and near its own time: neighbours in the order ``shuffled``, of which :data:`TOGETHER` change places. Where there
    are none, or no window, it is one of the ``near[c]`` that client c began at about that time.
    """
    for i in range(client.size):
        c = client[i]
        recorded[i] = -1
        turns[i] = 1
        if kind[c] == STATED:
            turns[i] = max(np.int64(drawn(begun[i]["key"], 0, TURNS, law[i], 1.0, tables)), 1)
        elif kind[c] != ALONE:
            starts = start_s[first[c] : first[c + 1]]
            w = begun[i]["window"] if kind[c] == RECORDED else -1
            low, high = 0, 0
            if w >= 0:
                low, high = np.searchsorted(starts, window_s[w]), np.searchsorted(starts, window_s[w + 1])
            if low < high:
                place = _place(begun[i]["rank"], begun[i]["of"], high - low)
                recorded[i] = shuffled[first[c] + low + place]
            else:
                middle = np.searchsorted(starts, at_s[i])
                begin = min(max(middle - near[c] // 2, 0), starts.size - near[c])
                one = np.int64(uniform_of(word_of(begun[i]["key"], 0, TURNS)) * near[c])
                recorded[i] = first[c] + begin + one
            turns[i] = edge[recorded[i] + 1] - edge[recorded[i]]


@compiled
def rooms(key: Any, law: Any, tables: Any, room: Any) -> None:
    """Draw the length of the shared beginning of each conversation that is not a recorded one."""
    for i in range(key.size):
        room[i] = np.int64(drawn(key[i], 0, SHARED, law[i], 0.0, tables))
