"""The compiled loop that makes conversations of their beginnings: turns, pauses, growing context, blocks in runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import compiled
from groundswell.compose.laws import AGAIN, KEPT, NEW, OUTPUT, REASON, THINK, drawn, word_of

_BASE, _PARTIAL = np.uint64(8), np.uint64(9)  # words of a turn, beside those of its figures
_TWO = np.uint64(2)


@compiled
def _grown(pairs: Any, used: Any, more: Any) -> Any:
    if used + more <= pairs.size:
        return pairs
    larger = np.empty(max(2 * pairs.size, used + more), np.int64)
    larger[:used] = pairs[:used]
    return larger


@compiled
def _put(pairs: Any, begin: Any, used: Any, first: Any, count: Any) -> Any:
    """Put a run behind those since ``begin``, joined to the last one where it follows it: how much is used then."""
    if count <= 0:
        return used
    if used > begin and pairs[used - 2] + pairs[used - 1] == first:
        pairs[used - 1] += count
        return used
    pairs[used], pairs[used + 1] = first, count
    return used + 2


@compiled
def _put_shared(pairs: Any, used: Any, k: Any, tokens: Any, size: Any, shared: Any) -> Any:
    """The runs of the first ``tokens`` of shared beginning ``k``: how much is used then, and how many blocks."""
    shared_tokens, within, base = shared
    begin, done = used, 0
    while True:
        # the outermost beginning that reaches beyond what is done
        part = k
        while within[part] >= 0 and min(shared_tokens[within[part]], tokens) // size > done:
            part = within[part]
        upto = min(shared_tokens[part], tokens) // size
        used = _put(pairs, begin, used, base[part] + done, upto - done)
        done = max(done, upto)
        if part == k:
            return used, done


@compiled
def _blocks(tokens: Any, size: Any) -> Any:
    """The whole blocks of so many tokens; a division of 32 bits is much faster than one of 64."""
    return np.int64(np.uint32(tokens) // np.uint32(size))


@compiled
def _first_blocks(pairs: Any, used: Any, begins: Any, ends: Any, goal: Any) -> Any:
    """The runs of the first ``goal`` blocks of those between ``begins`` and ``ends``: how much is used, and blocks."""
    begin, blocks = used, np.int64(0)
    for r in range(begins, ends, 2):
        some = min(pairs[r + 1], goal - blocks)
        if some <= 0:
            break
        used = _put(pairs, begin, used, pairs[r], some)
        blocks += some
    return used, blocks


@compiled
def _is_over(
    key: Any, at_s: Any, turns: Any, law: Any, tables: Any, step: Any, think_s: Any, output_tokens: Any, reply: Any,
    speed: Any,
) -> Any:  # fmt: skip
    """Whether a conversation that began ``at_s``, with a first reply of ``reply`` tokens, has its last turn before 0 s.

    ``step`` is where its recorded requests are, -1 if it is none of these.
    """
    t = at_s
    out = np.int64(reply)
    for k in range(1, turns):
        if step >= 0:
            out, pause = np.int64(output_tokens[step + k - 1]), np.float64(think_s[step + k])
        else:
            pause = 1e-3 * drawn(key, k, THINK, law, 0.0, tables)
        t += max(speed[0] + speed[1] * out + pause, 0.0)
        if step < 0:
            out = np.int64(drawn(key, k, OUTPUT, law, np.float64(reply), tables))
    return t < 0.0


@compiled
def unfold(
    client: Any, key: Any, at_s: Any, turns: Any, recorded: Any, law: Any, tables: Any,
    room: Any, base_id: Any, shared: Any, deepest: int,
    edge: Any, common: Any, think_s: Any, back: Any, kept_tokens: Any,
    input_tokens: Any, output_tokens: Any, reason_tokens: Any,
    speed: Any, most: int, size: int, end_s: float, begun: Any,
    row: Any, turn: Any, time: Any, think: Any, given: Any, reply: Any, reason: Any, runs: Any,
) -> Any:  # fmt: skip
    """Put every conversation's turns that come before ``end_s``, conversation after conversation: how many, and runs.

    Row ``row[n]`` begins the conversation of turn n; ``begun`` has the rows' first requests (input, output, reasoning).
    A prompt without history begins with the shared beginning that was recorded (``common``), or with ``room[i]`` tokens
    whose blocks count from ``base_id[i]``; it is longer than these. With ``size`` 0 there are no runs.
    """
    ttft_s, tpot_s = speed
    pairs = np.empty(8 * (client.size + 1), np.int64)
    longest = turns.max() if client.size else 0
    begins, ends = np.zeros(longest, np.int64), np.zeros(longest, np.int64)  # of the runs of a conversation's turns
    extended = np.zeros(longest, np.bool_)  # whether a turn's blocks have a continuation that counts on from them
    common_blocks = np.zeros(longest, np.int64)  # how many of a turn's blocks are of the shared beginning
    used, n = 0, 0
    for i in range(client.size):
        t = at_s[i]
        step = edge[recorded[i]] if recorded[i] >= 0 else np.int64(-1)
        if t < 0.0 and _is_over(
            key[i], t, turns[i], law[i], tables, step, think_s, output_tokens, begun[1, i], speed
        ):  # fmt: skip
            continue  # it would be left out: most of those before the run are
        for k in range(turns[i]):
            pause, keeps, base = 0.0, np.int64(0), np.int64(0)
            beginning, which = np.int64(room[i]), np.int64(-1)
            if recorded[i] >= 0:
                s = step + k
                which = np.int64(common[s])
                beginning = np.int64(shared[0][which]) if which >= 0 else np.int64(0)
                length, out, thought = np.int64(input_tokens[s]), np.int64(output_tokens[s]), np.int64(reason_tokens[s])
                pause, keeps, base = np.float64(think_s[s]), np.int64(kept_tokens[s]), np.int64(back[s])
            elif k == 0:
                length, out, thought = np.int64(begun[0, i]), np.int64(begun[1, i]), np.int64(begun[2, i])
                length = max(length, beginning + (beginning > 0))  # a beginning is not all of a prompt
            else:
                base = np.int64(1)
                pause = 1e-3 * drawn(key[i], k, THINK, law[i], 0.0, tables)
                length = np.int64(given[n - 1])
                keeps = length
                if drawn(key[i], k, AGAIN, law[i], 0.0, tables) < 0.5:
                    context = np.float64(length + reply[n - 1])
                    keeps = np.int64(context * drawn(key[i], k, KEPT, law[i], 1.0, tables))
                    length = min(keeps + np.int64(drawn(key[i], k, NEW, law[i], 1.0, tables)), np.int64(2**30))
                # who borrows its lengths has no law of replies: they are as long as the first one
                out = np.int64(drawn(key[i], k, OUTPUT, law[i], np.float64(begun[1, i]), tables))
                thought = np.int64(np.rint(drawn(key[i], k, REASON, law[i], 0.0, tables) * out))
            if k > 0:
                t += max(ttft_s + tpot_s * reply[n - 1] + pause, 0.0)
                if not t < end_s:
                    break
            if length > most:  # what is oldest behind the shared beginning is dropped
                length, keeps = np.int64(most), min(keeps, beginning)
            row[n], turn[n], time[n], think[n] = i, k + 1, t, max(pause, 0.0)
            given[n], reply[n], reason[n] = length, out, thought
            if size > 0:
                before, follows = np.int64(0), False
                if base > 0:
                    before = ends[k - base] - begins[k - base]
                pairs = _grown(pairs, used, before + 2 * deepest + 8)
                begin, blocks = used, np.int64(0)
                if base > 0:
                    earlier = np.int64(given[n - base])
                    again = length == earlier and keeps >= length
                    goal = _blocks(length + size - 1 if again else min(keeps, min(earlier, length)), size)
                    used, blocks = _first_blocks(pairs, used, begins[k - base], ends[k - base], goal)
                    common_blocks[k] = min(common_blocks[k - base], blocks)
                    whole_kept = blocks == _blocks(earlier, size) and not extended[k - base]
                    follows = whole_kept and blocks > common_blocks[k]
                if blocks == 0:
                    if which >= 0:
                        used, blocks = _put_shared(pairs, used, which, min(beginning, length), size, shared)
                        if length == beginning and blocks * size < length:  # all of the prompt is shared
                            used = _put(pairs, begin, used, shared[2][which] + blocks, 1)
                            blocks += 1
                    else:
                        blocks = _blocks(min(beginning, length), size)
                        used = _put(pairs, begin, used, base_id[i], blocks)
                    common_blocks[k] = blocks
                whole = _blocks(length + size - 1, size)
                full = whole if k == turns[i] - 1 else _blocks(length, size)  # nothing follows, so nothing can differ
                if blocks < full:
                    fresh = np.int64(word_of(key[i], k, _BASE) >> _TWO)
                    if follows:
                        fresh = pairs[used - 2] + pairs[used - 1]
                        extended[k - base] = True
                    used = _put(pairs, begin, used, fresh, full - blocks)
                    blocks = full
                if blocks < whole:  # the last block, in part: no other prompt ends so
                    pairs[used], pairs[used + 1] = np.int64(word_of(key[i], k, _PARTIAL) >> _TWO), 1
                    used += 2
                begins[k], ends[k], extended[k] = begin, used, False
                runs[n] = used - begin
            n += 1
    return n, pairs[:used]


@compiled
def gathered(order: Any, count: Any, values: Any) -> Any:
    """The runs of values of ``order``, in that order; run n has ``count[n]`` values."""
    begin = np.zeros(count.size + 1, np.int64)
    for n in range(count.size):
        begin[n + 1] = begin[n] + count[n]
    total = 0
    for n in order:
        total += count[n]
    out = np.empty(total, values.dtype)
    k = 0
    for n in order:
        for j in range(begin[n], begin[n + 1]):
            out[k] = values[j]
            k += 1
    return out
