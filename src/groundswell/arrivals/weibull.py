"""Arrivals with Weibull gaps: ServeGen's best fit for its middle model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from scipy import special

from groundswell.arrivals import ARRIVALS, FIRST_GAP, Floats
from groundswell.chance import GOLDEN, compiled, exponential, gamma, mix, uniform_of, word_at
from groundswell.errors import UsageError


@compiled
def _fill(gaps: Any, offset: Any, key: Any, index: Any, a: Any, b: Any) -> None:
    for s in range(key.size):
        j, power, scale = index[s], 1.0 / a[s], b[s]
        for i in range(offset[s], offset[s + 1]):
            _, x = exponential(word_at(key[s], j))
            gaps[i] = scale * np.exp(power * np.log(x))
            j += 1


@compiled
def _first(gaps: Any, key: Any, a: Any, b: Any) -> None:
    # Length-biased Weibull: (x/scale)^shape is Gamma with shape 1 + 1/shape.
    for s in range(key.size):
        state, x = gamma(word_at(key[s] ^ FIRST_GAP, 0), 1.0 + 1.0 / a[s])
        gaps[s] = uniform_of(mix(state + GOLDEN)) * b[s] * x ** (1.0 / a[s])


@ARRIVALS.register("weibull")
@dataclass(frozen=True)
class Weibull:
    """A renewal process with Weibull gaps, its shape solved from the CV."""

    cv: float = 2.0
    stated: ClassVar[bool] = False
    fill: ClassVar[Any] = staticmethod(_fill)
    first: ClassVar[Any] = staticmethod(_first)

    def __post_init__(self) -> None:
        if not (isinstance(self.cv, (int, float)) and 0.01 <= self.cv <= 1000):
            raise UsageError(
                f"weibull: cv must be between 0.01 and 1000, not {self.cv}; for equal gaps take deterministic"
            )

    def parameters(self) -> tuple[float, float]:
        """Shape and scale."""
        shape = float(shape_of_cv(np.array([self.cv]))[0])
        return shape, float(1.0 / special.gamma(1.0 + 1.0 / shape))

    @staticmethod
    def shapes(cv: Floats, first: Floats, second: Floats, gaps: Floats) -> tuple[Floats, Floats]:
        """Shape and scale, from the CV (a maximum-likelihood shape, as pools record it, implies too small a CV)."""
        return with_unit_mean(shape_of_cv(_widened(cv.astype(np.float64), gaps)))


def with_unit_mean(shape: Floats) -> tuple[Floats, Floats]:
    """``shape`` and the scale at which the mean gap is 1."""
    return shape, np.exp(-special.gammaln(1.0 + 1.0 / shape))


def shape_of_cv(cv: Floats) -> Floats:
    """The Weibull shape whose coefficient of variation is ``cv``, to 1e-8 relative (table of 20,000 points, cubic)."""
    shape: Floats = np.exp(_log_shape()(np.log(np.clip(cv, 0.01, 1000.0))))
    return shape


@cache
def _log_shape() -> Any:
    from scipy.interpolate import CubicSpline

    log_shape = np.linspace(np.log(0.1), np.log(200.0), 20_000)
    power = np.exp(-log_shape)
    excess = special.gammaln(1.0 + 2.0 * power) - 2.0 * special.gammaln(1.0 + power)
    return CubicSpline(0.5 * np.log(np.expm1(excess))[::-1], log_shape[::-1])


def _widened(cv: Floats, gaps: Floats) -> Floats:
    """The law's CV at which ``gaps`` gaps, scaled to a fixed sum, realise ``cv`` on average, to second order.

    With R = mean of squares / square of the mean, the delta method gives E[R] ≈ R∞ (1 + (3 (R∞ - 1) - 2 (S - 1)) / m),
    S = μ₃ / (μ₁ μ₂): the sample's CV falls short of the law's where gaps are heavy-tailed. The correction is bounded by
    half, and by the largest CV that m gaps can have.
    """
    shape = shape_of_cv(cv)
    power = 1.0 / shape
    log_r = special.gammaln(1.0 + 2.0 * power) - 2.0 * special.gammaln(1.0 + power)
    r = np.exp(log_r)
    s = np.exp(special.gammaln(1.0 + 3.0 * power) - special.gammaln(1.0 + power) - special.gammaln(1.0 + 2.0 * power))
    bias = np.clip((3.0 * (r - 1.0) - 2.0 * (s - 1.0)) / np.maximum(gaps, 1.0), -0.5, 0.5)
    wanted = 1.0 + cv**2
    return np.sqrt(np.maximum(wanted / (1.0 + bias) - 1.0, 1e-4))
