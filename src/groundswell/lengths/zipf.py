"""Zipf lengths: a power law on the whole numbers, as BurstGPT describes its requests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groundswell.errors import UsageError
from groundswell.lengths import LARGEST_TOKENS, LENGTHS, Floats
from groundswell.lengths._whole import Whole, check_number
from groundswell.stats.harmonic import harmonic


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
        return harmonic(self._within(tokens), self.exponent) / harmonic(np.array([self.most]), self.exponent)

    def moment(self, tokens: Floats) -> Floats:
        """E[X · 1(X <= tokens)], element by element."""
        return harmonic(self._within(tokens), self.exponent - 1.0) / harmonic(np.array([self.most]), self.exponent)

    def _within(self, tokens: Floats) -> Floats:
        return np.clip(np.floor(np.asarray(tokens, np.float64)), 0.0, self.most)
