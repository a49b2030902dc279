"""The clients of a pool in order of rank, cut into strata, and what is found out about them on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from groundswell.population.tables import cell_means

if TYPE_CHECKING:
    from groundswell.clients.pool import ClientPool
    from groundswell.population.law import Rows

Floats = NDArray[np.float64]

NONE_BELOW = 0.02
"""A mean below this is none at all; the logarithm of a mean stops here."""


@dataclass
class Clients:
    """A pool whose clients go from the largest rate to the smallest, none of them zero."""

    pool: ClientPool
    first_rank: tuple[int, ...]
    properties: dict[str, Floats] = field(default_factory=dict)
    """Every client's value of each property that has been put in a table; nan where it is not known."""
    tied_to_rate: list[str] = field(default_factory=lambda: list[str]())
    """The properties that may depend on a client's place in its stratum."""

    @property
    def stratum(self) -> NDArray[np.int64]:
        """Each client's stratum."""
        return stratum_of(self.first_rank, len(self.pool))

    def table(self, name: str, value: Floats, *, evenly: bool = False) -> Rows:
        """A property's cells in each stratum, weighted by rate, or ``evenly`` in all strata but the first two.

        The property is kept for the dependence.

        A client of which it is not known stands for all of which it is, weighted alike (as clients without lengths
        borrow them), so that the strata together are distributed as the known clients are.
        """
        self.properties[name] = value
        if evenly:
            self.tied_to_rate.append(name)
        known = np.isfinite(value)
        rate = self.pool.mean_rate_per_s
        rows = []
        for k in range(len(self.first_rank)):
            here = self.stratum == k
            weight = np.ones(value.size) if evenly and k > 1 else rate
            borrowed = weight[here & ~known].sum() * weight[known] / weight[known].sum()
            rows.append(rounded(cell_means(value[known], weight[known] * here[known] + borrowed)))
        return tuple(rows)

    def largest(self, value: Floats) -> tuple[float, ...]:
        """The largest ``value`` of each stratum's clients."""
        return rounded([value[self.stratum == k].max() for k in range(len(self.first_rank))])


def stratum_of(first_rank: tuple[int, ...], n: int) -> NDArray[np.int64]:
    """The stratum of clients number 0 … n-1 (rank 1 … n)."""
    return np.searchsorted(np.array(first_rank), np.arange(1, n + 1), side="right") - 1


def rate_scores(first_rank: tuple[int, ...], fitted: int, n: int) -> Floats:
    """How large clients 0 … n-1 are within their strata, as normal scores; any past the ``fitted`` are the least."""
    rank = np.arange(1, n + 1)
    stratum = stratum_of(first_rank, n)
    begin = np.array(first_rank)
    size = np.maximum(np.append(begin[1:], max(fitted, begin[-1]) + 1) - begin, 1)
    place = np.minimum(rank - begin[stratum], size[stratum] - 1)
    return np.asarray(-ndtri((place + 0.5) / size[stratum]))


def rounded(values: Any, digits: int = 3) -> tuple[float, ...]:
    """To so many significant digits."""
    return tuple(round(float(f"{float(v):.{digits}g}"), 6) + 0.0 for v in values)
