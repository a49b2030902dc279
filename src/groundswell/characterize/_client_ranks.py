"""The clients in order of their requests: how skewed they are, and what the busiest do to the whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from groundswell.characterize._client_windows import ClientWindows, Pairs
from groundswell.stats.batches import MOST, interval
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve

Floats = NDArray[np.float64]

_POINTS = 200
_WHOLE = 0.9
_HELD = 0.25


def summed(at: NDArray[Any], values: Floats, size: int) -> Floats:
    """The sums of ``values`` by the numbers ``at``, which are below ``size``: (size,)."""
    return np.bincount(at, values, size).astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False)
class Ranked:
    """Pairs whose ``client`` is the client's rank: 0 is the busiest. Only clients that sent something have one."""

    names: pl.Series
    pairs: Pairs
    width_s: float

    @classmethod
    def of(cls, table: ClientWindows) -> Ranked:
        """The table's pairs (at least one), its clients ranked; equals are ranked in the order of their names."""
        pairs = table.pairs
        requests = summed(pairs.client, pairs.requests, table.clients.len())
        by_name = table.clients.arg_sort().to_numpy()
        order = by_name[np.argsort(-requests[by_name], kind="stable")][: np.count_nonzero(requests)]
        rank = np.zeros(requests.size, np.uint32)
        rank[order] = np.arange(order.size)
        return cls(table.clients.gather(order), Pairs(rank[pairs.client], pairs.window, pairs.sums), table.width_s)

    @property
    def count(self) -> int:
        """How many clients there are."""
        return self.names.len()

    @cached_property
    def requests(self) -> Floats:
        """How many requests each client has: falling."""
        return self.sum_by_client(self.pairs.requests)

    @cached_property
    def begin_s(self) -> float:
        """The first arrival."""
        return float(self.pairs.first_s.min())

    @cached_property
    def end_s(self) -> float:
        """The last arrival."""
        return float(self.pairs.last_s.max())

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """The window of each pair, counted from the first."""
        return np.asarray(self.pairs.window - self.pairs.window[0])

    @property
    def windows(self) -> int:
        """How many windows there are, those included in which nothing was sent."""
        return int(self.place[-1]) + 1

    @property
    def stretches(self) -> int:
        """How many stretches of equally many windows intervals rest on: at most :data:`MOST`."""
        return int(self.stretch[-1]) + 1

    @cached_property
    def stretch(self) -> NDArray[np.int64]:
        """The stretch of each pair."""
        return np.asarray(self.place // -(-self.windows // MOST), np.int64)

    def sum_by_client(self, values: Floats) -> Floats:
        """``values``, one a pair, summed by client."""
        return summed(self.pairs.client, values, self.count)

    def covered_s(self, group: int = 1) -> Floats:
        """How much of each ``group`` windows lies between the first and the last arrival."""
        edge_s = (np.arange(-(-self.windows // group) + 1) * group + self.pairs.window[0]) * self.width_s
        return np.diff(np.clip(edge_s, self.begin_s, self.end_s))


def top_share(ranked: Ranked, k: int) -> Estimate:
    """The share of requests of the ``k`` clients that are busiest over the whole trace."""
    sent = ranked.pairs.requests
    sums = np.column_stack(
        [summed(ranked.stretch, values, ranked.stretches) for values in (sent, sent * (ranked.pairs.client < k))],
    )
    return interval(sums, lambda s: s[..., 1] / s[..., 0], n=round(ranked.requests.sum()))


def gini(ranked: Ranked) -> Estimate:
    """The Gini coefficient of the clients' requests.

    Its interval leaves the order of the clients as it is over the whole trace, which is right to first order: the
    coefficient is a sum over clients with weights that depend on the order only.
    """
    weight = (2.0 * rankdata(ranked.requests) - ranked.count - 1.0) / ranked.count
    sent = ranked.pairs.requests
    sums = np.column_stack(
        [summed(ranked.stretch, values, ranked.stretches) for values in (sent, sent * weight[ranked.pairs.client])]
    )
    return interval(sums, lambda s: s[..., 1] / s[..., 0], n=ranked.count)


def needed(ranked: Ranked, percent: int) -> int:
    """How many of the busiest clients make ``percent`` % of the requests."""
    made = np.cumsum(ranked.requests)
    return int(np.searchsorted(100.0 * made, percent * made[-1])) + 1


def skew(ranked: Ranked) -> Curve:
    """The share of requests of the x busiest clients."""
    made = np.cumsum(ranked.requests) / ranked.requests.sum()
    chosen = np.unique(np.geomspace(1, ranked.count, _POINTS).round().astype(np.int64))
    return Curve(chosen.astype(np.float64), made[chosen - 1])


def weighted_cdf(values: Floats, weights: Floats) -> Curve:
    """The share of ``weights`` on values of at most x; values that are nan are left out.

    Of more than 200 values those are kept where the share passes a multiple of 1/200.
    """
    kept = np.isfinite(values)
    order = np.argsort(values[kept])
    x, made = values[kept][order], np.cumsum(weights[kept][order])
    if not x.size:
        return Curve()
    share = made / made[-1]
    if x.size > _POINTS:
        at = np.searchsorted(share, np.arange(1, _POINTS + 1) / _POINTS - 1e-12)
        chosen = np.unique(np.minimum(at, x.size - 1))
        x, share = x[chosen], share[chosen]
    return Curve(x, share)


def explained(ranked: Ranked, k: int) -> Estimate:
    """The share of the variance of the total rate over windows that the ``k`` busiest clients explain: the covariance
    of their sum with the total, over the variance of the total. For clients that are independent of each other it is
    their part of the variance.

    Windows at the edges count if the trace covers nine tenths of them. Nan for one client, for two windows, and for a
    total that varies less than a quarter as much as a Poisson process: at a rate held constant there is nothing to
    explain.
    """
    covered_s = ranked.covered_s()
    whole = covered_s >= _WHOLE * ranked.width_s
    if ranked.count == 1 or whole.sum() < 3:
        return Estimate()
    sent = ranked.pairs.requests
    total, top = (
        summed(ranked.place, values, ranked.windows)[whole] / covered_s[whole]
        for values in (sent, sent * (ranked.pairs.client < k))
    )
    poisson = total.mean() / covered_s[whole].mean()
    if total.var() < _HELD * poisson:
        return Estimate()
    total, top = total - total.mean(), top - top.mean()
    stretch = np.arange(total.size) // -(-total.size // MOST)
    sums = np.column_stack([summed(stretch, value, int(stretch[-1]) + 1) for value in (total * total, top * total)])
    return interval(sums, lambda s: s[..., 1] / s[..., 0], n=total.size)
