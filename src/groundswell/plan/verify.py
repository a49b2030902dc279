"""The answer, held against all of a long workload, and not only the windows for which was planned."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from groundswell.judge.slo import SLO
from groundswell.plan.figures import Trial, Verified, Window
from groundswell.plan.outcome import Observed, Outcome, trial
from groundswell.plan.reach import unreachable
from groundswell.plan.trials import Setting
from groundswell.plan.windows import Whole
from groundswell.simulate.fleet import simulate

Floats = NDArray[np.float64]

TOGETHER = 6
"""So many windows are simulated in one piece, with what comes before and behind it."""
FEWEST = 100
"""A window of fewer requests is not judged by itself."""


def verify(setting: Setting, whole: Whole, slo: SLO, instances: int, width_s: float) -> Verified:
    """Serve all of ``whole`` with so many instances, and ask ``slo`` of every window of ``width_s``."""
    edges = np.append(np.arange(0.0, whole.span_s, width_s), np.inf)

    def served(first: int) -> list[_Judged]:
        found = _judged(setting, whole, slo, instances, edges[first : first + TOGETHER + 1])
        setting.tell(sum(each.window.requests for each in found))
        return found

    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        judged = list(chain.from_iterable(threads.map(served, range(0, edges.size - 1, TOGETHER))))
    failed = [each for each in judged if each.trial.held == "fails"]
    return Verified(
        instances,
        width_s,
        len(judged),
        sum(each.trial.keeps for each in judged),
        tuple(replace(each.window, why=_why(each.trial)) for each in failed if not each.unreachable),
        tuple(replace(each.window, why=each.unreachable) for each in failed if each.unreachable),
    )


def windows_of(whole: Whole, verified: Verified) -> list[tuple[float, float]]:
    """Those of ``verified`` in which a fleet may keep the SLO, from when to when."""
    edges = np.arange(0.0, whole.span_s + verified.width_s, verified.width_s)
    enough = np.diff(np.searchsorted(whole.workload.arrival_s, edges)) >= FEWEST
    lost = {round(window.from_s / verified.width_s) for window in verified.unreachable}
    there = enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), enough, strict=True))
    return [(begin_s, end_s) for number, (begin_s, end_s, some) in there if some and number not in lost]


@dataclass(frozen=True)
class _Judged:
    window: Window
    trial: Trial
    unreachable: str


def _judged(setting: Setting, whole: Whole, slo: SLO, instances: int, edges: Floats) -> list[_Judged]:
    """The windows between ``edges``, served in one piece."""
    part = whole.cut(float(edges[0]), float(min(edges[-1], whole.span_s)))
    if not len(part.workload):
        return []
    observed = Observed.of([simulate(part.workload, setting.fleet(instances), setting.seed)])
    found = []
    for begin_s, end_s in pairwise(edges):
        end_s = min(end_s, whole.span_s)
        own = replace(part, begin_s=float(begin_s) - part.from_s, end_s=float(end_s) - part.from_s)
        if np.count_nonzero(own.judged) < FEWEST:
            continue
        given = trial(Outcome(observed.samples(own.begin_s, own.end_s)), slo, instances)
        why = unreachable(slo, part.alone, own.judged, whole.engine) if given.held == "fails" else ""
        found.append(_Judged(own.window, given, why))
    return found


def _why(given: Trial) -> str:
    clause = next(each for each in given.clauses if each.held == "fails")
    return f"{clause.clause.metric} {clause.clause.statistic} {clause.figure.value:.3g} s"
