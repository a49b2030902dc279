"""Pareto lengths: the tail of prompts' lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groundswell.lengths import LENGTHS, Floats
from groundswell.lengths._whole import LARGEST_MEAN, Rounded, check_number


@LENGTHS.register("pareto")
@dataclass(frozen=True)
class Pareto(Rounded):
    """The Pareto law, rounded: P(Y > x) = (least / x)^alpha from ``least`` tokens on.

    Its mean is that of the law cut at the largest length, so it is finite for every ``alpha``.
    """

    alpha: float
    least: float = 1.0

    def __post_init__(self) -> None:
        check_number("pareto", "alpha", self.alpha, 0.01, 100)
        check_number("pareto", "least", self.least, 1, LARGEST_MEAN)

    @property
    def mean(self) -> float:
        """The mean after rounding and cutting, in tokens."""
        return self.whole_mean()

    def below(self, x: Floats) -> Floats:
        """1 - (least / x)^alpha."""
        return np.asarray(-np.expm1(-self.alpha * np.log(np.maximum(x / self.least, 1.0))))

    def moment_below(self, x: Floats) -> Floats:
        """∫ alpha·(least/y)^alpha dy from ``least`` to x, which is a logarithm where alpha is 1."""
        rise, power = np.log(np.maximum(x / self.least, 1.0)), 1.0 - self.alpha
        integral = rise if abs(power) < 1e-9 else np.expm1(power * rise) / power
        return np.asarray(self.alpha * self.least * integral)
