"""How windows, slots and lengths are merged so that no figure rests on fewer than k requests, and no total is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ROUNDING = 1e-6  # of sums of supports, which need not be whole


@compiled
def _stretches(requests: Any, k: Any, out: Any) -> None:
    for p in range(requests.shape[0]):
        first, total, last = 0, 0, -1
        for s in range(requests.shape[1]):
            total += requests[p, s]
            out[p, s] = first
            if total >= k:
                last, first, total = first, s + 1, 0
        for s in range(first, requests.shape[1]):
            out[p, s] = last if last >= 0 else 0


def stretches(requests: Ints, k: int) -> Ints:
    """For each sender and slot the first slot of its stretch, shape [P, S]: neighbouring slots are one stretch until
    they have ``k`` requests, and what is left at the end belongs to the last.

    >>> stretches(np.array([[3, 0, 2, 9, 1]]), 5).tolist()
    [[0, 0, 0, 3, 3]]
    """
    if k == 1:
        return np.broadcast_to(np.arange(requests.shape[1]), requests.shape).copy()
    out = np.empty(requests.shape, np.int64)
    _stretches(requests, k, out)
    return out


@compiled
def _gather(requests: Any, part: Any, low: Any, high: Any, k: Any, group: Any, held: Any, size: Any) -> Any:
    """Number the groups that windows ``low`` to ``high`` form, -1 for those left over; how many groups there are.

    ``held`` and ``size`` receive each group's requests and windows, of which ``part`` count in part.
    """
    groups, left = 0, 0
    for w in range(low, high):
        group[w] = -1
        if requests[w] >= k:
            group[w], held[groups], size[groups] = groups, requests[w], part[w]
            groups += 1
        else:
            left += requests[w]
    width = 1
    while left > 0 and not (low // width == (high - 1) // width and width > 1):
        width *= 2
        for block in range(low // width, (high - 1) // width + 1):
            begin, end = max(low, block * width), min(high, (block + 1) * width)
            n, windows = 0, 0.0
            for w in range(begin, end):
                if group[w] < 0:
                    n += requests[w]
                    windows += part[w]
            if n >= k:
                held[groups], size[groups] = n, windows
                for w in range(begin, end):
                    group[w] = groups if group[w] < 0 else group[w]
                groups += 1
                left -= n
    return groups


@compiled
def _spread(requests: Any, stretch: Any, part: Any, k: Any, out: Any) -> None:
    windows = requests.shape[1]
    group = np.empty(windows, np.int64)
    held, size = np.empty(windows), np.empty(windows)
    for p in range(requests.shape[0]):
        low = 0
        while low < windows:
            high = low + 1
            while high < windows and stretch[p, high] == stretch[p, low]:
                high += 1
            groups = _gather(requests[p], part, low, high, k, group, held, size)
            left, few = 0, 0.0
            for w in range(low, high):
                left += requests[p, w] if group[w] < 0 else 0
                few += part[w] if group[w] < 0 else 0.0
            # what is left joins the group to which the fewest requests move, or all of them in proportion
            moved, joins = np.float64(left), -1
            for g in range(groups):
                away = abs(few * (left + held[g]) / (few + size[g]) - left)
                if away < moved:
                    moved, joins = away, g
            if joins >= 0:
                held[joins] += left
                size[joins] += few
            factor = 1.0 if joins >= 0 or groups == 0 else 1.0 + left / held[:groups].sum()
            for w in range(low, high):
                g = joins if group[w] < 0 else group[w]
                out[p, w] = factor * held[g] / size[g] * part[w] if g >= 0 else 0.0
            low = high


def spread(requests: Ints, stretch: Ints, k: int, part: Floats) -> Floats:
    """Requests of each sender and window, [P, W], such that each number above 0 rests on at least ``k``.

    A window of ``k`` or more keeps them. The others are gathered in pairs, in fours, in eights, until they have ``k``
    together, and then all have the same rate, ``part`` [W] being which part of each window is covered. Those left at
    the end of a stretch join one of its groups or become 0, their requests joining all groups in proportion: whichever
    moves fewer requests. ``stretch`` [P, W] says which windows may share; each stretch keeps its total, which is 0 or
    at least ``k``.

    >>> spread(np.array([[8, 1, 2, 2, 0, 0, 0, 2]]), np.zeros((1, 8), int), 4, np.ones(8)).tolist()
    [[8.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
    """
    if k == 1:
        return requests.astype(np.float64)
    out = np.empty(requests.shape)
    _spread(requests, stretch, part, k, out)
    return out


@compiled
def _buckets(first: Any, n: Any, total: Any, support: Any, k: Any, value: Any, mass: Any, out_first: Any) -> Any:
    atoms = 0
    for d in range(first.size - 1):
        begin = atoms
        things, sum_of, rests_on = 0, 0, 0.0
        held = False
        for i in range(first[d], first[d + 1]):
            things += n[i]
            sum_of += total[i]
            rests_on += support[i]
            if rests_on < k and not (i + 1 == first[d + 1] and held):
                continue
            if rests_on < k:  # the last few join the bucket before them
                atoms -= 1
                things += mass[atoms]
                sum_of += value[atoms]
            value[atoms], mass[atoms] = sum_of, things
            atoms += 1
            held = True
            things, sum_of, rests_on = 0, 0, 0.0
        left = begin
        for i in range(begin, atoms):  # from sums to means; equal ones are one
            mean = (2 * value[i] + mass[i]) // (2 * mass[i])
            if left > begin and value[left - 1] == mean:
                mass[left - 1] += mass[i]
            else:
                value[left], mass[left] = mean, mass[i]
                left += 1
        atoms = left
        out_first[d + 1] = atoms
    return atoms


def buckets(first: Ints, n: Ints, total: Ints, support: Floats, k: int) -> tuple[Ints, Ints, Ints]:
    """Distributions whose every atom rests on at least ``k`` requests: where each begins, values and masses.

    Line ``i`` of rising values stands for ``n[i]`` things of ``total[i]`` together, from ``support[i]`` requests or
    more. Neighbouring lines are gathered until they have ``k``; their value is their mean, rounded. Each distribution
    must have a support of ``k``.
    """
    value, mass = np.empty(n.size, np.int64), np.empty(n.size, np.int64)
    out_first = np.zeros(first.size, np.int64)
    atoms = _buckets(first, n, total, support, k - _ROUNDING, value, mass, out_first)
    return out_first, value[:atoms], mass[:atoms]


def means(first: Ints, n: Ints, total: Ints) -> tuple[Ints, Ints, Ints]:
    """Distributions of whole numbers with the very number and sum of each line.

    A line that stands for several values becomes the two whole numbers around its mean.
    """
    low = total // n
    high = total - low * n  # how many must be one larger
    lines = np.where(high > 0, 2, 1)
    at = np.concatenate([[0], np.cumsum(lines)]).astype(np.int64)
    value, mass = np.repeat(low, lines), np.repeat(n - high, lines)
    second = at[1:][lines == 2] - 1
    value[second] += 1
    mass[second] = high[lines == 2]
    return at[first], value, mass
