"""How far apart two draws of the same workload are: its stretches of time, redrawn from near where they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Statistic = Callable[[Floats], Floats]
Distance = Callable[[Floats, Floats], float]

REPEATS = 200
FEWEST = 8
"""From fewer stretches nothing is said of noise."""


@dataclass(frozen=True)
class Aspect:
    """One way in which two workloads can differ.

    ``reference`` and ``candidate`` are its figure in each (nan where it is a whole curve), ``distance`` how far apart
    they are, and ``noise`` the distance that 95 % of pairs of draws from the reference stay below.
    """

    key: str
    what: str
    reference: float
    candidate: float
    distance: float
    noise: float

    @property
    def verdict(self) -> str:
        """Whether the sampling noise explains the distance."""
        if not np.isfinite(self.distance) or not np.isfinite(self.noise):
            return "cannot be said"
        return "indistinguishable" if self.distance <= self.noise else "differs"


def judged(
    key: str, what: str, a: Floats, b: Floats, statistic: Statistic, distance: Distance, span_ratio: float
) -> Aspect:
    """The aspect ``key`` of sums per stretch, ``a`` (m, …) of the reference and ``b`` (n, …) of the candidate.

    The candidate covers ``span_ratio`` times the reference's time, so the second of each pair of draws does too.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = statistic(a), statistic(b)
        noise = noise_of(a, statistic, distance, span_ratio)
        scalar = first.size == 1 and second.size == 1
        return Aspect(
            key,
            what,
            float(first.item()) if scalar else np.nan,
            float(second.item()) if scalar else np.nan,
            distance(first, second),
            noise,
        )


def noise_of(a: Floats, statistic: Statistic, distance: Distance, span_ratio: float) -> float:
    """The 95th percentile of the distances of pairs of draws from ``a``; nan from too few stretches."""
    m = len(a)
    if m < FEWEST:
        return np.nan
    random = np.random.default_rng(m)
    size = max(round(m * span_ratio), FEWEST)
    drawn = [distance(statistic(a[near(m, m, random)]), statistic(a[near(m, size, random)])) for _ in range(REPEATS)]
    return lost(m) * float(np.nanquantile(drawn, 0.95)) if np.isfinite(drawn).any() else np.nan


def reach(m: int) -> int:
    """How far from its place a stretch may come."""
    return max(m // 16, 2)


def lost(m: int) -> float:
    """What a distance must be multiplied with, since n neighbours vary around their own mean: √(n/(n-1))."""
    return float(np.sqrt(1 + 1 / (2 * reach(m))))


def near(m: int, size: int, random: np.random.Generator) -> Ints:
    """``size`` of ``m`` stretches, in order of time: each drawn from a neighbourhood of its own place.

    The local bootstrap of Paparoditis and Politis (2002), which keeps a rhythm that is slow against a neighbourhood of
    an eighth of the span.
    """
    place = np.arange(size) * m // size
    drawn = np.abs(place + random.integers(-reach(m), reach(m) + 1, size))
    return np.asarray(np.where(drawn >= m, 2 * (m - 1) - drawn, drawn))
