"""Arrivals with Gamma gaps: ServeGen's best fit for its largest model, BurstGPT's for its services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from groundswell.arrivals import ARRIVALS, FIRST_GAP, Floats
from groundswell.chance import GOLDEN, compiled, gamma, mix, uniform_of, word_at
from groundswell.errors import UsageError

_SMALLEST_SHAPE = 1e-6  # one burst and one gap: smaller changes nothing that can be seen


@compiled
def _fill(gaps: Any, offset: Any, key: Any, index: Any, a: Any, b: Any) -> None:
    for s in range(key.size):
        j, shape, scale = index[s], a[s], b[s]
        for i in range(offset[s], offset[s + 1]):
            _, x = gamma(word_at(key[s], j), shape)
            gaps[i] = scale * x
            j += 1


@compiled
def _first(gaps: Any, key: Any, a: Any, b: Any) -> None:
    # The gap that a random instant lands in is Gamma with one more shape, and the instant is uniformly far through it.
    for s in range(key.size):
        state, x = gamma(word_at(key[s] ^ FIRST_GAP, 0), a[s] + 1.0)
        gaps[s] = uniform_of(mix(state + GOLDEN)) * b[s] * x


@ARRIVALS.register("gamma")
@dataclass(frozen=True)
class Gamma:
    """A renewal process with Gamma gaps of shape 1/cv²."""

    cv: float = 2.0
    stated: ClassVar[bool] = False
    fill: ClassVar[Any] = staticmethod(_fill)
    first: ClassVar[Any] = staticmethod(_first)

    def __post_init__(self) -> None:
        if not (isinstance(self.cv, (int, float)) and 0 < self.cv <= 1000):
            raise UsageError(
                f"gamma: cv must be above 0 and at most 1000, not {self.cv}; for equal gaps take deterministic"
            )

    def parameters(self) -> tuple[float, float]:
        """Shape and scale."""
        return self.cv**-2.0, self.cv**2.0

    @staticmethod
    def shapes(cv: Floats, first: Floats, second: Floats, gaps: Floats) -> tuple[Floats, Floats]:
        """Shape and scale.

        m Gamma gaps scaled to a fixed sum are Dirichlet, and their squared CV is (m - 1) / (m·shape + 1) on average.
        The shape that makes this cv² is ((m - 1) / cv² - 1) / m, which is 1/cv² for many gaps and 0 at the bound cv² =
        m - 1.
        """
        squared = np.maximum(cv.astype(np.float64) ** 2, 1e-12)
        finite = np.isfinite(gaps)
        m = np.where(finite, np.maximum(gaps, 1.0), 1.0)
        shape = np.where(finite, ((m - 1.0) / squared - 1.0) / m, 1.0 / squared)
        shape = np.maximum(shape, _SMALLEST_SHAPE)
        return shape, 1.0 / shape
