"""How bursty a client is on its own: the CV of its gaps within windows, also where a window holds few of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundswell.characterize._client_ranks import Ranked, summed, weighted_cdf
from groundswell.stats.batches import interval
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve

Floats = NDArray[np.float64]

FEWEST_GAPS = 50
"""Of a client with fewer gaps within windows no CV is given."""
BURSTY = 1.2
"""Requests of clients with a larger CV are called bursty."""
_FEWEST_OF_A_WINDOW = 10
_DRAWN_ALONE = 1000

# m·(1 - mean of the plain CV of m gaps) for a Poisson process. Two gaps are a uniform point in their sum, so their CV
# is |2U-1| and its mean 1/2; the others are means of 4 million draws of m exponential gaps each, to the last digit but
# one; with m it tends to 3/2. Between the knots it is a line in 1/m to 0.001.
_GAPS = np.array([2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, np.inf])
_SHORTFALL = np.array([1.0, 1.0485, 1.0919, 1.1274, 1.1566, 1.2030, 1.2365, 1.2904, 1.3258, 1.3701, 1.4075, 1.5])


def cv_of_gaps(gaps: Floats, gap_s: Floats, gap2_s2: Floats) -> Floats:
    """The CV of each of some sets of ``gaps`` gaps, from their sums and sums of squares; nan for fewer than two.

    Within a window the gaps of a Poisson process share their sum evenly, as Dirichlet(1, …, 1) does (Pyke, "Spacings",
    1965), which makes the plain CV of m of them too small: by half for two, by 1.5/m for many. It is divided by what it
    is on average for a Poisson process, so a Poisson client has CV 1 on average from two gaps on. To first order a
    Gamma client of CV c falls short by 3/4 (c² - 1)/m of it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.sqrt(np.maximum(gaps * gap2_s2 / gap_s**2 - 1.0, 0.0))
        expected = 1.0 - np.interp(1.0 / gaps, 1.0 / _GAPS[::-1], _SHORTFALL[::-1]) / gaps
        return np.where((gaps >= 2) & (gap_s > 0), plain / expected, np.nan)


@dataclass(frozen=True, eq=False)
class Burstiness:
    """The CV of each client: the mean over its windows, weighted by their gaps; nan with fewer than 50 in all.

    Windows count that hold at least two gaps, not all 0.
    """

    cv: Floats
    """(clients,)"""
    windows: Curve
    """The CVs of single windows of clients, of at least 10 gaps: the share of their requests on CVs of at most x."""
    share: Estimate
    """The share of requests of clients above :data:`BURSTY`, among those of clients that have a CV."""


def burstiness(ranked: Ranked) -> Burstiness:
    """The CVs of the clients and of their windows, and the share of bursty clients."""
    pairs = ranked.pairs
    gaps = pairs.requests - 1.0
    cv = cv_of_gaps(gaps, pairs.last_s - pairs.first_s, pairs.gap2_s2)
    gaps = np.where(np.isfinite(cv), gaps, 0.0)
    weighted = gaps * np.nan_to_num(cv)
    total = ranked.sum_by_client(gaps)
    mean = np.full(ranked.count, np.nan)
    np.divide(ranked.sum_by_client(weighted), total, out=mean, where=total >= FEWEST_GAPS)
    long = gaps >= _FEWEST_OF_A_WINDOW
    windows = weighted_cdf(cv[long], pairs.requests[long])
    return Burstiness(mean, windows, _bursty_share(ranked, mean, gaps, weighted))


def _bursty_share(ranked: Ranked, cv: Floats, gaps: Floats, weighted: Floats) -> Estimate:
    """The share of requests of clients whose ``cv``, the mean of ``weighted`` over ``gaps``, is bursty.

    Its interval draws stretches of time anew, and with them the CVs of the 1,000 busiest clients; those of the others
    stay.
    """
    known = np.flatnonzero(np.isfinite(cv))
    if not known.size:
        return Estimate()
    alone, others = known[:_DRAWN_ALONE], known[_DRAWN_ALONE:]
    k, pairs = alone.size, ranked.pairs
    column = np.full(ranked.count, -1)
    column[alone] = np.arange(k)
    column = column[pairs.client]
    mine = column >= 0
    cell = ranked.stretch[mine] * k + column[mine]

    def by_client(values: Floats) -> Floats:
        return summed(cell, values[mine], ranked.stretches * k).reshape(-1, k)

    def together(clients: NDArray[np.int64]) -> Floats:
        theirs = np.isin(pairs.client, clients)
        return summed(ranked.stretch[theirs], pairs.requests[theirs], ranked.stretches)[:, None]

    sums = np.concatenate(
        [
            by_client(pairs.requests),
            by_client(gaps),
            by_client(weighted),
            together(others),
            together(others[cv[others] > BURSTY]),
        ],
        axis=1,
    )

    def share(total: Floats) -> Floats:
        requests, gaps, weighted = (total[..., i * k : (i + 1) * k] for i in range(3))
        bursty = (requests * (weighted > BURSTY * gaps)).sum(axis=-1) + total[..., -1]
        return np.asarray(bursty / (requests.sum(axis=-1) + total[..., -2]))

    return _mirrored(interval(sums, share, n=known.size))


def _mirrored(share: Estimate) -> Estimate:
    """The basic bootstrap interval: a CV near the bound errs as often in what is drawn as it did in the trace, and to
    the same side, so what is drawn lies beyond the estimate by as much as that lies beyond the truth."""
    low, high = 2.0 * share.value - share.high, 2.0 * share.value - share.low
    return Estimate(share.value, float(np.clip(low, 0.0, 1.0)), float(np.clip(high, 0.0, 1.0)), share.n)
