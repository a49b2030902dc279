"""Log-normal lengths: the body of prompts' lengths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy import special

from groundswell.lengths import LENGTHS, Floats
from groundswell.lengths._whole import LARGEST_MEAN, Rounded, check_number, scale_of_mean


def _below(sigma: float, scale: float, x: Floats) -> Floats:
    return np.asarray(special.ndtr((np.log(x / scale) + 0.5 * sigma**2) / sigma))


def _moment_below(sigma: float, scale: float, x: Floats) -> Floats:
    return np.asarray(scale * special.ndtr((np.log(x / scale) - 0.5 * sigma**2) / sigma))


@LENGTHS.register("lognormal")
@dataclass(frozen=True)
class LogNormal(Rounded):
    """The log-normal law, rounded.

    ``mean`` is the mean of the lengths that come out, in tokens; ``cv`` the coefficient of variation before rounding
    and before the cut at the largest length.
    """

    mean: float
    cv: float

    def __post_init__(self) -> None:
        check_number("lognormal", "mean", self.mean, 1, LARGEST_MEAN)
        check_number("lognormal", "cv", self.cv, 0, 1000, above=True)

    @cached_property
    def sigma(self) -> float:
        """The standard deviation of the logarithm."""
        return float(np.sqrt(np.log1p(float(self.cv) ** 2)))

    @cached_property
    def scale(self) -> float:
        """The mean before rounding and cutting."""
        return scale_of_mean(self.mean, partial(_below, self.sigma), partial(_moment_below, self.sigma))

    def below(self, x: Floats) -> Floats:
        """Φ((ln x - μ) / σ) with μ = ln(scale) - σ²/2."""
        return _below(self.sigma, self.scale, x)

    def moment_below(self, x: Floats) -> Floats:
        """scale · Φ((ln x - μ) / σ - σ)."""
        return _moment_below(self.sigma, self.scale, x)
