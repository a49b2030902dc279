"""The laws of two parameters that are fitted to gaps and lengths: estimated, evaluated and drawn from, in kernels.

A law is a number, one of :data:`CODES`, and its two parameters (a, b): exponential (mean, 0), gamma and weibull
(shape, scale), lognormal (mean and standard deviation of the logarithm), pareto (alpha, least), where P(X > x) is
(least/x)^alpha from ``least`` on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled, exponential, gamma, normal
from groundswell.stats.gammas import digamma, gamma_tails, trigamma

Floats = NDArray[np.float64]

EXPONENTIAL, GAMMA, WEIBULL, LOGNORMAL, PARETO = range(5)
CODES = {"exponential": EXPONENTIAL, "gamma": GAMMA, "weibull": WEIBULL, "lognormal": LOGNORMAL, "pareto": PARETO}
_LEAST_VALUE = 1e-300


@compiled
def estimated(code: Any, x: Any) -> Any:
    """(a, b) of greatest likelihood for rising x > 0, not all alike."""
    n = x.size
    if code == EXPONENTIAL:
        return x.mean(), 0.0
    log = np.log(x)
    middle = log.mean()
    if code == GAMMA:
        return _gamma(x.mean(), middle)
    if code == PARETO:
        return 1.0 / (middle - log[0]), x[0]
    squares = 0.0
    for i in range(n):
        squares += (log[i] - middle) ** 2
    sigma = math.sqrt(squares / n)
    return _weibull(log, middle, sigma) if code == WEIBULL else (middle, sigma)


@compiled
def _gamma(mean: Any, log_mean: Any) -> Any:
    """Minka, "Estimating a Gamma distribution", 2002: Newton's method on 1/shape."""
    s = max(math.log(mean) - log_mean, 1e-12)  # rounding leaves nothing of it where values hardly differ
    shape = (3.0 - s + math.sqrt((s - 3.0) ** 2 + 24.0 * s)) / (12.0 * s)
    for _ in range(50):
        rise = (math.log(shape) - digamma(shape) - s) / (shape * shape * (1.0 / shape - trigamma(shape)))
        before, shape = shape, 1.0 / (1.0 / shape + rise)
        if abs(shape - before) < 1e-10 * shape:
            break
    return shape, mean / shape


@compiled
def _weibull(log: Any, middle: Any, sigma: Any) -> Any:
    """Newton's method on Σ x^k ln x / Σ x^k - 1/k = mean of ln x, from the shape that the spread of ln x says."""
    top = log[-1]
    shape = math.pi / math.sqrt(6.0) / sigma
    for _ in range(50):
        a = b = c = 0.0
        for i in range(log.size):
            y = log[i] - top
            power = math.exp(shape * y)
            a += power
            b += power * y
            c += power * y * y
        level = b / a + top - middle - 1.0 / shape
        slope = c / a - (b / a) ** 2 + 1.0 / shape**2
        before, shape = shape, max(shape - level / slope, 0.2 * shape)
        if abs(shape - before) < 1e-10 * shape:
            break
    power = 0.0
    for i in range(log.size):
        power += math.exp(shape * (log[i] - top))
    return shape, math.exp(top + math.log(power / log.size) / shape)


@compiled
def tails(code: Any, a: Any, b: Any, x: Any) -> Any:
    """(P(X <= x), P(X > x)), each to full relative precision where it is the smaller."""
    if x <= 0.0:
        return 0.0, 1.0
    if code == GAMMA:
        return gamma_tails(a, x / b)
    if code == LOGNORMAL:
        z = (math.log(x) - a) / (b * math.sqrt(2.0))
        return 0.5 * math.erfc(-z), 0.5 * math.erfc(z)
    if code == EXPONENTIAL:
        power = x / a
    elif code == WEIBULL:
        power = math.exp(a * math.log(x / b))
    else:
        power = a * max(math.log(x / b), 0.0)
    return -math.expm1(-power), math.exp(-power)


@compiled
def draw(code: Any, a: Any, b: Any, state: Any) -> Any:
    """(next state, a draw above 0)."""
    if code == LOGNORMAL:
        state, z = normal(state)
        return state, math.exp(a + b * z)
    if code == GAMMA:
        state, x = gamma(state, a)
        return state, max(x * b, _LEAST_VALUE)
    state, x = exponential(state)
    if code == EXPONENTIAL:
        return state, a * x
    if code == WEIBULL:
        return state, max(b * math.exp(math.log(x) / a), _LEAST_VALUE)
    return state, b * math.exp(x / a)


@compiled
def _tails_at(code: Any, a: Any, b: Any, x: Any) -> Any:
    low, high = np.empty(x.size), np.empty(x.size)
    for i in range(x.size):
        low[i], high[i] = tails(code, a, b, x[i])
    return low, high


@dataclass(frozen=True)
class Simple:
    """A law of two parameters, fitted."""

    family: str
    a: float
    b: float

    @property
    def free(self) -> int:
        """How many parameters were estimated."""
        return 1 if self.family == "exponential" else 2

    def tails(self, x: Floats) -> tuple[Floats, Floats]:
        """P(X <= x) and P(X > x)."""
        low, high = _tails_at(CODES[self.family], self.a, self.b, x)
        return low, high

    def log_density(self, x: Floats) -> Floats:
        """The logarithm of the density at x > 0."""
        a, b, log = self.a, self.b, np.log(x)
        if self.family == "exponential":
            density = -math.log(a) - x / a
        elif self.family == "gamma":
            density = (a - 1.0) * log - x / b - a * math.log(b) - math.lgamma(a)
        elif self.family == "weibull":
            rise = a * (log - math.log(b))
            density = math.log(a) - log + rise - np.exp(rise)
        elif self.family == "lognormal":
            density = -0.5 * ((log - a) / b) ** 2 - log - math.log(b * math.sqrt(2.0 * math.pi))
        else:
            density = np.where(x < b, -np.inf, math.log(a) - log - a * (log - math.log(b)))
        return np.asarray(density, np.float64)

    def parameters(self, unit: float) -> dict[str, float]:
        """By the names that the parts of ``lengths`` and ``arrivals`` have; ``unit`` is what x was counted in."""
        a, b = self.a, self.b
        if self.family == "exponential":
            return {"mean": a * unit}
        if self.family == "pareto":
            return {"alpha": a, "least": b * unit}
        if self.family == "gamma":
            return {"mean": a * b * unit, "cv": a**-0.5, "shape": a, "scale": b * unit}
        if self.family == "lognormal":
            return {"mean": unit * _exp(a + 0.5 * b * b), "cv": math.sqrt(_exp(b * b) - 1.0)}
        first, second = math.lgamma(1.0 + 1.0 / a), math.lgamma(1.0 + 2.0 / a)
        cv = math.sqrt(max(_exp(second - 2.0 * first) - 1.0, 0.0))
        return {"mean": unit * b * _exp(first), "cv": cv, "shape": a, "scale": b * unit}


def _exp(power: float) -> float:
    """exp, infinite where it is too large for a float."""
    return math.exp(power) if power < 700.0 else math.inf
