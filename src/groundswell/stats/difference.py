"""How far apart two independent figures are, from the interval of each."""

from __future__ import annotations

import math

from groundswell.stats.estimate import Estimate


def difference(first: Estimate, second: Estimate) -> Estimate:
    """``second`` less ``first``, with its 95 % interval as far as theirs are known.

    From the limits of each alone, which need not be symmetric: Zou and Donner, "Construction of confidence limits about
    effect measures", Statistics in Medicine 27 (2008), equation 3. Each limit needs one of each figure; where one of
    them is infinite or not known the limit is nan. ``n`` is the lesser of the two.

    >>> difference(Estimate(10, 7, 13), Estimate(20, 16, 24))
    Estimate(value=10, low=5.0, high=15.0, n=0)
    """
    value = second.value - first.value
    low = value - math.hypot(second.value - second.low, first.high - first.value)
    high = value + math.hypot(second.high - second.value, first.value - first.low)
    return Estimate(_finite(value), _finite(low), _finite(high), min(first.n, second.n))


def change(first: Estimate, second: Estimate) -> Estimate:
    """``second`` over ``first``, less 1, with its interval: :func:`difference` of the logarithms.

    What is not above 0, or not finite, has no ratio: the value is nan then.

    >>> found = change(Estimate(1.0, 0.9, 1.1), Estimate(1.5, 1.5, 1.5))
    >>> round(found.value, 2), round(found.low, 2), round(found.high, 2)
    (0.5, 0.36, 0.67)
    """
    ratio = difference(_logarithm(first), _logarithm(second))
    return Estimate(math.expm1(ratio.value), math.expm1(ratio.low), math.expm1(ratio.high), ratio.n)


def _logarithm(figure: Estimate) -> Estimate:
    value, low, high = (math.log(part) if part > 0 else math.nan for part in (figure.value, figure.low, figure.high))
    return Estimate(value, low, high, figure.n)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan
