"""Zipf lengths: a power law on the whole numbers, as BurstGPT describes its requests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groundswell.errors import UsageError
from groundswell.lengths import LARGEST_TOKENS, LENGTHS, Floats
from groundswell.lengths._whole import Whole, check_number

_SUMMED = 1024  # terms added one by one; the rest by the Euler–Maclaurin formula, to 1e-12


@LENGTHS.register("zipf")
@dataclass(frozen=True)
class Zipf(Whole):
    """P(X = k) in proportion to k^-exponent for k = 1 … ``most`` tokens."""

    exponent: float
    most: float

    def __post_init__(self) -> None:
        check_number("zipf", "exponent", self.exponent, 0, 20)
        check_number("zipf", "most", self.most, 1, LARGEST_TOKENS)
        if self.most != int(self.most):
            raise UsageError(f"zipf: most must be a whole number of tokens, not {self.most}")

    @property
    def mean(self) -> float:
        """The ratio of two harmonic numbers, in tokens."""
        return self.whole_mean()

    def cdf(self, tokens: Floats) -> Floats:
        """P(X <= tokens), element by element."""
        return _harmonic(self._within(tokens), self.exponent) / _harmonic(np.array([self.most]), self.exponent)

    def moment(self, tokens: Floats) -> Floats:
        """E[X · 1(X <= tokens)], element by element."""
        return _harmonic(self._within(tokens), self.exponent - 1.0) / _harmonic(np.array([self.most]), self.exponent)

    def _within(self, tokens: Floats) -> Floats:
        return np.clip(np.floor(np.asarray(tokens, np.float64)), 0.0, self.most)


def _harmonic(n: Floats, s: float) -> Floats:
    """Σ k^-s over k = 1 … n, for whole n."""
    k = np.arange(1.0, _SUMMED + 1.0)
    table = np.concatenate([[0.0], np.cumsum(k**-s)])
    a, b = float(_SUMMED), np.maximum(n, _SUMMED)
    rise, power = np.log(b / a), 1.0 - s
    integral = rise if abs(power) < 1e-9 else a**power * np.expm1(power * rise) / power
    ends = 0.5 * (b**-s - a**-s) - s / 12.0 * (b ** (-s - 1.0) - a ** (-s - 1.0))
    bend = s * (s + 1.0) * (s + 2.0) / 720.0 * (b ** (-s - 3.0) - a ** (-s - 3.0))
    return np.asarray(table[np.minimum(n, _SUMMED).astype(np.int64)] + integral + ends + bend)
