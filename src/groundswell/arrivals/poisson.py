"""Arrivals that know nothing of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from groundswell.arrivals import ARRIVALS, FIRST_GAP, Floats
from groundswell.chance import compiled, exponential, word_at


@compiled
def _fill(gaps: Any, offset: Any, key: Any, index: Any, a: Any, b: Any) -> None:
    for s in range(key.size):
        j = index[s]
        for i in range(offset[s], offset[s + 1]):
            _, gaps[i] = exponential(word_at(key[s], j))
            j += 1


@compiled
def _first(gaps: Any, key: Any, a: Any, b: Any) -> None:
    for s in range(key.size):
        _, gaps[s] = exponential(word_at(key[s] ^ FIRST_GAP, 0))


@ARRIVALS.register("poisson")
@dataclass(frozen=True)
class Poisson:
    """A Poisson process: exponential gaps, CV 1."""

    stated: ClassVar[bool] = False
    fill: ClassVar[Any] = staticmethod(_fill)
    first: ClassVar[Any] = staticmethod(_first)

    @property
    def cv(self) -> float:
        """1."""
        return 1.0

    def parameters(self) -> tuple[float, float]:
        """None are needed."""
        return 0.0, 0.0

    @staticmethod
    def shapes(cv: Floats, first: Floats, second: Floats, gaps: Floats) -> tuple[Floats, Floats]:
        """None are needed."""
        return np.ones_like(cv), np.zeros_like(cv)
