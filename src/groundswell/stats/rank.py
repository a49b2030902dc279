"""Rank correlation: whether large goes with large, whatever the scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundswell.stats.batches import BatchSums
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]


def spearman(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation; values that are alike share their mean rank. nan where one does not vary."""
    return _correlated(_Ranks(a), _Ranks(b))


def spearman_estimate(at_s: Floats, a: Floats, b: Floats) -> Estimate:
    """:func:`spearman` of what happened at ``at_s``, which rises, with its 95 % interval.

    The correlation is, but for terms of the order of 1/n, the mean of what each pair adds to it: its own product of
    ranks, and what it does to the ranks of all others (the influence function; Croux and Dehon, 2010). These are summed
    over stretches of time, and the mean's interval is that of :class:`groundswell.stats.batches.BatchSums`, so pairs
    may depend on those before them. The spread of the ranks is held fixed, which is exact without ties.
    """
    if a.size < 3:
        return Estimate(n=a.size)
    rank_a, rank_b = _Ranks(a), _Ranks(b)
    value = _correlated(rank_a, rank_b)
    if not np.isfinite(value):
        return Estimate(n=a.size)
    u, v = rank_a.centred, rank_b.centred
    added = (u * v + rank_a.above(v) + rank_b.above(u)) / (rank_a.sigma * rank_b.sigma)
    added += value - added.mean()
    found = BatchSums.of(at_s, [np.ones(a.size), added]).estimate(lambda s: s[..., 1] / s[..., 0], a.size)
    return (
        Estimate(value, max(found.low, -1.0), min(found.high, 1.0), a.size)
        if found.known
        else Estimate(value, n=a.size)
    )


class _Ranks:
    """Values as mean ranks between -1/2 and 1/2."""

    def __init__(self, values: Floats) -> None:
        _, self.place, count = np.unique(values, return_inverse=True, return_counts=True)
        end = np.cumsum(count)
        self.count = count
        self.centred: Floats = ((end - 0.5 * count) / values.size - 0.5)[self.place]
        self.sigma = float(self.centred.std())

    def above(self, other: Floats) -> Floats:
        """For each value the mean over all of ``other`` where this value is exceeded, and half where it is reached."""
        at = np.bincount(self.place, other, self.count.size)
        beyond = np.cumsum(at[::-1])[::-1] - 0.5 * at
        return np.asarray((beyond / other.size)[self.place])


def _correlated(a: _Ranks, b: _Ranks) -> float:
    spread = a.sigma * b.sigma
    return float((a.centred * b.centred).mean() / spread) if spread > 0 else np.nan
