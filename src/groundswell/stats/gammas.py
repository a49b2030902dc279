"""The gamma function's relatives, for kernels, which cannot call scipy."""

from __future__ import annotations

import math
from typing import Any

from groundswell.chance import compiled

_MANY_TERMS = 10_000
_LARGE_SHAPE = 5_000.0  # above it the series need many terms, and Wilson and Hilferty's normal is within 1e-6


@compiled
def digamma(x: Any) -> Any:
    """ψ(x) for x > 0: the recurrence up to 6, then the asymptotic series (Abramowitz and Stegun 6.3.5, 6.3.18)."""
    shift = 0.0
    while x < 6.0:
        shift -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    return shift + math.log(x) - 0.5 / x - r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r / 132))))


@compiled
def trigamma(x: Any) -> Any:
    """ψ'(x) for x > 0, likewise (6.4.6, 6.4.12)."""
    shift = 0.0
    while x < 6.0:
        shift += 1.0 / (x * x)
        x += 1.0
    r = 1.0 / (x * x)
    return shift + 1.0 / x + 0.5 * r + r / x * (1 / 6 - r * (1 / 30 - r * (1 / 42 - r / 30)))


@compiled
def gamma_tails(shape: Any, x: Any) -> Any:
    """(P(shape, x), Q(shape, x)), the regularised incomplete gamma functions, to 1e-12 relatively in the smaller one.

    The series below shape + 1, Lentz's continued fraction above it (Numerical Recipes, 6.2); 1e-6 from shape 5,000 on.
    """
    if x <= 0.0:
        return 0.0, 1.0
    if shape > _LARGE_SHAPE:
        root = 1.0 / (9.0 * shape)
        z = ((x / shape) ** (1.0 / 3.0) - 1.0 + root) / math.sqrt(2.0 * root)
        return 0.5 * math.erfc(-z), 0.5 * math.erfc(z)
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1.0:
        term = total = 1.0 / shape
        for i in range(1, _MANY_TERMS):
            term *= x / (shape + i)
            total += term
            if term < 1e-15 * total:
                break
        low = min(front * total, 1.0)
        return low, 1.0 - low
    b = x + 1.0 - shape
    c, d = 1e300, 1.0 / b
    h = d
    for i in range(1, _MANY_TERMS):
        step = -i * (i - shape)
        b += 2.0
        d = 1.0 / (step * d + b)
        c = b + step / c
        h *= d * c
        if abs(d * c - 1.0) < 1e-14:
            break
    high = min(front * h, 1.0)
    return 1.0 - high, high
