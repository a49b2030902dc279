"""Arrivals like a clock's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from groundswell.arrivals import ARRIVALS, FIRST_GAP, Floats
from groundswell.chance import compiled, uniform_of, word_at


@compiled
def _fill(gaps: Any, offset: Any, key: Any, index: Any, a: Any, b: Any) -> None:
    gaps[offset[0] : offset[-1]] = 1.0


@compiled
def _first(gaps: Any, key: Any, a: Any, b: Any) -> None:
    for s in range(key.size):
        gaps[s] = uniform_of(word_at(key[s] ^ FIRST_GAP, 0))


@ARRIVALS.register("deterministic")
@dataclass(frozen=True)
class Deterministic:
    """Equal gaps from a random phase on, CV 0."""

    stated: ClassVar[bool] = False
    fill: ClassVar[Any] = staticmethod(_fill)
    first: ClassVar[Any] = staticmethod(_first)

    @property
    def cv(self) -> float:
        """0."""
        return 0.0

    def parameters(self) -> tuple[float, float]:
        """None are needed."""
        return 0.0, 0.0

    @staticmethod
    def shapes(cv: Floats, first: Floats, second: Floats, gaps: Floats) -> tuple[Floats, Floats]:
        """None are needed."""
        return np.zeros_like(cv), np.zeros_like(cv)
