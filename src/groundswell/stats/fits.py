"""Families fitted to values by maximum likelihood, and how well they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NONE: Floats = np.empty(0)


@dataclass(frozen=True, eq=False)
class Curve:
    """``y`` against rising ``x``: a cumulative distribution unless it is said to be something else."""

    x: Floats = field(default_factory=lambda: NONE)
    y: Floats = field(default_factory=lambda: NONE)


@dataclass(frozen=True, eq=False)
class Fit:
    """A family fitted by maximum likelihood to ``n`` values.

    ``ks`` is the largest distance between the fitted and the empirical distribution function. ``aic`` is Akaike's
    criterion less that of the best family fitted to the same values, so the best has 0. ``p`` is the share of
    bootstrap replicates, drawn from the fit and fitted again, whose KS distance is at least as large; nan where it was
    not asked for. ``curve`` is the fitted distribution function at the x that were asked for.
    """

    family: str
    parameters: dict[str, float]
    n: int
    ks: float
    aic: float
    p: float = np.nan
    curve: Curve = field(default_factory=Curve)


def fit(
    values: Floats, families: Sequence[str], curve_at: Floats | None = None, replicates: int = 0, seed: int = 0
) -> tuple[Fit, ...]:
    """The ``families`` fitted to ``values`` (at least 0, in any order), the best by AIC first.

    Families: ``exponential``, ``gamma``, ``weibull``, ``lognormal``, ``pareto``, ``pareto+lognormal``, ``zipf``.
    ``curve_at`` asks for each fit's distribution function there, ``replicates`` for a bootstrap p-value from so many.
    """
    raise NotImplementedError
