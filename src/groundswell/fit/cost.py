"""What merging cost: figures of the trace beside the same of the pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groundswell.fit.cells import Cells, Floats
from groundswell.fit.fold import Fold
from groundswell.fit.pool import Assembled


@dataclass(frozen=True)
class Cost:
    """A figure of the trace and of the pool. ``kind`` says how to read it: a number, or a share of 1."""

    what: str
    before: float
    after: float
    kind: str = "number"


def costs(fold: Fold, made: Assembled, k: int) -> tuple[Cost, ...]:
    """The figures, all of which are the same where nothing was merged. Windows of fewer than ``k`` have no CV."""
    pool, sent = made.pool, made.sent
    before, after = fold.requests[fold.requests > 0].astype(np.float64), sent.sum(axis=1)
    published = made.gaps.requests >= k
    total, part = made.requests.sum(axis=0).astype(np.float64), pool.covered_part
    talks = pool.converses.any()
    own = made.gaps if talks else made.own  # of conversations, gaps are known by sender
    out = [
        Cost("clients", before.size, after.size),
        Cost("top-10 share", top_share(before, 10), top_share(after, 10), "share"),
        Cost("Gini", gini(before), gini(after)),
        Cost("spread of the rate over windows", _spread(total, part), _spread(sent.sum(axis=0), part)),
        Cost("requests in another window", 0.0, float(np.abs(sent - made.requests).sum() / 2 / total.sum()), "share"),
        Cost("mean squared CV of clients' gaps", _burstiness(own), _burstiness(made.gaps.where(published))),
    ]
    for field in ("input_tokens", "output_tokens"):
        if field in pool.fields and not (talks and pool.sessions is None and field == "input_tokens"):
            frame = fold.lengths[field].frame
            totals = np.bincount(frame["client"].to_numpy(), frame["total"].to_numpy(), fold.requests.size)
            means = totals[fold.requests > 0] / before
            what = f"spread of clients' mean {field.replace('_', ' ')}"
            out.append(Cost(what, _log_spread(means, before), _log_spread(pool.mean_length(field), after)))
    return (*out, *(Cost(f"KS of {field}", 0.0, one.distance) for field, one in made.lengths.marginals.items()))


def gini(amount: Floats) -> float:
    """Gini's coefficient: 0 where all are equal, towards 1 where one has all.

    >>> gini(np.array([1.0, 1.0])), gini(np.array([0.0, 0.0, 0.0, 1.0]))
    (0.0, 0.75)
    """
    n = amount.size
    rank = np.arange(1, n + 1)
    return float((2 * rank - n - 1) @ np.sort(amount) / (n * amount.sum()))


def top_share(amount: Floats, k: int) -> float:
    """The share of the ``k`` largest."""
    return float(np.sort(amount)[::-1][:k].sum() / amount.sum())


def _spread(requests: Floats, part: Floats) -> float:
    """Standard deviation over mean of the rate in windows, each by the ``part`` of it that is covered."""
    mean = requests.sum() / part.sum()
    return float(np.sqrt(np.average((requests / part - mean) ** 2, weights=part)) / mean)


def _burstiness(cells: Cells) -> float:
    """The mean of CV² over windows of two gaps or more, by requests: what the dispersion of the total is made of."""
    told = np.isfinite(cells.cv)
    weight = cells.requests[told]
    return float(cells.cv[told] ** 2 @ weight / weight.sum()) if told.any() else np.nan


def _log_spread(value: Floats, weight: Floats) -> float:
    """Standard deviation of the logarithm (of at least 1), by weight."""
    logs = np.log(np.maximum(value, 1.0))
    mean = np.average(logs, weights=weight)
    return float(np.sqrt(np.average((logs - mean) ** 2, weights=weight)))
