"""Token-length distributions that can be stated in a line, such as ``lognormal:mean=800,cv=1.5``.

A part is a frozen dataclass with a cumulative distribution on the whole numbers; ``atoms`` turns any of them into the
discrete table that generation draws from.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from groundswell.family import Family

Floats = NDArray[np.float64]
LARGEST_TOKENS = 2**24
"""No length is larger: beyond it single precision no longer tells neighbouring whole numbers apart."""


class Length(Protocol):
    """What a length distribution says of itself. Lengths are whole numbers of at least 1 token unless the part says otherwise."""

    def cdf(self, tokens: Floats) -> Floats:
        """P(length <= tokens), element by element."""

    @property
    def mean(self) -> float:
        """The mean of the whole-number distribution that ``cdf`` describes, to 0.1 %."""


LENGTHS: Family[Length] = Family("lengths", __name__)


def atoms(length: Length) -> tuple[Floats, Floats]:
    """Rising values and their probabilities, a table that stands for ``length`` in generation."""
    raise NotImplementedError
