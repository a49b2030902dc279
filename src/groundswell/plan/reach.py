"""SLOs that no fleet can keep, however large, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.judge.clauses import within
from groundswell.judge.quantiles import needed, quantile
from groundswell.judge.slo import SLO, Clause
from groundswell.plan.alone import Alone
from groundswell.plan.outcome import METRICS
from groundswell.simulate.parts import Engine
from groundswell.units import counted

Floats = NDArray[np.float64]

_FASTER = "a faster engine (a larger tp, another GPU, a smaller model)"
_DRIVES = {
    "ttft": f"{_FASTER} or shorter prompts",
    "tpot": f"{_FASTER}",
    "itl": f"{_FASTER}",
    "e2e": f"{_FASTER} or shorter replies",
}


def check_told(slos: Sequence[SLO]) -> None:
    """Raises UsageError for an SLO on what a simulated run does not tell."""
    for slo in slos:
        for clause in slo.clauses:
            if clause.metric not in METRICS:
                known = ", ".join(METRICS)
                raise UsageError(f"{clause}: a simulated run has no {clause.metric}; bound any of {known} (tbt is itl)")


def enough(slo: SLO) -> int:
    """How many requests it takes to bound each percentile of ``slo``."""
    places = map(_far, slo.clauses)
    return max((needed(place) for place in places if place is not None), default=0)


def check_enough(slo: SLO, requests: int, what: str, longer: str) -> None:
    """Raises UsageError where so few requests can never meet a percentile of ``slo`` for sure: ``what`` is too short,
    and should be ``longer``."""
    for clause in slo.clauses:
        place = _far(clause)
        if place is not None and requests < needed(place):
            others = [p for p in (99, 95, 90, 50) if requests >= needed(p / 100) and p / 100 < place]
            lower = "".join(f", or a lower percentile (p{p} takes {needed(p / 100):,})" for p in others[:1])
            judged = f"{counted(requests, 'request')} {'is' if requests == 1 else 'are'} judged"
            raise UsageError(
                f"{what}: {judged}, and {clause.metric}:{clause.statistic} takes {needed(place):,} or more; "
                f"plan for {longer}{lower}"
            )


def _far(clause: Clause) -> float | None:
    """The quantile of requests' values that a clause bounds; None where it bounds something else."""
    place = clause.quantile
    return None if place is None or not 0.0 < place < 1.0 or clause.metric == "itl" else place


def unreachable(slo: SLO, alone: Alone, judged: NDArray[np.bool_], engine: Engine) -> str:
    """Why no number of instances keeps ``slo``: even alone on an engine, requests take longer, or there is no memory
    for them. Empty where that is not so."""
    for clause in slo.clauses:
        values, weights = _at_best(clause, alone, judged)
        if not values.size:
            continue
        least_s = _statistic(clause, values, weights)
        if within(clause, least_s):
            continue
        if np.isinf(least_s):
            lost = int(alone.too_long[judged].sum())
            return (
                f"{clause}: {lost:,} of {int(judged.sum()):,} requests are longer than the {engine.most_context:,} "
                f"tokens for which an engine has memory, more than {clause.statistic} lets be; it takes more memory a "
                f"GPU, a larger tp, or shorter requests"
            )
        return (
            f"{clause}: no number of instances keeps it: {clause.metric} {clause.statistic} is {_said(least_s)} where "
            f"each request has an engine for itself; it takes {_DRIVES[clause.metric]}, or a bound above that"
        )
    return ""


def missed(slo: SLO, cold: Alone, judged: NDArray[np.bool_], engine: Engine) -> str:
    """Whether it is prefix caches that a fleet would need to keep ``slo``: in words, where ``cold`` requests, for which
    nothing is in a cache, do not keep it alone. Empty where they do."""
    why = unreachable(slo, cold, judged, engine)
    if not why:
        return ""
    least = why.partition("; it takes")[0].partition("keeps it: ")[2]
    return (
        f"without prefix caches no number of instances keeps it: {least}. "
        f"Each instance has a cache of its own, so the more there are, the less is found, unless the router sends "
        f"prompts to where their beginnings are"
    )


def _at_best(clause: Clause, alone: Alone, judged: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The values of a clause's metric where each request is alone, and how often each counts."""
    values = np.asarray(getattr(alone, f"{clause.metric}_s"))[judged]
    weights = alone.further[judged].astype(np.float64) if clause.metric == "itl" else np.ones(values.size)
    there = ~np.isnan(values) & (weights > 0)
    return values[there], weights[there]


def _statistic(clause: Clause, values: Floats, weights: Floats) -> float:
    if clause.quantile is None:
        return float(np.average(values, weights=weights))
    order = np.argsort(values)
    if clause.metric != "itl":
        return quantile(values[order], clause.quantile)
    upto = np.cumsum(weights[order])
    place = int(np.searchsorted(upto, max(clause.quantile * upto[-1] - 1e-9, 0.0)))
    return float(values[order][min(place, values.size - 1)])


def _said(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.4g} ms"
