"""Laws fitted to rounded values: what the likelihood of a whole number is when it stands for a cell around it.

A number n stands for the cell from n - 1/2 to n + 1/2; the least number that there can be, 0 or 1, for all below
n + 1/2. This is how ``lengths`` make whole tokens of a continuous law, and what a coarse clock makes of gaps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from groundswell.chance import compiled
from groundswell.stats.laws import EXPONENTIAL, LOGNORMAL, PARETO, estimated, tails

_STEP, _NEAR, _LEAST_MASS = 1e-3, 1e-6, 1e-300


@compiled
def spread(number: Any) -> Any:
    """Rising whole numbers with those that are alike spread evenly from half below to half above; 0 from 0."""
    x = np.empty(number.size)
    begin = 0
    while begin < number.size:
        end = begin
        while end < number.size and number[end] == number[begin]:
            end += 1
        low = max(number[begin] - 0.5, 0.0)
        for i in range(begin, end):
            x[i] = low + (number[begin] + 0.5 - low) * (i - begin + 0.5) / (end - begin)
        begin = end
    return x


@compiled
def estimated_rounded(code: Any, number: Any, lowest: Any, coarse: Any) -> Any:
    """(a, b) of greatest likelihood for rising whole numbers, none below ``lowest``, not all alike.

    The values spread over their cells give nearly that, and do where cells are narrow; ``coarse`` asks for the cells.
    """
    if code == PARETO:
        return _pareto(number)
    a, b = estimated(code, spread(number))
    if not coarse:
        return a, b
    low, high, count = _cells(number, lowest)
    return _climbed(code, a, b, 1 if code == EXPONENTIAL else 2, low, high, count)


@compiled
def _pareto(number: Any) -> Any:
    """The values beyond the least number's cell say alpha; the share of that cell, how far down in it the law begins:
    at its lower bound at the least, and of 1 at 1, since no Pareto law of lengths begins below.
    """
    n, cell = number.size, number[0]
    above = number[np.searchsorted(number, cell, side="right") :]
    edge = cell + 0.5
    low, high, count = _cells(above, -1.0)
    alpha = above.size / (np.log(spread(above)) - math.log(edge)).sum()
    alpha, _ = _climbed(PARETO, alpha, edge, 1, low, high, count)
    least = math.exp(math.log(edge) + math.log(above.size / n) / alpha)
    bottom = max(cell - 0.5, min(cell, 1.0))
    if least >= bottom:
        return alpha, least
    low, high, count = _cells(number, 0.0)
    return _climbed(PARETO, alpha, bottom, 1, np.maximum(low, bottom), high, count)


@compiled
def _cells(number: Any, lowest: Any) -> Any:
    """Lower and upper bounds of the different numbers' cells, and how often each occurs."""
    first = np.ones(number.size, np.bool_)
    first[1:] = number[1:] != number[:-1]
    begin = np.flatnonzero(first)
    count = np.empty(begin.size)
    count[:-1] = begin[1:] - begin[:-1]
    count[-1] = number.size - begin[-1]
    value = number[begin]
    return np.where(value <= lowest, 0.0, value - 0.5), value + 0.5, count


@compiled
def _level(code: Any, u: Any, v: Any, low: Any, high: Any, count: Any) -> Any:
    """The log likelihood of the law whose parameters have the logarithms u and v (lognormal: mu is u itself)."""
    a = u if code == LOGNORMAL else math.exp(u)
    b = math.exp(v)
    level, at = 0.0, -1.0
    p = q = 0.0
    for i in range(count.size):
        if low[i] != at:
            p, q = tails(code, a, b, low[i])
        at = high[i]
        p_high, q_high = tails(code, a, b, at)
        # The difference of the smaller tails keeps its digits.
        mass = p_high - p if p_high < 0.5 else q - q_high
        level += count[i] * math.log(max(mass, _LEAST_MASS))
        p, q = p_high, q_high
    return level


@compiled
def _climbed(code: Any, a: Any, b: Any, free: Any, low: Any, high: Any, count: Any) -> Any:
    """(a, b) where the likelihood of the cells is greatest, from (a, b) near it, by Newton's method; b stays if only
    one is ``free``.
    """
    u = a if code == LOGNORMAL else math.log(a)
    v = math.log(b) if b > 0.0 else 0.0
    h, level = _STEP, _level(code, u, v, low, high, count)
    for _ in range(40):
        up, down = _level(code, u + h, v, low, high, count), _level(code, u - h, v, low, high, count)
        slope_u, bend_u = (up - down) / (2.0 * h), (up - 2.0 * level + down) / (h * h)
        slope_v = bend_uv = 0.0
        bend_v = -1.0
        if free > 1:
            right, left = _level(code, u, v + h, low, high, count), _level(code, u, v - h, low, high, count)
            both = _level(code, u + h, v + h, low, high, count)
            slope_v, bend_v = (right - left) / (2.0 * h), (right - 2.0 * level + left) / (h * h)
            bend_uv = (both - up - right + level) / (h * h)
        size = bend_u * bend_v - bend_uv * bend_uv
        if bend_u < 0.0 and size > 0.0:
            du, dv = -(bend_v * slope_u - bend_uv * slope_v) / size, -(bend_u * slope_v - bend_uv * slope_u) / size
        else:  # no summit near: go up
            norm = math.sqrt(slope_u**2 + slope_v**2) + 1e-300
            du, dv = 0.1 * slope_u / norm, 0.1 * slope_v / norm
        far = max(abs(du), abs(dv))
        if far > 1.0:
            du, dv = du / far, dv / far
        after = _level(code, u + du, v + dv, low, high, count)
        while not after >= level and max(abs(du), abs(dv)) > _NEAR:
            du, dv = 0.5 * du, 0.5 * dv
            after = _level(code, u + du, v + dv, low, high, count)
        if not after >= level:
            break
        u, v, level = u + du, v + dv, after
        if max(abs(du), abs(dv)) < _NEAR:
            break
    return u if code == LOGNORMAL else math.exp(u), math.exp(v) if b > 0.0 else 0.0
