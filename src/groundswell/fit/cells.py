"""What each client's gaps were like in each window: sums that add up, from which level, burstiness and family follow.

A gap counts where both its requests lie in the window. Besides the sums of gaps and of their squares a cell holds those
of their logarithms and roots, which is what likelihoods of Gamma and Weibull gaps are made of
(:mod:`groundswell.fit.families`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]

_REQUESTS, _FIRST, _LAST, _ZEROS, _LOG, _QUARTER, _HALF, _THREE_QUARTERS, _SQUARE = range(9)
WIDTH = 9


@compiled
def _add_gap(row: Any, gap: Any) -> None:
    if gap > 0.0:
        half = np.sqrt(gap)
        quarter = np.sqrt(half)
        row[_LOG] += np.log(gap)
        row[_QUARTER] += quarter
        row[_HALF] += half
        row[_THREE_QUARTERS] += half * quarter
        row[_SQUARE] += gap * gap
    else:
        row[_ZEROS] += 1.0


@compiled
def _count(arrival_s: Any, code: Any, window: Any, open_cell: Any, client: Any, at: Any, sums: Any) -> Any:
    """Fill the cells of requests in order of time; how many there are."""
    cells = 0
    for i in range(code.size):
        c = code[i]
        cell = open_cell[c]
        if cell < 0 or at[cell] != window[i]:
            cell = cells
            cells += 1
            open_cell[c], client[cell], at[cell] = cell, c, window[i]
            sums[cell, :] = 0.0
            sums[cell, _FIRST] = arrival_s[i]
        else:
            _add_gap(sums[cell], arrival_s[i] - sums[cell, _LAST])
        sums[cell, _REQUESTS] += 1.0
        sums[cell, _LAST] = arrival_s[i]
    return cells


@compiled
def _merge(client: Any, window: Any, sums: Any, order: Any, kept: Any, out: Any) -> Any:
    """Cells that ``order`` puts beside each other become one where client and window are the same; how many are
    left."""
    cells = -1
    for i in order:
        if cells >= 0 and client[kept[cells]] == client[i] and window[kept[cells]] == window[i]:
            _add_gap(out[cells], sums[i, _FIRST] - out[cells, _LAST])
            out[cells, _REQUESTS] += sums[i, _REQUESTS]
            out[cells, _LAST] = sums[i, _LAST]
            for k in range(_ZEROS, _SQUARE + 1):
                out[cells, k] += sums[i, k]
        else:
            cells += 1
            kept[cells] = i
            out[cells] = sums[i]
    return cells + 1


@dataclass(frozen=True, eq=False)
class Cells:
    """One row for a client and a window in which it sent something."""

    client: Codes = field(default_factory=lambda: np.empty(0, np.uint32))
    window: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    sums: Floats = field(default_factory=lambda: np.empty((0, WIDTH)))

    @classmethod
    def of(cls, arrival_s: Floats, code: Codes, window: Ints, clients: int) -> Cells:
        """The cells of requests in order of time from clients number 0 … ``clients`` - 1."""
        n = code.size
        client, at, sums = np.empty(n, np.uint32), np.empty(n, np.int64), np.empty((n, WIDTH))
        left = _count(arrival_s, code, window, np.full(clients, -1, np.int64), client, at, sums)
        return cls(client[:left].copy(), at[:left].copy(), sums[:left].copy())

    @classmethod
    def joined(cls, parts: Sequence[Cells]) -> Cells:
        """Parts in order of time as if they had never been apart; by client, then window."""
        client = np.concatenate([part.client for part in parts])
        window = np.concatenate([part.window for part in parts])
        sums = np.concatenate([part.sums for part in parts])
        order = np.lexsort((window, client))  # stable: what is of one cell stays in order of time
        kept, out = np.empty(client.size, np.int64), np.empty_like(sums)
        left = _merge(client, window, sums, order, kept, out)
        return cls(client[kept[:left]], window[kept[:left]], out[:left].copy())

    def __len__(self) -> int:
        return self.client.size

    def numbered(self, place: NDArray[Any]) -> Cells:
        """The same cells, client ``c`` now being number ``place[c]``."""
        return Cells(place[self.client].astype(np.uint32), self.window, self.sums)

    def where(self, keep: NDArray[np.bool_]) -> Cells:
        """The cells that ``keep`` marks."""
        return Cells(self.client[keep], self.window[keep], self.sums[keep])

    @property
    def requests(self) -> Floats:
        """How many requests a cell has."""
        return self.sums[:, _REQUESTS]

    @property
    def gaps(self) -> Floats:
        """How many gaps lie within it: one fewer."""
        return self.requests - 1.0

    @property
    def gap_s(self) -> Floats:
        """The gaps' sum."""
        return self.sums[:, _LAST] - self.sums[:, _FIRST]

    @property
    def zeros(self) -> Floats:
        """How many of the gaps are 0."""
        return self.sums[:, _ZEROS]

    @property
    def log_sum(self) -> Floats:
        """The sum of the logarithms of the gaps above 0."""
        return self.sums[:, _LOG]

    @property
    def root_sums(self) -> Floats:
        """(cells, 3): the sums of the gaps to the powers of a quarter, a half and three quarters."""
        return self.sums[:, _QUARTER : _THREE_QUARTERS + 1]

    @property
    def square_sum(self) -> Floats:
        """The sum of the gaps' squares."""
        return self.sums[:, _SQUARE]

    @property
    def cv(self) -> Floats:
        """The CV of each cell's gaps: nan with fewer than two.

        Gaps that are all 0 have the largest CV that so many gaps can have, which is that of a single burst.
        """
        gaps = np.maximum(self.gaps, 1.0)
        mean_s = self.gap_s / gaps
        with np.errstate(divide="ignore", invalid="ignore"):
            squared = self.square_sum / gaps / mean_s**2 - 1.0
        measured = np.sqrt(np.maximum(squared, 0.0))
        return np.where(self.gaps >= 2, np.where(self.gap_s > 0, measured, np.sqrt(gaps)), np.nan)
