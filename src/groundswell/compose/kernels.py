"""The compiled inner loops of composing: gaps to places, places to times, times to order, words to lengths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from groundswell.chance import compiled, inlined, normal, uniform_of, word_at
from groundswell.compose.geometry import time_of
from groundswell.length_tables import draw

INDEPENDENT, RANKED, COMONOTONE = 0, 1, 2
_LOW = np.uint64(0xFFFFFFFF)
_ROOT_HALF = 0.7071067811865476


@compiled
def words(keys: Any, index: Any) -> Any:
    """Word ``index[i]`` of each stream ``keys[i]``."""
    out = np.empty(keys.size, np.uint64)
    for i in range(keys.size):
        out[i] = word_at(keys[i], index[i])
    return out


@compiled
def place(
    gaps: Any, offset: Any, owner: Any, index: Any, begin: Any, total: Any,
    phase: Any, start: Any, length: Any, low: Any, high: Any, u: Any, of: Any, number: Any,
) -> Any:  # fmt: skip
    """Put requests on their windows: how many were put.

    Run ``r`` holds requests ``index[r]`` onward of piece ``owner[r]``, whose gaps lie at ``offset[r]`` onward; the gaps
    before them sum to ``begin[r]``. A piece is a circle of ``length`` (a share of the window) that all its gaps fill,
    turned by ``phase`` and laid from ``start`` on. Where ``total`` of a piece is nan the run is the whole piece. Only
    places in [low, high) are put: into ``u``, their piece into ``of``, their number into ``number``.
    """
    n = 0
    for r in range(owner.size):
        p = owner[r]
        whole = total[p]
        if np.isnan(whole):
            whole = 0.0
            for i in range(offset[r], offset[r + 1]):
                whole += gaps[i]
        running = begin[r]
        for i in range(offset[r], offset[r + 1]):
            x = phase[p]
            if whole > 0.0:
                x += running / whole
            if x >= 1.0:
                x -= 1.0
            x = start[p] + length[p] * min(x, 1.0 - 1e-16)
            if low <= x < high:
                u[n] = x
                of[n] = p
                number[n] = index[r] + i - offset[r]
                n += 1
            running += gaps[i]
    return n


@compiled
def accumulate(gaps: Any, running: float, stride: int, marks: Any) -> float:
    """The running sum after ``gaps``; its value before every ``stride``-th gap goes into ``marks``."""
    for i in range(gaps.size):
        if i % stride == 0:
            marks[i // stride] = running
        running += gaps[i]
    return running


@compiled
def wanted_chunks(
    marks: Any, total: float, phase: float, start: float, length: float, low: float, high: float, wanted: Any
) -> None:
    """Which chunks of a circle, given the running sums at their starts, may put a request in [low, high)."""
    for c in range(marks.size):
        end = marks[c + 1] if c + 1 < marks.size else total
        x, y = phase + marks[c] / total, phase + end / total
        if x < 1.0 <= y:
            wanted[c] = True  # the chunk runs past the circle's seam
            continue
        if x >= 1.0:
            x, y = x - 1.0, y - 1.0
        wanted[c] = start + length * x < high and start + length * y >= low - 1e-12


@compiled
def times(
    u: Any, of: Any, window: Any, knot_s: Any, integral: Any, left: Any, slope: Any, piece: Any, out: Any
) -> None:
    """The run's time of every place."""
    for i in range(u.size):
        w = window[of[i]]
        k = piece[w]
        if piece[w + 1] == k + 1 and slope[k] == 0.0:  # the factor is constant in most windows
            out[i] = knot_s[k] + u[i] * (knot_s[k + 1] - knot_s[k])
        else:
            out[i] = time_of(u[i], w, knot_s, integral, left, slope, piece)


@compiled
def ranks(time: Any, begin: float, end: float, sorted_time: Any, rank: Any) -> None:
    """Sort ``time`` (within begin…end) into ``sorted_time``; ``rank[i]`` is where time ``i`` went. Ties keep their
    order.

    A counting sort into as many bins as there are times, then an insertion sort of each bin; a crowded bin is sorted by
    merging instead, so bursts cost n log n and not n².
    """
    n = time.size
    bins = n + 1
    scale = n / (end - begin)
    edge = np.zeros(bins + 1, np.int32)
    place_of = np.empty(n, np.int32)
    for i in range(n):
        b = min(max(np.int64((time[i] - begin) * scale), 0), n)
        place_of[i] = b
        edge[b + 1] += 1
    for b in range(bins):
        edge[b + 1] += edge[b]
    order = np.empty(n, np.int32)
    for i in range(n):
        b = place_of[i]
        order[edge[b]] = i
        edge[b] += 1
    first = 0
    for b in range(bins):
        last = edge[b]  # filling moved every edge to its bin's end
        if last - first > 24:
            run = order[first:last].copy()
            order[first:last] = run[np.argsort(time[run], kind="mergesort")]
        else:
            for i in range(first + 1, last):
                moving = order[i]
                t = time[moving]
                k = i
                while k > first and time[order[k - 1]] > t:
                    order[k] = order[k - 1]
                    k -= 1
                order[k] = moving
        first = last
    for k in range(n):
        sorted_time[k] = time[order[k]]
        rank[order[k]] = k


@compiled
def lengths(
    of: Any, number: Any, rank: Any, client: Any, key: Any, table: Any, donor_of: Any, donor_share: Any, donor_table:
    Any, first: Any, value: Any, threshold: Any, guide_first: Any, guide: Any,
    joint: int, correlation: float, sender: Any, out: Any,
) -> None:  # fmt: skip
    """Draw every field of every request, and say who sent it: ``out[f, rank[i]]`` (-1 where its client has no such
    field) and ``sender[rank[i]]``.

    Fields 0 and 1 are input and output. Each request's words are its own, by its piece's ``key`` and its number, so no
    order matters. A piece whose ``donor_of`` is a slot, not -1, is a client without lengths: each of its requests is
    one of another client, chosen by rate.
    """
    fields = out.shape[0]
    for i in range(of.size):
        p, to = of[i], rank[i]
        sender[to] = client[p]
        base = np.uint64(number[i]) * np.uint64(16)
        word = word_at(key[p], base)
        if donor_of[p] >= 0:
            share = donor_share[donor_of[p]]
            pick = np.searchsorted(share, uniform_of(word_at(key[p], base + np.uint64(15))), side="right")
            choice = donor_table[donor_of[p], min(pick, share.size - 1)]
        else:
            choice = table[p]
        one, two = word >> np.uint64(32), word & _LOW
        if joint == COMONOTONE:
            two = one
        elif joint == RANKED:
            state, x = normal(word)
            state, y = normal(state)
            y = correlation * x + np.sqrt(max(1.0 - correlation * correlation, 0.0)) * y
            one, two = _word_of_normal(x), _word_of_normal(y)
        for f in range(fields):
            if f == 0:
                w = one
            elif f == 1:
                w = two
            elif joint == COMONOTONE:
                w = one
            else:
                w = word_at(key[p], base + np.uint64(f)) >> np.uint64(32)
            d = choice[f]
            out[f, to] = draw(w, d, first, value, threshold, guide_first, guide) if d >= 0 else np.float32(-1.0)


@inlined
def _word_of_normal(x: Any) -> Any:
    # erfc keeps both tails; 2³² - 1 is the largest word
    return np.uint64(min(0.5 * math.erfc(-x * _ROOT_HALF) * 4294967296.0, 4294967295.0))


@compiled
def items(
    of: Any, number: Any, rank: Any, key: Any, count_offset: Any, stream: int, size_of: Any,
    donor_of: Any, donor_share: Any, donor_sizes: Any,
    first: Any, value: Any, threshold: Any, guide_first: Any, guide: Any, out: Any,
) -> None:  # fmt: skip
    """Draw the size of every item of every request: ``out[count_offset[rank[i]]]`` onward."""
    for i in range(of.size):
        p, to = of[i], rank[i]
        base = np.uint64(number[i]) * np.uint64(16)
        d = size_of[p]
        if donor_of[p] >= 0:
            share = donor_share[donor_of[p]]
            pick = np.searchsorted(share, uniform_of(word_at(key[p], base + np.uint64(15))), side="right")
            d = donor_sizes[donor_of[p], min(pick, share.size - 1)]
        own = word_at(key[p], base + np.uint64(stream))
        for k in range(count_offset[to], count_offset[to + 1]):
            w = word_at(own, k - count_offset[to]) >> np.uint64(32)
            out[k] = draw(w, d, first, value, threshold, guide_first, guide) if d >= 0 else np.float32(0.0)
