"""Which of some knobs are moved, and how far, so that something that is computed comes near to what was observed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

Floats = NDArray[np.float64]

PRICE = 4.0
"""A knob is moved if that lowers the misfit by as much: twice what Akaike's criterion asks for."""
_FAR = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Shares of how far a knob can be off at which the search may begin: one that begins far off loses its way."""
_STEP = 0.3
"""For slopes, in units of what is usual: so long that it reaches across folds."""
_SCATTER = (0.1, 2.0)
_MOST_ALIKE = 0.9


def softened(x: Floats) -> float:
    """The sum of 2(√(1 + x²) - 1): x² for a small x and 2|x| for a large one, so that no odd one decides."""
    return float(2.0 * (np.sqrt(1.0 + x**2) - 1.0).sum())


@dataclass(frozen=True, eq=False)
class Search:
    """For the least misfit.

    ``off`` says how far things are off, each in units of what is good, as rows of neighbours (nan where it is not
    known), when knobs are moved so far, in units of what is usual. Being moved is something to be off by, too.

    What is off where the misfit is least, is off for other reasons; things then count for less than they would, or for
    more. That neighbours are off in the same direction makes them fewer than they seem. (Akaike's criterion for data
    that scatter more than they should: Burnham and Anderson, Model Selection and Multimodel Inference, 2002, section
    2.5.)
    """

    off: Callable[[Floats], Floats]
    far: Floats
    scatter: float = 1.0

    def least(self, most: int) -> Floats:
        """How far each knob is moved, of which at most ``most`` are."""
        count = self.far.size
        nowhere = np.zeros(count)
        far = [way * share * one for one in np.diag(self.far) if one.any() for share in _FAR for way in (1.0, -1.0)]
        every = tuple(range(count))
        whole, _ = self._along(every, [nowhere, *far])
        search = replace(self, scatter=self._scatter(whole))
        best, least = nowhere, search._misfit(nowhere)
        for size in range(1, min(most, count) + 1):
            for some in combinations(every, size):
                part = np.where(np.isin(every, some), whole, 0.0)
                starts = [nowhere, part, *(x for x in far if np.flatnonzero(x)[0] in some and size < count)]
                at, value = search._along(some, starts)
                if value + PRICE * size < least:
                    best, least = at, value + PRICE * size
        return best

    def _along(self, some: Sequence[int], starts: Sequence[Floats]) -> tuple[Floats, float]:
        """(where the misfit is least if only some knobs are moved, how much it is), from the best of some starts on."""
        chosen = list(some)

        def residuals(y: Floats) -> Floats:
            x = np.zeros(self.far.size)
            x[chosen] = y
            return self._residuals(x)

        def slopes(y: Floats) -> Floats:
            steps = _STEP * np.eye(y.size)
            return np.stack([residuals(y + by) - residuals(y - by) for by in steps], axis=1) / (2.0 * _STEP)

        start = min(starts, key=self._misfit)[chosen]
        found = least_squares(residuals, start, slopes, loss="soft_l1", xtol=1e-3, ftol=1e-4, max_nfev=15)
        at = np.zeros(self.far.size)
        at[chosen] = found.x
        return at, 2.0 * float(found.cost)

    def _misfit(self, x: Floats) -> float:
        return softened(self._residuals(x))

    def _residuals(self, x: Floats) -> Floats:
        return np.concatenate((np.nan_to_num(self.off(x)).ravel() / self.scatter, x))

    def _scatter(self, x: Floats) -> float:
        """How far things are off there, in units of what is good."""
        off = self.off(x)
        left = softened(off[np.isfinite(off)]) / max(np.isfinite(off).sum() - x.size, 1)
        known = np.nan_to_num(off)
        alike = (known[:, 1:] * known[:, :-1]).sum() / max((known**2).sum(), 1e-12)
        alike = min(max(float(alike), 0.0), _MOST_ALIKE)
        return float(np.clip(np.sqrt(left * (1.0 + alike) / (1.0 - alike)), *_SCATTER))
