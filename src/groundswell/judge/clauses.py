"""Whether the clauses of an SLO hold, and which requests keep their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.judge.figures import ClauseHeld, Held
from groundswell.judge.quantiles import STRETCHES, Sample, needed, share
from groundswell.judge.slo import SLO, Clause
from groundswell.stats.batches import FEWEST, fewest
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]


def keeps(clause: Clause, values_s: Floats | None, failed: Bools) -> Bools:
    """Whether each request keeps the clause's bound itself. One that failed does not; one that has no such time, as a
    reply of one token has no time per further token, does."""
    if values_s is None:
        return ~failed
    with np.errstate(invalid="ignore"):
        beyond = values_s > clause.bound_s if clause.inclusive else values_s >= clause.bound_s
    return ~failed & ~beyond


def keeps_all(slo: SLO, own: Mapping[str, Floats], failed: Bools) -> Bools:
    """Whether each request keeps the bounds of all clauses itself."""
    kept = [keeps(clause, own.get(clause.metric), failed) for clause in slo.clauses]
    return np.asarray(np.logical_and.reduce(kept))


def held(clause: Clause, sample: Sample | None, kept: Bools, stretch: Ints, stretches: int) -> ClauseHeld:
    """What becomes of a clause, given the sample of its metric and which requests of the window keep its bound."""
    keeping = share(_counts(stretch[kept], stretches), _counts(stretch, stretches))
    if sample is None or not sample.n:
        none = "the results have no such times"
        return ClauseHeld(clause, str(clause), Estimate(), "unclear", none, keeping)
    figure = _figure(clause, sample)
    verdict, why = _verdict(clause, figure, sample)
    return ClauseHeld(clause, str(clause), figure, verdict, why, keeping)


def _figure(clause: Clause, sample: Sample) -> Estimate:
    """The clause's statistic, failures being infinitely late: any makes the mean infinite."""
    if clause.quantile is not None:
        return sample.estimate(clause.quantile)
    return Estimate(np.inf, np.inf, np.inf, sample.n) if sample.failed else replace(sample.mean, n=sample.n)


def within(clause: Clause, value_s: float) -> bool:
    """Whether a value keeps a clause's bound; one that is not there does."""
    return not (value_s > clause.bound_s if clause.inclusive else value_s >= clause.bound_s)


def _verdict(clause: Clause, figure: Estimate, sample: Sample) -> tuple[Held, str]:
    lost = f"{sample.failed:,} of {figure.n:,} failed"
    if clause.quantile in (0.0, 1.0):  # of these requests; it is no estimate of anything
        return ("meets", "") if within(clause, figure.value) else ("fails", lost if np.isinf(figure.value) else "")
    if not np.isnan(figure.low) and not within(clause, figure.low):
        return "fails", lost if np.isinf(figure.value) else ""
    if not np.isnan(figure.high) and within(clause, figure.high):
        return "meets", ""
    if np.isinf(figure.value):
        return "unclear", f"{lost}: about as many as {clause.statistic} allows"
    if np.isnan(figure.high):
        return "unclear", _too_few(clause, figure.n)
    return "unclear", "the interval reaches across the bound"


def _too_few(clause: Clause, n: int) -> str:
    """Why there is no interval."""
    what = f"{clause.statistic} of {n:,}"
    if clause.quantile is None:
        return f"{what} in fewer than {fewest(STRETCHES)} stretches of time"
    least = needed(clause.quantile)
    return f"{what}: {least:,} or more are needed" if n < least else f"{what} in fewer than {FEWEST} stretches of time"


def _counts(stretch: Ints, stretches: int) -> Floats:
    return np.bincount(stretch, minlength=stretches).astype(np.float64)
