"""How bursty a client is on its own: the CV of its gaps within windows, also where a window holds few of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundswell.characterize._client_ranks import Ranked, summed
from groundswell.stats.batches import interval
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]

FEWEST_GAPS = 50
"""Of a client with fewer gaps within windows no CV is given."""
BURSTY = 1.2
"""Requests of clients with a larger CV are called bursty."""
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
    is on average for a Poisson process, so a Poisson client has CV 1 on average from two gaps on. A client of CV c
    still falls short by about (c² - 1)/m.
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
    share: Estimate
    """The share of requests of clients above :data:`BURSTY`, among those of clients that have a CV."""


def burstiness(ranked: Ranked) -> Burstiness:
    """The CVs of the clients, and the share of bursty ones; its interval draws stretches of time anew, and with them
    the CVs of the 1,000 busiest clients (those of the others stay)."""
    pairs = ranked.pairs
    gaps = pairs.requests - 1.0
    cv = cv_of_gaps(gaps, pairs.last_s - pairs.first_s, pairs.gap2_s2)
    seen = np.isfinite(cv)
    who, stretch = pairs.client[seen], ranked.stretch[seen]
    gaps, weighted = gaps[seen], (gaps * cv)[seen]

    total = summed(who, gaps, ranked.count)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(total >= FEWEST_GAPS, summed(who, weighted, ranked.count) / total, np.nan)
    known = np.flatnonzero(np.isfinite(mean))
    if not known.size:
        return Burstiness(mean, Estimate())
    alone, others = known[:_DRAWN_ALONE], known[_DRAWN_ALONE:]
    m, k = ranked.stretches, alone.size
    column = np.full(ranked.count, -1)
    column[alone] = np.arange(k)

    def by_stretch(rows: NDArray[np.int64], at: NDArray[np.int64], value: Floats) -> Floats:
        mine = rows >= 0
        return summed(at[mine] * k + rows[mine], value[mine], m * k).reshape(m, k)

    def of_others(which: NDArray[np.int64]) -> Floats:
        chosen = np.isin(pairs.client, which)
        return summed(ranked.stretch[chosen], pairs.requests[chosen], m)

    sums = np.concatenate(
        [
            by_stretch(column[pairs.client], ranked.stretch, pairs.requests),
            by_stretch(column[who], stretch, gaps),
            by_stretch(column[who], stretch, weighted),
            of_others(others)[:, None],
            of_others(others[mean[others] > BURSTY])[:, None],
        ],
        axis=1,
    )

    def share(total: Floats) -> Floats:
        requests, gaps, weighted = (total[..., i * k : (i + 1) * k] for i in range(3))
        bursty = (requests * (weighted > BURSTY * gaps)).sum(axis=-1) + total[..., -1]
        return np.asarray(bursty / (requests.sum(axis=-1) + total[..., -2]))

    return Burstiness(mean, _mirrored(interval(sums, share, n=known.size)))


def _mirrored(share: Estimate) -> Estimate:
    """The basic bootstrap interval: a CV near the bound errs as often in what is drawn as it did in the trace, and to
    the same side, so what is drawn lies beyond the estimate by as much as that lies beyond the truth."""
    low, high = 2.0 * share.value - share.high, 2.0 * share.value - share.low
    return Estimate(share.value, float(np.clip(low, 0.0, 1.0)), float(np.clip(high, 0.0, 1.0)), share.n)
