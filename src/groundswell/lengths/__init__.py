"""Token-length distributions that can be stated in a line, such as ``lognormal:mean=800,cv=1.5``.

A part is a frozen dataclass of the parameters a person states. It is a law on the whole numbers from 1 to
``LARGEST_TOKENS`` and says of itself its cumulative distribution, its mean, and the table of ``atoms`` that generation
draws from. Continuous laws are rounded to the nearest whole number (:mod:`groundswell.lengths._whole`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.family import Family

Floats = NDArray[np.float64]
LARGEST_TOKENS = 2**24
"""No length is larger: beyond it single precision no longer tells neighbouring whole numbers apart."""


class Length(Protocol):
    """What a length distribution says of itself: a law on the whole numbers from 1, unless the part says otherwise."""

    def __hash__(self) -> int:
        """A part is a value: clients with equal laws share one table."""

    def cdf(self, tokens: Floats) -> Floats:
        """P(length <= tokens), element by element."""

    def moment(self, tokens: Floats) -> Floats:
        """E[length · 1(length <= tokens)], element by element: what lengths up to ``tokens`` add to the mean."""

    def atoms(self) -> tuple[Floats, Floats]:
        """Rising values and their probabilities, a table that stands for the law in generation."""

    @property
    def mean(self) -> float:
        """The mean of the law that ``cdf`` describes, to 0.1 %."""


LENGTHS: Family[Length] = Family("lengths", __name__)


def atoms(length: Length) -> tuple[Floats, Floats]:
    """Rising values and their probabilities, a table of at most 20,000 lines that stands for ``length`` in generation.

    Whole lengths up to 4,096 have a line each. Above, a line stands for neighbouring lengths that lie within 0.1 % of
    each other and hold less than 0.1 % of the mass, by their mean. The table's distribution function is within 0.001 of
    ``length.cdf`` (Kolmogorov–Smirnov), its mean within 0.1 % of ``length.mean``.
    """
    return length.atoms()


def length_of(given: Length | str | float) -> Length:
    """The distribution that ``given`` means: a part as it is, a part's text, or a number (as text too) for a constant.

    >>> length_of("exponential:mean=200")
    Exponential(mean=200.0)
    >>> length_of(512).mean
    512.0
    """
    if isinstance(given, str):
        with suppress(ValueError):
            return length_of(float(given))
        return LENGTHS.build(given)
    if isinstance(given, (int, float)):
        from groundswell.lengths.empirical import Empirical

        return Empirical(values=(float(given),))
    if not all(hasattr(given, name) for name in ("cdf", "moment", "atoms", "mean")):
        raise UsageError(f"a length is a number, a text such as 'lognormal:mean=800,cv=1.5', or a part; not {given!r}")
    return given
