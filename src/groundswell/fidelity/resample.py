"""How far apart two draws of the same workload are: its stretches of time, redrawn from near where they were."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Statistic = Callable[[Floats], Floats]
Distance = Callable[[Floats, Floats], float]
Shown = Callable[[Floats, Floats], tuple[float, float, float]]
"""The figure of each, and where the two differ most."""
Kind = Literal["ratio", "share", "shift", "difference", "cloud"]

REPEATS = 200
LONGEST = 16.0
"""The second of a pair of draws is at most so many times as long as the first: its noise hardly counts then."""
FEWEST = 8
"""From fewer stretches nothing is said of noise."""


@dataclass(frozen=True)
class Aspect:
    """One way in which two workloads can differ.

    ``distance`` is how far apart they are, and ``noise`` the distance that 95 % of pairs of draws from the reference
    stay below. ``reference`` and ``candidate`` are a figure of each; of whole curves, that ``at`` the place where they
    differ most. ``kind`` says what the distance is:

    - ``ratio``: the logarithm of the figures' ratio;
    - ``share``: the largest difference of two distributions, and the figures are the shares up to ``at``;
    - ``shift``: how far the logarithms of lengths must be moved on average, and the figures are geometric means;
    - ``difference``: the difference of the figures, which are in ``unit``;
    - ``cloud``: the energy distance in standard deviations of the reference; the figures are correlations.
    """

    key: str
    what: str
    reference: float
    candidate: float
    distance: float
    noise: float
    kind: Kind = "difference"
    at: float = math.nan
    unit: str = ""
    verdict: str = field(init=False)
    """Whether the sampling noise explains the distance."""

    def __post_init__(self) -> None:
        known = math.isfinite(self.distance) and math.isfinite(self.noise)
        explained = "indistinguishable" if self.distance <= self.noise else "differs"
        object.__setattr__(self, "verdict", explained if known else "cannot be said")


def unsaid(key: str, what: str, kind: Kind) -> Aspect:
    """An aspect of which there is too little to say anything."""
    return Aspect(key, what, math.nan, math.nan, math.nan, math.nan, kind)


def single(a: Floats, b: Floats) -> tuple[float, float, float]:
    """The figures of statistics that are one number each."""
    return float(a.item()), float(b.item()), math.nan


def judged(
    key: str,
    what: str,
    kind: Kind,
    a: Floats,
    b: Floats,
    statistic: Statistic,
    distance: Distance,
    span_ratio: float,
    shown: Shown = single,
) -> Aspect:
    """The aspect ``key`` of sums per stretch, ``a`` (m, …) of the reference and ``b`` (n, …) of the candidate.

    The candidate covers ``span_ratio`` times the reference's time, so the second of each pair of draws does too.
    """
    if not a.size or not b.size:
        return unsaid(key, what, kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = statistic(a), statistic(b)
        reference, candidate, at = shown(first, second)
        noise = noise_of(a, statistic, distance, span_ratio)
        return Aspect(key, what, reference, candidate, distance(first, second), noise, kind, at)


def noise_of(a: Floats, statistic: Statistic, distance: Distance, span_ratio: float) -> float:
    """The 95th percentile of the distances of pairs of draws from ``a``; nan from too few stretches."""
    m = len(a)
    if m < FEWEST:
        return np.nan
    random = np.random.default_rng(m)
    size = max(round(m * min(span_ratio, LONGEST)), FEWEST)
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
