"""What the laws on whole numbers share: tables for generation, rounding of continuous laws, and parameters' checks.

A continuous law Y becomes a law on whole numbers by rounding to the nearest, to 1 where that gives 0, and by leaving
out what lies above ``LARGEST_TOKENS``: P(X <= n) = F(n + 1/2) / F(LARGEST_TOKENS + 1/2) for n >= 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from numbers import Real

import numpy as np

from groundswell.errors import UsageError
from groundswell.lengths import LARGEST_TOKENS, Floats, Length

_EXACT = 4096  # every whole number up to here has an atom of its own
_RATIO = 1.001  # above, one atom to each 0.1 %
_PARTS = 1024  # and at least one atom to each 1/1024 of the mass
_TOP = LARGEST_TOKENS + 0.5
LARGEST_MEAN = 2**22
"""The largest mean that can be stated: a quarter of the largest length, so the cut there leaves room for it."""


class Whole(ABC):
    """A law on the whole numbers from 1 to ``LARGEST_TOKENS``, from its distribution function and partial mean."""

    @abstractmethod
    def cdf(self, tokens: Floats) -> Floats:
        """P(X <= tokens), element by element."""

    @abstractmethod
    def moment(self, tokens: Floats) -> Floats:
        """E[X · 1(X <= tokens)], element by element."""

    def whole_mean(self) -> float:
        """E[X]."""
        return float(self.moment(np.array([float(LARGEST_TOKENS)]))[0])

    def atoms(self) -> tuple[Floats, Floats]:
        """Rising whole values and their probabilities; see :func:`groundswell.lengths.atoms`."""
        edge = self._edges()
        mass = np.maximum(np.diff(self.cdf(edge)), 0.0)
        weight = np.diff(self.moment(edge))
        low, high, kept = edge[:-1] + 1.0, edge[1:], mass > 0
        low, high, mass, weight = low[kept], high[kept], mass[kept], weight[kept]
        return np.clip(np.rint(weight / mass), low, high), mass / mass.sum()

    def _edges(self) -> Floats:
        """Rising whole numbers; an atom stands for the numbers after one of them up to the next."""
        steps = int(np.ceil(np.log(LARGEST_TOKENS / _EXACT) / np.log(_RATIO)))
        spaced = np.minimum(np.rint(_EXACT * _RATIO ** np.arange(1, steps + 1)), LARGEST_TOKENS)
        # An edge on either side of each quantile: a number that holds much of the mass stands alone.
        quantile = self._quantiles(np.arange(1, _PARTS) / _PARTS)
        return np.unique(np.concatenate([np.arange(_EXACT + 1.0), spaced, quantile - 1.0, quantile]))

    def _quantiles(self, share: Floats) -> Floats:
        """The least whole numbers with at least ``share`` of the mass at or below them, by bisection."""
        low, high = np.zeros_like(share), np.full_like(share, LARGEST_TOKENS)
        while (high - low > 1).any():
            middle = np.floor(0.5 * (low + high))
            enough = self.cdf(middle) >= share
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return high


class Rounded(Whole):
    """A continuous law on the positive numbers, rounded."""

    @abstractmethod
    def below(self, x: Floats) -> Floats:
        """P(Y <= x) for x > 0."""

    @abstractmethod
    def moment_below(self, x: Floats) -> Floats:
        """E[Y · 1(Y <= x)] for x > 0."""

    def cdf(self, tokens: Floats) -> Floats:
        """P(X <= tokens), element by element."""
        whole = np.clip(np.floor(np.asarray(tokens, np.float64)), 0.0, LARGEST_TOKENS)
        share: Floats = np.where(whole < 1, 0.0, self.below(whole + 0.5) / self.below(np.array(_TOP)))
        return share

    def moment(self, tokens: Floats) -> Floats:
        """E[X · 1(X <= tokens)]: exact to 4,096, and above that the continuous law's, which rounding hardly changes."""
        whole = np.clip(np.floor(np.asarray(tokens, np.float64)), 0.0, LARGEST_TOKENS)
        low = self._low_moment[np.minimum(whole, _EXACT).astype(np.int64)]
        high = self.moment_below(np.maximum(whole, _EXACT) + 0.5) - self.moment_below(np.array(_EXACT + 0.5))
        return np.asarray((low + high) / self.below(np.array(_TOP)), np.float64)

    @cached_property
    def _low_moment(self) -> Floats:
        return _low_moment(self.below)


def scale_of_mean(
    mean: float, below: Callable[[float, Floats], Floats], moment: Callable[[float, Floats], Floats]
) -> float:
    """The scale at which a continuous law, rounded, has the given mean (1e-9); the functions take it first."""

    from scipy.optimize import brentq

    def excess(log_scale: float) -> float:
        scale = float(np.exp(log_scale))
        top, exact = np.array(_TOP), np.array(_EXACT + 0.5)
        high = float(moment(scale, top) - moment(scale, exact))
        low = float(_low_moment(lambda x: below(scale, x))[-1])
        return (low + high) / float(below(scale, top)) - mean * (1.0 + 1e-12)

    low = high = float(np.log(mean))
    step = 0.1
    while excess(low) > 0:
        low, step = low - step, 2.0 * step
    step = 0.1
    while excess(high) < 0 and step < 1e3:
        high, step = high + step, 2.0 * step
    return float(np.exp(low if low == high else brentq(excess, low, high, xtol=1e-12, rtol=1e-12)))


def _low_moment(below: Callable[[Floats], Floats]) -> Floats:
    """Σ k·P(X = k) over k <= n, for n from 0 to 4,096, before the cut at the top."""
    n = np.arange(_EXACT + 1.0)
    share = np.concatenate([[0.0], below(n[1:] + 0.5)])
    return np.concatenate([[0.0], np.cumsum(n[1:] * np.diff(share))])


def check_number(part: str, name: str, value: object, least: float, most: float, *, above: bool = False) -> None:
    """Raise a ``UsageError`` unless ``value`` is a number from ``least`` (or ``above`` it) to ``most``."""
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if (least < number if above else least <= number) and number <= most:
            return
    bound = f"above {least:g} and at most {most:g}" if above else f"between {least:g} and {most:g}"
    raise UsageError(f"{part}: {name} must be a number {bound}, not {value!r}")


def check_whole(part: str, length: Length) -> None:
    """Raise a ``UsageError`` unless all of ``length`` is on the whole numbers from 1."""
    values, _ = length.atoms()
    if values[0] < 1 or (values != np.rint(values)).any():
        raise UsageError(f"{part}: takes lengths that are whole numbers of at least 1")
