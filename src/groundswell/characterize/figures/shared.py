"""What figures of several topics are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import NONE, Floats

UNKNOWN = Estimate()


@dataclass(frozen=True, eq=False)
class Series:
    """A quantity over time: ``value[i]`` in the ``width_s`` from ``start_s[i]`` on, from ``n[i]`` requests. A stretch
    that saw nothing is left out, or has nan."""

    width_s: float = 0.0
    start_s: Floats = field(default_factory=lambda: NONE)
    value: Floats = field(default_factory=lambda: NONE)
    n: Floats = field(default_factory=lambda: NONE)


@dataclass(frozen=True, eq=False)
class Band:
    """``middle`` with ``low`` and ``high`` around it, against ``x``; ``n[i]`` things each."""

    x: Floats = field(default_factory=lambda: NONE)
    middle: Floats = field(default_factory=lambda: NONE)
    low: Floats = field(default_factory=lambda: NONE)
    high: Floats = field(default_factory=lambda: NONE)
    n: Floats = field(default_factory=lambda: NONE)
