"""How far lengths move from period to period: a client's own, those of the whole, and what the mix of clients does.

A mean over a period moves by chance alone, by s²/n. That is subtracted, so what never changes has a drift of 0 on
average (before the root, which is taken of no less than 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundswell.characterize._client_ranks import Ranked, summed
from groundswell.stats.batches import interval
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]

_MOST_ALONE = 300
_FEWEST_REQUESTS = 30


@dataclass(frozen=True, eq=False)
class Lengths:
    """Lengths by sender (row) and period (column): numbers of requests, sums and sums of squares, all (senders, m)."""

    n: Floats
    total: Floats
    squares: Floats

    @classmethod
    def of_clients(cls, periods: Ranked, count: int, tokens: Floats, tokens2: Floats) -> Lengths:
        """Of each of the ``count`` busiest clients; ``periods`` has the periods for windows."""
        mine = periods.pairs.client < count
        at = periods.pairs.client[mine].astype(np.int64) * periods.windows + periods.place[mine]

        def table(values: Floats) -> Floats:
            return summed(at, values[mine], count * periods.windows).reshape(count, periods.windows)

        return cls(table(periods.pairs.requests), table(tokens), table(tokens2))

    @classmethod
    def of_whole(cls, periods: Ranked, tokens: Floats, tokens2: Floats) -> Lengths:
        """Of all clients together, as one sender."""
        values = (periods.pairs.requests, tokens, tokens2)
        return cls(*(summed(periods.place, value, periods.windows)[None] for value in values))

    def scatter(self) -> Floats:
        """The variance of the lengths within each period, (senders, m); from single requests it is the sender's mean
        one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            within = np.maximum(self.squares - self.total**2 / self.n, 0.0)
            pooled = np.nansum(within, axis=1) / np.maximum(self.n - 1.0, 0.0).sum(axis=1)
            each = np.where(self.n > 1, within / (self.n - 1.0), pooled[:, None])
        return np.where(self.n > 0, np.nan_to_num(each), 0.0)


def drift_sums(lengths: Lengths) -> Floats:
    """What :func:`drift` of some periods is a function of, (m, senders × 4).

    Periods are held against the sender's mean of all time, also where some of them are drawn anew: the variance has its
    minimum there, so to first order it is the same, and the part of chance in it stays what it was.
    """
    n, total, scatter = lengths.n, lengths.total, lengths.scatter()
    sent = n.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = (total - n * total.sum(axis=1, keepdims=True) / sent) ** 2 / n - scatter * (1.0 - n / sent)
    columns = np.stack([n, total, np.where(n > 0, moved, 0.0), n * n])  # (4, senders, m)
    return columns.transpose(2, 1, 0).reshape(n.shape[1], -1)


def drift(sums: Floats) -> Floats:
    """The CV of a sender's period means, weighted by requests, without the part of chance: (…, senders).

    The method of moments for random effects (DerSimonian and Laird, 1986) with requests as weights. Nan for a sender
    that was there in one period only.
    """
    n, total, moved, n2 = (sums.reshape(*sums.shape[:-1], -1, 4)[..., i] for i in range(4))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(moved, 0.0) / (n - n2 / n)
        return np.asarray(np.where(n2 < n * n * (1.0 - 1e-12), np.sqrt(variance) * n / total, np.nan))


def own_drift(periods: Ranked, count: int) -> Estimate:
    """The median drift of the inputs of the ``count`` busiest clients (of 300 at most), each on its own."""
    count = min(count, _MOST_ALONE)
    lengths = Lengths.of_clients(periods, count, periods.pairs.input_tokens, periods.pairs.input2)
    return interval(drift_sums(lengths), _median_drift, n=count)


def whole_drift(periods: Ranked) -> Estimate:
    """The drift of the inputs of all clients together."""
    lengths = Lengths.of_whole(periods, periods.pairs.input_tokens, periods.pairs.input2)
    return interval(drift_sums(lengths), lambda sums: drift(sums)[..., 0], n=periods.windows)


def mix_explains(periods: Ranked, whole: Estimate) -> Estimate:
    """The share of the variance of the whole's mean input over periods that is left when every client keeps its own
    mean of all time and only their numbers of requests move.

    Periods weigh as their requests; chance is subtracted from both variances. Clients of fewer than 30 requests
    count as one: a mean of few requests says nothing of what is the client's own. Nan for one client, and where the
    drift of the ``whole`` may be 0: nothing is there to be explained.
    """
    if periods.count == 1 or whole.value == 0 or whole.low <= 0:
        return Estimate()
    return interval(_mix_sums(periods), _mix_over_whole, n=periods.windows)


def _mix_sums(periods: Ranked) -> Floats:
    """How far the whole moved in each period, and how far the mix did, both as sums of squares: (m, 2)."""
    small = int(np.searchsorted(-periods.requests, -_FEWEST_REQUESTS, side="right"))
    senders = min(small + 1, periods.count)
    who = np.minimum(periods.pairs.client, small).astype(np.int64)
    key, row = np.unique(who * periods.windows + periods.place, return_inverse=True)
    who, period = key // periods.windows, key % periods.windows
    n, total, squares = (
        summed(row, values, key.size)
        for values in (periods.pairs.requests, periods.pairs.input_tokens, periods.pairs.input2)
    )
    sent = summed(who, n, senders)
    mean = summed(who, total, senders) / sent
    within = summed(who, np.maximum(squares - total**2 / n, 0.0), senders)
    scatter = within / np.maximum(sent - np.bincount(who, minlength=senders), 1.0)

    def by_period(values: Floats) -> Floats:
        return summed(period, values, periods.windows)

    requests = by_period(n)
    grand_mean = total.sum() / requests.sum()
    moved, mixed = (by_period(tokens - n * grand_mean) for tokens in (total, n * mean[who]))
    chance = by_period(n * scatter[who])  # variance of a period's tokens
    chance_of_mix = by_period(n * n * (scatter / sent)[who])  # and of what the estimated means make of its mix
    common = chance * requests / requests.sum()
    columns = (moved**2 - chance + common, mixed**2 - chance_of_mix + common)
    return np.column_stack([np.divide(c, requests, out=np.zeros_like(c), where=requests > 0) for c in columns])


def _mix_over_whole(sums: Floats) -> Floats:
    whole, mix = sums[..., 0], sums[..., 1]
    return np.where(whole > 0, np.maximum(mix, 0.0) / whole, np.nan)


def _median_drift(sums: Floats) -> Floats:
    each = drift(sums)
    known = np.isfinite(each)
    # A client may have no drift in what was drawn, and numpy warns of medians of nothing.
    each = np.where(known, each, np.inf)
    each.sort(axis=-1)
    n = known.sum(axis=-1, keepdims=True)
    low, high = (np.take_along_axis(each, np.maximum(at, 0), axis=-1)[..., 0] for at in ((n - 1) // 2, n // 2))
    return np.where(n[..., 0] > 0, (low + high) / 2.0, np.nan)
