"""Hartigan's dip: how far a sample is from having one mode.

The dip is the least largest distance between the empirical distribution function and any unimodal one, that is one
which is convex up to some point and concave after it (Hartigan and Hartigan, "The Dip Test of Unimodality", 1985).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled, stream_key, uniform_of, word_at

Floats = NDArray[np.float64]

NULL_SIZE = 1_000
"""What is expected of one mode is simulated for at most so many values; √n times the dip depends on n no more."""
NULL_REPLICATES = 2_000


@compiled
def _minorant(x: Any, before: Any) -> None:
    """``before[j]``: the corner that precedes j in the greatest convex minorant of the values up to j."""
    before[0] = 0
    for j in range(1, x.size):
        before[j] = j - 1
        while True:
            a = before[j]
            b = before[a]
            if a == 0 or (x[j] - x[a]) * (a - b) < (x[a] - x[b]) * (j - a):
                break
            before[j] = b


@compiled
def _majorant(x: Any, after: Any) -> None:
    """``after[k]``: the corner that follows k in the least concave majorant of the values from k on."""
    last = x.size - 1
    after[last] = last
    for k in range(last - 1, -1, -1):
        after[k] = k + 1
        while True:
            a = after[k]
            b = after[a]
            if a == last or (x[k] - x[a]) * (a - b) < (x[a] - x[b]) * (k - a):
                break
            after[k] = b


@compiled
def _path(step: Any, begin: Any, end: Any, out: Any) -> Any:
    """The corners from ``begin`` to ``end``, into ``out``; the place of the last."""
    out[0], i = begin, 0
    while (out[i] - end) * (begin - end) > 0:
        out[i + 1] = step[out[i]]
        i += 1
    return i


@compiled
def _bulge(x: Any, b: Any, e: Any, sign: Any) -> Any:
    """How far the empirical function lies beyond the chord between values b and e, in steps: above it, or with ``sign``
    -1 below.
    """
    most = 1.0
    if e - b > 1 and x[e] != x[b]:
        slope = (e - b) / (x[e] - x[b])
        for i in range(b, e + 1):
            most = max(most, sign * ((i - b) - (x[i] - x[b]) * slope) + 1.0)
    return most


@compiled
def dip(x: Any) -> Any:
    """The dip of rising values; at least 1/(2n), at most 1/4. O(n).

    Hartigan's algorithm (AS 217, 1985) with the corrections of Mächler's R package ``diptest`` 0.76: the modal interval
    is narrowed until the minorant left of it and the majorant right of it are farther from the values than they are
    from each other.
    """
    n = x.size
    if n < 2 or x[0] == x[n - 1]:
        return 0.5 / max(n, 1)
    before, after = np.empty(n, np.int64), np.empty(n, np.int64)
    _minorant(x, before)
    _majorant(x, after)
    convex, concave = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
    low, high, found = 0, n - 1, 1.0
    while True:
        last_convex = _path(before, high, low, convex)
        last_concave = _path(after, low, high, concave)
        far, left, right = 0.0, last_convex, last_concave
        if last_convex != 1 or last_concave != 1:
            i, j = last_convex - 1, 1
            while True:
                p, q = convex[i], concave[j]
                if p > q:
                    o = convex[i + 1]
                    gap = (q - o + 1) - (x[q] - x[o]) * (p - o) / (x[p] - x[o])
                    j += 1
                    if gap >= far:
                        far, left, right = gap, i + 1, j - 1
                else:
                    o = concave[j - 1]
                    gap = (x[p] - x[o]) * (q - o) / (x[q] - x[o]) - (p - o - 1)
                    i -= 1
                    if gap >= far:
                        far, left, right = gap, i + 1, j
                i, j = max(i, 0), min(j, last_concave)
                if convex[i] == concave[j]:
                    break
        else:
            far = 1.0
        if far < found:
            break
        for k in range(left, last_convex):
            found = max(found, _bulge(x, convex[k + 1], convex[k], 1.0))
        for k in range(right, last_concave):
            found = max(found, _bulge(x, concave[k], concave[k + 1], -1.0))
        if low == convex[left] and high == concave[right]:
            break
        low, high = convex[left], concave[right]
    return 0.5 * found / n


@compiled
def _null(n: Any, replicates: Any, key: Any) -> Any:
    out, x = np.empty(replicates), np.empty(n)
    for r in range(replicates):
        stream = word_at(key, r)
        for i in range(n):
            x[i] = uniform_of(word_at(stream, i))
        out[r] = dip(np.sort(x))
    return np.sort(out)


@lru_cache(maxsize=64)
def _expected(n: int) -> Floats:
    """√n times the dips of uniform samples of n, rising."""
    return np.asarray(math.sqrt(n) * _null(n, NULL_REPLICATES, np.uint64(stream_key(n, "dip"))))


@dataclass(frozen=True)
class Dip:
    """The dip of ``n`` values, bounds between which the dip of what they were drawn from lies with 95 %, and ``p``, the
    odds of as large a dip from a uniform distribution, the least favourable of those with one mode.
    """

    value: float
    low: float
    high: float
    p: float
    n: int


def dip_test(values: Floats) -> Dip:
    """The dip of values in any order, none of them nan; figures are nan for fewer than 4.

    The dip moves by no more than the distribution function does, so Dvoretzky, Kiefer and Wolfowitz's bound (Massart,
    1990) holds for it: ±1.36/√n, for values that are independent.
    """
    n = values.size
    if n < 4:
        return Dip(np.nan, np.nan, np.nan, np.nan, n)
    value = float(dip(np.sort(np.asarray(values, np.float64))))
    expected = _expected(min(n, NULL_SIZE))
    p = 1.0 - np.searchsorted(expected, math.sqrt(n) * value, side="left") / expected.size
    room = math.sqrt(math.log(2.0 / 0.05) / (2.0 * n))
    return Dip(value, max(value - room, 0.0), min(value + room, 0.25), float(p), n)
