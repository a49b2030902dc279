"""What happened in each short bin of time: sums in bins that double in length when there would be too many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.stats.batches import coarsened

Floats = NDArray[np.float64]

BASE_S = 0.125
"""The shortest bin."""
MOST = 2**20
"""As many bins are kept at most: 36 hours of the shortest."""


@dataclass(frozen=True, eq=False)
class Part:
    """``sums[i]``, of bin ``first + i``; bin ``b`` is the ``width_s`` from ``b * width_s`` on."""

    width_s: float
    first: int
    sums: Floats

    def widened(self, width_s: float) -> Part:
        """The same in bins of ``width_s``, a multiple of this width."""
        factor = round(width_s / self.width_s)
        if factor == 1:
            return self
        return Part(width_s, *coarsened(self.first, self.sums, factor))


@dataclass(frozen=True, eq=False)
class Bins:
    """Sums of some quantities in bins of time. ``a + b`` has the sums of both, which may share bins.

    >>> bins = Bins.of(np.array([0.0, 0.1, 1.0]), [np.array([1.0, 1.0, 1.0])]) + Bins.of(np.array([1.1]), [np.ones(1)])
    >>> bins.whole.sums.ravel()
    array([2., 0., 0., 0., 0., 0., 0., 0., 2.])
    """

    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, at_s: Floats, columns: Sequence[Any]) -> Bins:
        """The sums of ``columns`` over what happened at ``at_s``, which rises."""
        if not at_s.size:
            return cls()
        width_s = _fitting(float(at_s[0]), float(at_s[-1]), BASE_S)
        first = int(at_s[0] // width_s)
        sums = np.zeros((int(at_s[-1] // width_s) - first + 1, len(columns)))
        for j, column in enumerate(columns):
            _add(at_s, np.asarray(column), width_s, first, sums[:, j])
        return cls((Part(width_s, first, sums),))

    def __add__(self, later: Bins) -> Bins:
        parts = (*self.parts, *later.parts)
        if not parts:
            return self
        width_s = max(part.width_s for part in parts)
        first_s = min(part.first * part.width_s for part in parts)
        last_s = max((part.first + len(part.sums) - 1) * part.width_s for part in parts)
        width_s = _fitting(first_s, last_s, width_s)
        return Bins(tuple(part.widened(width_s) for part in parts))

    @property
    def whole(self) -> Part:
        """All bins from the first to the last in which something happened."""
        if not self.parts:
            return Part(BASE_S, 0, np.empty((0, 0)))
        first = min(part.first for part in self.parts)
        last = max(part.first + len(part.sums) for part in self.parts)
        sums = np.zeros((last - first, self.parts[0].sums.shape[1]))
        for part in self.parts:
            sums[part.first - first :][: len(part.sums)] += part.sums
        return Part(self.parts[0].width_s, first, sums)


def _fitting(first_s: float, last_s: float, width_s: float) -> float:
    """``width_s``, doubled until no more than :data:`MOST` bins reach from first to last."""
    while last_s // width_s - first_s // width_s >= MOST:
        width_s *= 2.0
    return width_s


@compiled
def _add(at_s: Any, column: Any, width_s: float, first: int, sums: Any) -> Any:
    for i in range(at_s.size):
        sums[np.int64(at_s[i] // width_s) - first] += column[i]
