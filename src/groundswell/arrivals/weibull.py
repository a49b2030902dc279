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

_MANY_GAPS = 1e6
_LEAST_CV, _MOST_CV = 0.01, 400.0
_HEAVIEST, _LIGHTEST = 0.1, 200.0


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
        if not (isinstance(self.cv, (int, float)) and _LEAST_CV <= self.cv <= _MOST_CV):
            raise UsageError(
                f"weibull: cv must be between 0.01 and 400, not {self.cv}; for equal gaps take deterministic"
            )

    def parameters(self) -> tuple[float, float]:
        """Shape and scale."""
        shape = float(shape_of_cv(np.array([self.cv]))[0])
        return shape, float(1.0 / special.gamma(1.0 + 1.0 / shape))

    @staticmethod
    def shapes(cv: Floats, first: Floats, second: Floats, gaps: Floats) -> tuple[Floats, Floats]:
        """Shape and scale, from the CV (a maximum-likelihood shape, as pools record it, implies too small a CV)."""
        return with_unit_mean(shape_of_cv(cv.astype(np.float64), gaps))


def with_unit_mean(shape: Floats) -> tuple[Floats, Floats]:
    """``shape`` and the scale at which the mean gap is 1."""
    return shape, np.exp(-special.gammaln(1.0 + 1.0 / shape))


def shape_of_cv(cv: Floats, gaps: Floats | float = np.inf) -> Floats:
    """The Weibull shape whose gaps, ``gaps`` of them scaled to a fixed sum, have ``cv`` on average (root mean square).

    From tables: within 1 % of ``cv``, or 4 % next to the bound cv² = gaps - 1. A CV beyond what so few gaps can have
    gets the heaviest tail, shape 0.1. From a million gaps on, the shape is the law's own.
    """
    cv = np.clip(cv, _LEAST_CV, _MOST_CV)
    shape: Floats = np.exp(_free_shape()(np.log(cv)))
    few = np.broadcast_to(np.asarray(gaps) < _MANY_GAPS, cv.shape)
    if few.any():
        log_n = np.log(np.maximum(np.broadcast_to(gaps, cv.shape)[few], 2.0))
        point = np.column_stack([log_n, np.log(cv[few])])
        shape[few] = np.exp(_bridged_shape()(point))
    return shape


@cache
def _free_shape() -> Any:
    """Log shape as a function of the log CV of the law."""
    from scipy.interpolate import CubicSpline

    log_shape = np.linspace(np.log(_HEAVIEST), np.log(_LIGHTEST), 20_000)
    power = np.exp(-log_shape)
    log_ratio = special.gammaln(1.0 + 2.0 * power) - 2.0 * special.gammaln(1.0 + power)  # of E[g²] to E[g]²
    return CubicSpline(0.5 * np.log(np.expm1(log_ratio))[::-1], log_shape[::-1])


@cache
def _bridged_shape() -> Any:
    """Log shape as a function of (log number of gaps, log CV that is realised when they are scaled to a fixed sum).

    With S the sum of n gaps g, the realised 1 + CV² is n Σg²/S². As 1/S² = ∫ t exp(-tS) dt, its mean is n² ∫ t φ₂(t)
    φ₀(t)ⁿ⁻¹ dt with φ₀(t) = E exp(-tg) and φ₂(t) = E g² exp(-tg): two tables over t for every shape, then one sum for
    every n.
    """
    from scipy.interpolate import RegularGridInterpolator

    log_shape = np.linspace(np.log(_HEAVIEST), np.log(_LIGHTEST), 120)
    log_n = np.linspace(np.log(1.99), np.log(_MANY_GAPS), 30)
    log_cv = np.linspace(np.log(0.99 * _LEAST_CV), np.log(1.01 * _MOST_CV), 400)
    log_e = np.linspace(-40.0, np.log(120.0), 800)  # of a standard exponential; g = e^(1/shape) up to scale
    weight = np.exp(log_e - np.exp(log_e))
    weight /= weight.sum()
    log_t = np.linspace(-30.0, 60.0, 360)
    table = np.empty((log_n.size, log_cv.size))
    realised = np.empty((log_n.size, log_shape.size))
    for k, ls in enumerate(log_shape):
        log_g = np.exp(-ls) * log_e - special.gammaln(1.0 + np.exp(-ls))
        tg = np.exp(log_t[:, None] + log_g)
        log_phi0 = np.log1p(np.maximum(np.expm1(-tg) @ weight, -1.0 + 1e-15))
        t2_phi2 = (tg**2 * np.exp(-tg)) @ weight
        for j, n in enumerate(np.exp(log_n)):
            ratio = n**2 * np.sum(t2_phi2 * np.exp((n - 1.0) * log_phi0)) * (log_t[1] - log_t[0])
            realised[j, k] = 0.5 * np.log(max(ratio - 1.0, 1e-6))
    for j in range(log_n.size):
        table[j] = np.interp(log_cv, realised[j, ::-1], log_shape[::-1])
    return RegularGridInterpolator((log_n, log_cv), table)
