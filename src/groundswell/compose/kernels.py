"""The compiled inner loops of composing: gaps to places, places to times, times to order, words to lengths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from groundswell.chance import compiled, normal, uniform_of, word_at
from groundswell.compose.geometry import time_of
from groundswell.length_tables import draw

INDEPENDENT, RANKED, COMONOTONE = 0, 1, 2
_LOW = np.uint64(0xFFFFFFFF)
_ROOT_HALF = 0.7071067811865476


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
def reach(
    marks: Any, mark_edge: Any, owner: Any, total: Any, phase: Any, start: Any, length: Any, low: float, high: float,
    first: Any, last: Any,
) -> None:  # fmt: skip
    """Which chunks of each circle may put a request in [low, high): ``first[k, i]`` up to and with ``last[k, i]``.

    Circle ``i`` belongs to piece ``owner[i]`` and has its running sums at ``marks[mark_edge[i]:mark_edge[i + 1]]``. Its
    part of [low, high), turned back by the phase, is one stretch of the circle or, across the seam, two; ``last`` is
    below ``first`` where there is none. A chunk too many does no harm, as places are looked at again.
    """
    slack = 1e-9
    for i in range(owner.size):
        p = owner[i]
        sums = marks[mark_edge[i] : mark_edge[i + 1]]
        first[:, i], last[:, i] = 0, -1
        x0 = max((low - start[p]) / length[p], 0.0) - slack
        x1 = min((high - start[p]) / length[p], 1.0) + slack
        if x1 <= 0.0 or x0 >= 1.0:
            continue
        if total[p] <= 0.0 or x1 - x0 >= 1.0:
            last[0, i] = sums.size - 1
            continue
        for k in range(2):
            # the stretch in turns before the seam (k = 1) and after it (k = 0)
            y0, y1 = max(x0 - phase[p] + k, 0.0), min(x1 - phase[p] + k, 1.0)
            if y0 < y1 + slack:
                first[k, i] = max(np.searchsorted(sums, (y0 - slack) * total[p], side="right") - 1, 0)
                last[k, i] = np.searchsorted(sums, (y1 + slack) * total[p], side="right") - 1
        if last[0, i] >= first[0, i] and last[1, i] >= first[1, i]:
            if max(first[0, i], first[1, i]) <= min(last[0, i], last[1, i]) + 1:  # they meet: no chunk twice
                first[0, i], last[0, i] = min(first[0, i], first[1, i]), max(last[0, i], last[1, i])
                first[1, i], last[1, i] = 0, -1
            elif first[0, i] > first[1, i]:  # in rising order
                first[0, i], first[1, i] = first[1, i], first[0, i]
                last[0, i], last[1, i] = last[1, i], last[0, i]


@compiled
def by_part(u: Any, edge: Any, first: Any, order: Any) -> None:
    """Sort places by the part they lie in, part k from ``edge[k]`` on; its places are ``order[first[k]:first[k + 1]]``.

    Within a part they keep their order. ``first`` comes in as zeros, one more than there are parts.
    """
    parts = edge.size - 1
    part_of = np.empty(u.size, np.int32)
    for i in range(u.size):
        k = min(np.int64(u[i] * parts), parts - 1)
        while u[i] < edge[k]:
            k -= 1
        while u[i] >= edge[k + 1]:
            k += 1
        part_of[i] = k
        first[k + 1] += 1
    for k in range(parts):
        first[k + 1] += first[k]
    place_of = first.copy()
    for i in range(u.size):
        k = part_of[i]
        order[place_of[k]] = i
        place_of[k] += 1


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
def _sorted_by(place_of: Any, bins: int, time: Any) -> Any:
    """The order of ``time``, of which each lies in the bin ``place_of`` says, bins rising with time; ties keep theirs.

    A counting sort, then an insertion sort of each bin; a crowded bin is sorted by merging instead, so bursts cost
    n log n and not n².
    """
    n = time.size
    edge = np.zeros(bins + 1, np.int32)
    for i in range(n):
        edge[place_of[i] + 1] += 1
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
    return order


@compiled
def ranks(time: Any, begin: float, end: float, sorted_time: Any, rank: Any) -> None:
    """Sort ``time`` (within begin…end) into ``sorted_time``; ``rank[i]`` is where time ``i`` went. Ties keep their
    order. There are as many bins as times.
    """
    n = time.size
    scale = n / (end - begin)
    place_of = np.empty(n, np.int32)
    for i in range(n):
        place_of[i] = min(max(np.int64((time[i] - begin) * scale), 0), n)
    order = _sorted_by(place_of, n + 1, time)
    for k in range(n):
        sorted_time[k] = time[order[k]]
        rank[order[k]] = k


@compiled
def in_order(time: Any, begin: float, width: float) -> Any:
    """The order of ``time``, most of it from ``begin`` to ``width`` later and the rest far behind; ties keep theirs.

    Half of the bins divide that stretch evenly, the others the doublings of ``width`` after it.
    """
    n = time.size
    place_of = np.empty(n, np.int32)
    per_doubling = n / 32.0
    for i in range(n):
        x = (time[i] - begin) / width
        if x < 1.0:
            place_of[i] = max(np.int64(x * n), 0)
        else:
            place_of[i] = n + min(np.int64(np.log2(x) * per_doubling), n)
    return _sorted_by(place_of, 2 * n + 1, time)


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


@compiled
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
