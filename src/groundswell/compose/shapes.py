"""Which process each client follows in each window, and how much of the window it was active for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundswell.arrivals import ARRIVALS, Process
from groundswell.arrivals.weibull import with_unit_mean
from groundswell.clients import ClientPool
from groundswell.compose.talks import Talks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WELL_BELOW = 0.75
"""A recorded mean gap this far below what a client active all through the window would show means it was not."""


@dataclass(frozen=True, eq=False)
class Shapes:
    """The pool's windows as the kernels want them."""

    pool: ClientPool
    weibull_as_recorded: bool
    activity: bool
    talks: Talks | None = None

    def part(self, family: int) -> type[Process]:
        """The process that the pool's family number ``family`` stands for."""
        return ARRIVALS[self.pool.families[family]]

    def parameters(self, family: int, client: Ints, window: Ints, gaps: Floats) -> tuple[Floats, Floats]:
        """The kernels' two numbers for cells (client, window) of one family; ``gaps`` as in :class:`Process`."""
        cv = self.pool.cv[client, window].astype(np.float64)
        cv = np.where(np.isnan(cv), 1.0, cv)
        first = self.pool.first_parameter[client, window].astype(np.float64)
        second = self.pool.second_parameter[client, window].astype(np.float64)
        if self.weibull_as_recorded and self.pool.families[family] == "weibull":
            known = np.isfinite(first) & (first > 0)
            shape, scale = self.part(family).shapes(cv, first, second, gaps)
            recorded, recorded_scale = with_unit_mean(np.where(known, first, 1.0))
            return np.where(known, recorded, shape), np.where(known, recorded_scale, scale)
        return self.part(family).shapes(cv, first, second, gaps)

    def active_share(self, family: Ints, client: Ints, window: Ints) -> Floats:
        """The share of each window that its client was active for, 1 where it was active throughout or nothing is
        known.

        A Gamma window records the mean of the gaps between its own n requests, as shape × scale. Requests all through
        the window would make the product of mean gap and rate about 1 / (1 + cv²/n), the rest lying before the first
        request and after the last; well below that, the requests stood in a stretch of n mean gaps.
        """
        if not self.activity or "gamma" not in self.pool.families:
            return np.ones(client.size)
        whole = self.pool.rate_per_s[client, window] * self.pool.window_s
        if self.talks is not None:  # gaps are those between beginnings of conversations then
            whole = whole * self.talks.share[client, window]
        n = whole * self.pool.covered_part[window]
        mean_gap_s = (
            self.pool.first_parameter[client, window].astype(np.float64) * self.pool.second_parameter[client, window]
        )
        share = mean_gap_s * whole / self.pool.window_s
        expected = 1.0 / (1.0 + self.pool.cv[client, window].astype(np.float64) ** 2 / np.maximum(n, 1.0))
        known = (family == self.pool.families.index("gamma")) & ~self.pool.stated[client] & (share > 0)
        return np.where(known & (share < WELL_BELOW * expected), share, 1.0)
