"""Zipf's law on the whole numbers from 1 to the largest that was seen: BurstGPT's fit of the lengths of requests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import minimize_scalar

from groundswell.stats.harmonic import harmonic

Floats = NDArray[np.float64]

LARGEST_EXPONENT = 20.0
_STEP = 1e-4


def exponent(log_mean: float, most: float) -> float:
    """The exponent of greatest likelihood, from 0 to 20, for values whose logarithms have this mean.

    The likelihood of n values depends on them through the mean of their logarithms only:
    -s · mean - ln Σ k^-s, which is concave in s.
    """
    top = np.array([most])
    found = minimize_scalar(
        lambda s: s * log_mean + float(np.log(harmonic(top, s)[0])),
        bounds=(0.0, LARGEST_EXPONENT),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(found.x)


def exponents(log_mean: Floats, most: float) -> Floats:
    """:func:`exponent` for many means, from a table between the least and the most of them."""
    low, high = (exponent(float(at), most) for at in (np.nanmax(log_mean), np.nanmin(log_mean)))
    if high - low < _STEP:
        return np.where(np.isfinite(log_mean), low, np.nan)
    s, top = np.linspace(low, high, 65), np.array([most])
    # The mean of ln k under the law is minus the slope of the logarithm of the sum.
    mean = [np.log(harmonic(top, v - _STEP)[0] / harmonic(top, v + _STEP)[0]) / (2.0 * _STEP) for v in s]
    inner = np.clip(log_mean, mean[-1], mean[0])  # the ends are where they are but for rounding
    return np.asarray(PchipInterpolator(-np.array(mean), s)(-inner))


@dataclass(frozen=True)
class Zipf:
    """P(X = k) in proportion to k^-s for k = 1 … most."""

    s: float
    most: float
    free: int = 1

    @classmethod
    def fitted(cls, number: Floats, count: NDArray[np.int64]) -> Zipf:
        """The law of greatest likelihood for the numbers, each seen ``count`` times."""
        most = float(number[-1])
        return cls(exponent(float(count @ np.log(number) / count.sum()), most), most)

    def log_mass(self, number: Floats) -> Floats:
        """ln P(X = number)."""
        return np.asarray(-self.s * np.log(number) - np.log(harmonic(np.array([self.most]), self.s)[0]))

    def tails(self, x: Floats) -> tuple[Floats, Floats]:
        """P(X <= x) and P(X > x)."""
        n = np.clip(np.floor(x), 0.0, self.most)
        low = harmonic(n, self.s) / harmonic(np.array([self.most]), self.s)
        return low, 1.0 - low

    def log_density(self, x: Floats) -> Floats:
        """Of whole numbers only: :meth:`log_mass`."""
        return self.log_mass(x)

    def parameters(self, unit: float) -> dict[str, float]:
        """By the names of ``lengths``' zipf; the law is one of plain numbers, whatever ``unit`` is."""
        return {"exponent": self.s, "most": self.most}
