"""Exponential lengths: ServeGen's finding 3 for outputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from groundswell.lengths import LENGTHS, Floats
from groundswell.lengths._whole import LARGEST_MEAN, Rounded, check_number, scale_of_mean


def _below(scale: float, x: Floats) -> Floats:
    return np.asarray(-np.expm1(-x / scale))


def _moment_below(scale: float, x: Floats) -> Floats:
    return np.asarray(scale * special.gammainc(2.0, x / scale))


@LENGTHS.register("exponential")
@dataclass(frozen=True)
class Exponential(Rounded):
    """The exponential law, rounded; ``mean`` is the mean of the lengths that come out, in tokens."""

    mean: float

    def __post_init__(self) -> None:
        check_number("exponential", "mean", self.mean, 1, LARGEST_MEAN)

    @cached_property
    def scale(self) -> float:
        """The mean before rounding."""
        return scale_of_mean(self.mean, _below, _moment_below)

    def below(self, x: Floats) -> Floats:
        """1 - exp(-x/scale)."""
        return _below(self.scale, x)

    def moment_below(self, x: Floats) -> Floats:
        """The incomplete gamma function of order 2, times the scale."""
        return _moment_below(self.scale, x)
