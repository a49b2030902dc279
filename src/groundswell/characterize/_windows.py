"""Arrivals window by window: how many, and how bursty.

**The CV of a window** is that of its gaps, which lie between consecutive requests of the same window. Two things make
the plain quotient of moments say less or more than the gaps do, and both are taken out to first order, so that a
Poisson or Gamma process has the same CV in windows of some ten gaps and of ten thousand:

- *Few gaps.* Over their sum, the m gaps of a Gamma process have a Dirichlet distribution, so ``q = m Σg²/(Σg)²`` is
  ``m (1 + CV²)/(m + CV²)`` on average and not 1 + CV². Hence ``CV² = (q − 1)/(1 − q/m)``, of which the first order,
  ``(q − 1)(1 + q/m)``, stays bounded when a single gap fills the window. And CV² varies by 2 CV⁴(1 + CV²)/m, times
  ``m(m − 1)/((m + 2)(m + 3))`` where m is small (exact for Poisson: Moran, "The random division of an interval", 1947);
  an eighth of the relative variance is by how much its root is too low.
- *A rate that rises or falls within the window.* A rate linear in time, from 1 − d to 1 + d of its mean, multiplies
  1 + CV² by 1 + d²/3. The mean position of the requests tells d, with a variance of 3 CV²/n that is taken off d².
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.characterize.figures import Series
from groundswell.stats.batches import BASE_S, MOST, BatchSums, interval
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NO_INTS: Ints = np.empty(0, np.int64)
NO_FLOATS: Floats = np.empty(0)

POINTS = 500
"""A series has at most so many."""
FEWEST_GAPS = 10
"""A window with fewer has no CV."""
_CELL_BITS = 20  # a window is 2²⁰ cells


@compiled
def _fold(arrival_s: Any, window_s: Any, shift: Any, first: Any, cells: Any, number: Any, size: Any,
          begin_s: Any, end_s: Any, squares: Any, position_s: Any) -> Any:  # fmt: skip
    """Fill what is known of each window and of each stretch of cells; (windows, gaps of 0 within and between them)."""
    windows, zeros, current, before = 0, 0, np.int64(-1), arrival_s[0] - 1.0
    start_s = 0.0
    for i in range(arrival_s.size):
        t = arrival_s[i]
        gap = t - before
        before = t
        zeros += gap == 0.0
        cell = np.int64(t * (1 << _CELL_BITS) / window_s)
        window = cell >> _CELL_BITS
        if window != current:
            current, start_s = window, window * window_s
            number[windows], begin_s[windows] = window, t
            windows += 1
        else:
            row = (cell >> shift) - first
            cells[row, 0] += 1.0
            cells[row, 1] += gap
            cells[row, 2] += gap * gap
            squares[windows - 1] += gap * gap
        size[windows - 1] += 1
        end_s[windows - 1] = t
        position_s[windows - 1] += t - start_s
    return windows, zeros


def _cell(at_s: float, window_s: float) -> int:
    return int(at_s * (1 << _CELL_BITS) / window_s)


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows in which something arrived, in order: each one's number, requests, first and last arrival, sum of
    squared gaps and sum of the requests' distances from its start.

    ``cells`` has number, sum and sum of squares of the gaps that end in a stretch of cells, of which a window has 2²⁰:
    finer than the windows where there are few. ``zeros`` counts simultaneous arrivals. Memory grows with the windows.
    """

    window_s: float = 1.0
    number: Ints = field(default_factory=lambda: NO_INTS)
    size: Ints = field(default_factory=lambda: NO_INTS)
    begin_s: Floats = field(default_factory=lambda: NO_FLOATS)
    end_s: Floats = field(default_factory=lambda: NO_FLOATS)
    squares: Floats = field(default_factory=lambda: NO_FLOATS)
    position_s: Floats = field(default_factory=lambda: NO_FLOATS)
    cells: BatchSums = field(default_factory=BatchSums)
    zeros: int = 0

    @classmethod
    def of(cls, arrival_s: Floats, window_s: float) -> Windows:
        """The windows of ``window_s`` in which the sorted ``arrival_s``, at least one, lie."""
        begin, end = _cell(arrival_s[0], window_s), _cell(arrival_s[-1], window_s)
        shift = 0
        while (end >> shift) - (begin >> shift) >= MOST:
            shift += 1
        cells = np.zeros(((end >> shift) - (begin >> shift) + 1, 3))
        most = min(arrival_s.size, (end >> _CELL_BITS) - (begin >> _CELL_BITS) + 1)
        number, size = np.zeros(most, np.int64), np.zeros(most, np.int64)
        begin_s, end_s, squares, position_s = (np.zeros(most) for _ in range(4))
        windows, zeros = _fold(
            arrival_s, window_s, shift, begin >> shift, cells, number, size, begin_s, end_s, squares, position_s
        )
        return cls(
            window_s,
            number[:windows],
            size[:windows],
            begin_s[:windows],
            end_s[:windows],
            squares[:windows],
            position_s[:windows],
            BatchSums(BASE_S * 2.0**shift, begin >> shift, cells),
            int(zeros),
        )

    def __add__(self, other: Windows) -> Windows:
        if not self.number.size or not other.number.size:
            return other if not self.number.size else self
        gap = float(other.begin_s[0] - self.end_s[-1])
        cells = self.cells + other.cells
        shared = int(self.number[-1] == other.number[0])
        if shared:
            at = np.array([_cell(float(other.begin_s[0]), self.window_s) * BASE_S])
            cells = cells + BatchSums.of(at, np.array([[1.0, gap, gap * gap]]))

        def joined(a: Any, b: Any, boundary: float = 0.0) -> Any:
            both = np.concatenate([a, b[shared:]])
            if shared:
                both[a.size - 1] += b[0] + boundary
            return both

        return Windows(
            self.window_s,
            np.concatenate([self.number, other.number[shared:]]),
            joined(self.size, other.size),
            np.concatenate([self.begin_s, other.begin_s[shared:]]),
            np.concatenate([self.end_s[: self.end_s.size - shared], other.end_s]),
            joined(self.squares, other.squares, gap * gap),
            joined(self.position_s, other.position_s),
            cells,
            self.zeros + other.zeros + int(gap == 0.0),
        )

    # --- what they say ------------------------------------------------------------------------------------------------

    @property
    def first_s(self) -> float:
        """The first arrival."""
        return float(self.begin_s[0])

    @property
    def last_s(self) -> float:
        """The last arrival."""
        return float(self.end_s[-1])

    @property
    def busiest(self) -> int:
        """The number of the window with most requests, the first of them."""
        return int(self.number[self.size.argmax()])

    def covered_s(self, number: Ints) -> Floats:
        """How much of the windows of these numbers lies between the first arrival and the last."""
        begin_s = number * self.window_s
        return np.asarray(np.minimum(begin_s + self.window_s, self.last_s) - np.maximum(begin_s, self.first_s))

    def rate_per_s(self) -> Floats:
        """Each window's rate, nan where the trace sees none of it but an instant."""
        covered_s = self.covered_s(self.number)
        return np.asarray(self.size / np.where(covered_s > 0, covered_s, np.nan))

    def cv(self) -> Floats:
        """Each window's CV (see the head of this file); nan where there are fewer than :data:`FEWEST_GAPS` gaps."""
        gaps = self.size - 1.0
        between_s = self.end_s - self.begin_s
        known = (gaps >= FEWEST_GAPS) & (between_s > 0)
        gaps, between_s = np.where(known, gaps, np.nan), np.where(known, between_s, np.nan)
        q = gaps * self.squares / between_s**2
        q = q * (1 - self._trend_squared(q - 1) / 3)
        squared = np.maximum((q - 1) * (1 + q / gaps), 0)
        variance = 2 * (1 + np.minimum(squared, gaps)) * (gaps - 1) / ((gaps + 2) * (gaps + 3))
        return np.asarray(np.sqrt(squared) * (1 + variance / 8))

    def _trend_squared(self, cv_squared: Floats) -> Floats:
        """d² of each window; 0 where there are too few requests to tell, at most that of a rate that trebles."""
        begin_s = self.number * self.window_s
        low, high = np.maximum(begin_s, self.first_s), np.minimum(begin_s + self.window_s, self.last_s)
        with np.errstate(divide="ignore", invalid="ignore"):
            trend = 3 * (begin_s + self.position_s / self.size - (low + high) / 2) / ((high - low) / 2)
        noise = 3 * np.maximum(cv_squared, 0) / self.size
        # Requests that crowd into a corner of the window are a burst, not a trend: d is 1/2 at most.
        return np.where(noise < 0.03, np.minimum(trend**2, 0.25) - noise, 0.0)


def mean_cv(windows: Windows) -> Estimate:
    """The windows' CVs averaged with their requests as weights, with a block bootstrap over stretches of time.

    Where there are few windows, the stretches are parts of them: what a part adds to its window's CV is taken to first
    order, ``CV + (1 + CV²)/(2 CV) · (m_j/m − 2 Σ_j g/Σg + Σ_j g²/Σg²)`` with weight m_j/m, which adds up to the CV.
    """
    cv = windows.cv()
    known = np.isfinite(cv)
    weight = np.where(known, windows.size, 0.0)
    level = np.where(known, cv, 0.0)
    requests = int(weight.sum())
    cells = windows.cells
    per_window = round(2.0**_CELL_BITS * BASE_S / cells.width_s) if cells.width_s <= 2.0**_CELL_BITS * BASE_S else 0
    if per_window == 0:
        sums = BatchSums.of(np.asarray(windows.number * BASE_S), [weight, weight * level]).sums
    else:
        place = np.searchsorted(windows.number, (cells.first + np.arange(len(cells.sums))) // per_window)
        place = np.minimum(place, windows.number.size - 1)  # a cell without requests, which counts for nothing
        total = np.column_stack([windows.size - 1.0, windows.end_s - windows.begin_s, windows.squares])[place]
        share = cells.sums / np.where(total > 0, total, 1.0)
        c = level[place]
        slope = (1 + c**2) / (2 * np.where(c > 0, c, np.inf))
        first_order = share[:, 0] * c + slope * (share[:, 0] - 2 * share[:, 1] + share[:, 2])
        sums = weight[place, None] * np.column_stack([share[:, 0], first_order])
    return interval(sums, lambda s: s[..., 1] / s[..., 0], requests) if requests else Estimate()


def series(windows: Windows, values: str) -> Series:
    """``rate`` per second or ``cv`` over time, with neighbouring windows together where there are many."""
    low, high = int(windows.number[0]), int(windows.number[-1])
    together = -(-(high - low + 1) // POINTS)
    group = (windows.number - low) // together
    points = (high - low) // together + 1
    start = low + together * np.arange(points)

    def summed(column: Any) -> Floats:
        return np.asarray(np.bincount(group, column, points), np.float64)

    if values == "rate":
        n = summed(windows.size)
        end_s = np.minimum((start + together) * windows.window_s, windows.last_s)
        covered_s = end_s - np.maximum(start * windows.window_s, windows.first_s)
        keep = mostly_covered(covered_s, together * windows.window_s)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = n / covered_s
    else:
        cv = windows.cv()
        weight = np.where(np.isfinite(cv), windows.size, 0)
        n = summed(weight)
        keep = n > 0
        value = summed(weight * np.nan_to_num(cv)) / np.where(keep, n, 1)
    return Series(together * windows.window_s, np.asarray(start[keep] * windows.window_s), value[keep], n[keep])


def mostly_covered(covered_s: Floats, width_s: float) -> NDArray[np.bool_]:
    """Which stretches the trace sees at least half of; all, where there is none."""
    keep = covered_s >= width_s / 2
    return keep if keep.any() else covered_s > 0
