"""A figure and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval and the number of things it rests on. What is not known is nan.

    >>> Estimate(1.3, 1.1, 1.5, 400).above(1.0)
    True
    """

    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n: int = 0

    def above(self, bound: float) -> bool:
        """Whether the whole interval lies above ``bound``."""
        return self.low > bound

    def below(self, bound: float) -> bool:
        """Whether the whole interval lies below ``bound``."""
        return self.high < bound

    @property
    def known(self) -> bool:
        """Whether there is a figure with an interval."""
        return bool(np.isfinite(self.value) and np.isfinite(self.low) and np.isfinite(self.high))
