"""Sums over stretches of time that nest in the periods of a day."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from groundswell.characterize.setting import Setting

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_HALVINGS = 18  # the shortest stretch is a period halved so often: 0.08 s of 6 hours
FEWEST_PERIODS = 4
MOST_PERIODS = 64


def base_s(setting: Setting) -> float:
    """The shortest stretch."""
    return setting.period_s / 2.0**_HALVINGS


def offset_s(setting: Setting) -> float:
    """How long before second 0 the period began that it lies in; periods begin at midnight where that is known."""
    return (setting.midnight_s or 0.0) % setting.period_s


@dataclass(frozen=True)
class Grid:
    """Stretches from number ``first`` on, of ``width_s``: values ``begins[k]`` to ``begins[k + 1]`` lie in the k-th."""

    width_s: float
    first: int
    begins: Ints

    @classmethod
    def over(cls, at_s: Floats, shortest_s: float, most: int) -> Grid:
        """The stretches that the rising ``at_s``, at least one, lie in: ``shortest_s`` doubled until they are at most
        ``most``.
        """
        width_s = shortest_s
        while at_s[-1] // width_s - at_s[0] // width_s >= most:
            width_s *= 2.0
        first, last = int(at_s[0] // width_s), int(at_s[-1] // width_s)
        begins = np.searchsorted(at_s, np.arange(first, last + 2) * width_s)
        begins[0], begins[-1] = 0, at_s.size
        return cls(width_s, first, begins)

    def thinned(self, most: int) -> Grid:
        """The same in stretches doubled until they are at most ``most``."""
        thin = self
        while len(thin) > most:
            # The bounds that stay are those of even number.
            inner = thin.begins[1:-1][(thin.first + 1) % 2 :: 2]
            begins = np.concatenate([thin.begins[:1], inner, thin.begins[-1:]])
            thin = Grid(2.0 * thin.width_s, thin.first // 2, begins)
        return thin

    def __len__(self) -> int:
        return self.begins.size - 1


@dataclass(frozen=True, eq=False)
class Course:
    """``sums[i]``: of stretch ``first + i``, ``width_s`` long. There are ``most`` stretches at most: they double in
    length when there would be more. ``a + b`` has the sums of both.
    """

    width_s: float = 0.0
    first: int = 0
    sums: Floats = field(default_factory=lambda: np.empty((0, 0)))
    most: int = 0

    @classmethod
    def of(cls, grid: Grid, edges: Ints, sums: Floats, most: int) -> Course:
        """The sums over the grid's stretches, from those of values ``edges[k]`` to ``edges[k + 1]``; ``edges`` hold all
        bounds of the grid.
        """
        running = np.concatenate([np.zeros((1, sums.shape[1])), np.cumsum(sums, axis=0)])
        return cls(grid.width_s, grid.first, np.diff(running[np.searchsorted(edges, grid.begins)], axis=0), most)

    def __add__(self, other: Course) -> Course:
        if not self.sums.size or not other.sums.size:
            return other if not self.sums.size else self
        width_s = max(self.width_s, other.width_s)
        while True:
            a, b = self.widened(width_s), other.widened(width_s)
            first = min(a.first, b.first)
            size = max(a.first + len(a.sums), b.first + len(b.sums)) - first
            if size <= self.most:
                break
            width_s *= 2.0
        sums = np.zeros((size, a.sums.shape[1]))
        sums[a.first - first :][: len(a.sums)] += a.sums
        sums[b.first - first :][: len(b.sums)] += b.sums
        return Course(width_s, first, sums, self.most)

    def widened(self, width_s: float) -> Course:
        """The same in stretches of ``width_s``, a power of two times this width."""
        if not self.sums.size or self.width_s == width_s:
            return self
        factor = round(width_s / self.width_s)
        number = np.arange(self.first, self.first + len(self.sums)) // factor
        begins = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
        return Course(width_s, int(number[0]), np.add.reduceat(self.sums, begins, axis=0), self.most)

    def thinned(self, most: int) -> Course:
        """The same in at most ``most`` stretches."""
        thin = self
        while len(thin.sums) > most:
            thin = thin.widened(2.0 * thin.width_s)
        return thin

    def periods(self, setting: Setting, fewest: int = FEWEST_PERIODS) -> Course:
        """The same in the setting's periods: or, so that there are at least ``fewest``, in halves, quarters … of them;
        or, so that there are at most 64, in two, four … together.
        """
        whole = self
        while whole.width_s < setting.period_s:
            wider = whole.widened(2.0 * whole.width_s)
            if len(wider.sums) < fewest:
                break
            whole = wider
        return whole.thinned(MOST_PERIODS)

    @property
    def number(self) -> Ints:
        """The stretches' numbers."""
        return np.arange(self.first, self.first + len(self.sums))

    @property
    def start_s(self) -> Floats:
        """When each begins."""
        return np.asarray(self.number * self.width_s, np.float64)
