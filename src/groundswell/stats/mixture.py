"""A log-normal body with a Pareto tail, fitted by expectation maximisation: ServeGen's finding 3 for inputs.

The density is (1 - w)·lognormal(mu, sigma) + w·pareto(alpha, least). Given ``least`` the likelihood is climbed by EM
(Dempster, Laird and Rubin, 1977), whose steps are closed forms. Over ``least``, where the density jumps and the
likelihood has many summits, it is searched: from the data's quantiles, with two weights each, and then ever nearer to
the best. All of it works on the values' logarithms in cells of equal width, so it costs the same for any n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.stats.laws import Simple

Floats = NDArray[np.float64]

CELLS = 2048
STARTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99)
"""The quantiles of the data at which the tail may begin, to start with."""
START_WEIGHTS = (0.25, 0.75)
"""The tail's share of what lies above its beginning, to start with."""
LEAST_SIGMA = 0.05
"""The body is no narrower, or it would settle on a single value that is frequent (the likelihood has no bound)."""
MOST_ALPHA = 5.0
"""Nor does the tail fall more steeply, or it would sit on such a value and be no tail."""
_LEAST_ALPHA = 0.01
_TRIED, _CLIMBED, _TOLERANCE = 40, 2_000, 1e-10


@compiled
def _climb(y: Any, squares: Any, count: Any, begin: Any, edge: Any, start: Any, steps: Any, tolerance: Any) -> Any:
    """EM for logs ``y`` (mean of a cell, ``squares`` their mean square, ``count`` values), the tail from cell ``begin``
    at ``edge`` on; (weight, alpha, mu, sigma, log likelihood of the logs per value).
    """
    weight, alpha, mu, sigma = start
    n = count.sum()
    before = -np.inf
    level = before
    for _ in range(steps):
        total = first = second = tail = excess = level = 0.0
        front = (1.0 - weight) / (sigma * math.sqrt(2.0 * math.pi))
        for i in range(y.size):
            z = (y[i] - mu) / sigma
            body = front * math.exp(-0.5 * z * z)
            share = 0.0
            density = body
            if i >= begin:
                density = body + weight * alpha * math.exp(-alpha * (y[i] - edge))
                share = (density - body) / max(density, 1e-300)
            level += count[i] * math.log(max(density, 1e-300))
            mine = count[i] * (1.0 - share)
            total += mine
            first += mine * y[i]
            second += mine * squares[i]
            tail += count[i] * share
            excess += count[i] * share * (y[i] - edge)
        level /= n
        if level - before < tolerance or total <= 0.0:
            break
        before = level
        weight = tail / n
        if excess > 0.0:
            alpha = min(max(tail / excess, _LEAST_ALPHA), MOST_ALPHA)
        mu = first / total
        sigma = math.sqrt(max(second / total - mu * mu, LEAST_SIGMA**2))
    return weight, alpha, mu, sigma, level


@dataclass(frozen=True, eq=False)
class _Cells:
    """Logarithms in cells: the mean of each cell that holds some, their mean square, their number, and its lower edge
    (of the first: the least logarithm)."""

    mean: Floats
    square: Floats
    count: Floats
    edge: Floats

    @classmethod
    def of(cls, y: Floats) -> _Cells:
        """From rising logarithms, not all alike."""
        width = (y[-1] - y[0]) / CELLS
        number = np.minimum(((y - y[0]) / width).astype(np.int64), CELLS - 1)
        count = np.bincount(number, minlength=CELLS)
        mean, square = (np.bincount(number, v, CELLS)[count > 0] / count[count > 0] for v in (y, y * y))
        return cls(mean, square, count[count > 0].astype(np.float64), y[0] + width * np.flatnonzero(count))

    def climbed(self, begin: int, start: tuple[float, ...], steps: int = _TRIED) -> tuple[float, ...]:
        """EM with the tail from cell ``begin`` on."""
        found = _climb(self.mean, self.square, self.count, begin, self.edge[begin], start, steps, _TOLERANCE)
        return tuple(float(v) for v in found)


@dataclass(frozen=True)
class Mixture:
    """A log-normal law, and with probability ``weight`` a Pareto law instead."""

    weight: float
    tail: Simple
    body: Simple
    free: int = 5

    @classmethod
    def fitted(cls, x: Floats) -> Mixture:
        """The mixture of greatest likelihood that the search finds for rising x > 0, not all alike."""
        cells = _Cells.of(np.log(x))
        rank = np.cumsum(cells.count) / cells.count.sum()
        found: dict[int, tuple[float, ...]] = {}
        for q in STARTS:
            begin = int(np.searchsorted(rank, q, side="right")) if q else 0
            for weight in START_WEIGHTS:
                climbed = cells.climbed(begin, _start(cells, begin, weight))
                if begin not in found or climbed[-1] > found[begin][-1]:
                    found[begin] = climbed
        for begin in sorted(found, key=lambda b: -found[b][-1])[:3]:
            _nearer(cells, begin, found)
        begin = max(found, key=lambda b: found[b][-1])
        weight, alpha, mu, sigma, _ = cells.climbed(begin, found[begin][:4], _CLIMBED)
        return cls(weight, Simple("pareto", alpha, math.exp(cells.edge[begin])), Simple("lognormal", mu, sigma))

    def tails(self, x: Floats) -> tuple[Floats, Floats]:
        """P(X <= x) and P(X > x)."""
        tail, body = self.tail.tails(x), self.body.tails(x)
        low, high = ((1.0 - self.weight) * b + self.weight * t for b, t in zip(body, tail, strict=True))
        return low, high

    def log_density(self, x: Floats) -> Floats:
        """The logarithm of the density at x > 0."""
        with np.errstate(divide="ignore"):
            body = np.log1p(-self.weight) + self.body.log_density(x)
            return np.asarray(np.logaddexp(body, np.log(self.weight) + self.tail.log_density(x)))

    def parameters(self, unit: float) -> dict[str, float]:
        """``weight`` and the tail's and the body's, as ``lengths``' mixture takes them."""
        return {"weight": self.weight} | self.tail.parameters(unit) | self.body.parameters(unit)


def _start(cells: _Cells, begin: int, weight: float) -> tuple[float, ...]:
    """A tail with ``weight`` of what lies from cell ``begin`` on, and the body of all."""
    n = cells.count.sum()
    above = cells.count[begin:]
    excess = float(above @ (cells.mean[begin:] - cells.edge[begin])) / above.sum()
    mu = float(cells.count @ cells.mean) / n
    sigma = math.sqrt(max(float(cells.count @ cells.square) / n - mu * mu, LEAST_SIGMA**2))
    alpha = min(max(1.0 / max(excess, 1e-9), _LEAST_ALPHA), MOST_ALPHA)
    return weight * float(above.sum()) / n, alpha, mu, sigma


def _nearer(cells: _Cells, begin: int, found: dict[int, tuple[float, ...]]) -> None:
    """Move the tail's beginning by ever smaller steps while the likelihood rises; what is found goes into ``found``."""
    step = CELLS // 32
    while step:
        for other in (begin - step, begin + step):
            if 0 <= other < len(cells.count) - 1 and other not in found:
                found[other] = cells.climbed(other, found[begin][:4])
        near = [b for b in (begin - step, begin, begin + step) if b in found]
        best = max(near, key=lambda b: found[b][-1])
        if best == begin:
            step //= 2
        begin = best
