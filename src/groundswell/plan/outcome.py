"""What a number of instances makes of requests: simulated once, and held against any SLO."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundswell.judge.clauses import held, within
from groundswell.judge.figures import ClauseHeld
from groundswell.judge.latencies import latencies_of
from groundswell.judge.quantiles import STRETCHES, Sample
from groundswell.judge.slo import SLO, Clause
from groundswell.plan.backlog import backlog_of
from groundswell.plan.figures import Backlog, Held, Trial
from groundswell.results import Gaps, Results
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Fleet
from groundswell.simulate.state import World
from groundswell.table import Workload

Floats = NDArray[np.float64]

METRICS = ("ttft", "tpot", "itl", "e2e")
"""What a simulated run tells."""
HOPELESS = 10.0
"""A run in which so many times as many requests are late as an SLO lets be is broken off."""
_LOOKS = 32
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Sent:
    """What is sent to fleets of so many instances each, one run for each workload; they are judged together, by what is
    due from ``begin_s`` to ``end_s``."""

    workloads: tuple[Workload, ...]
    instances: int
    begin_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of it: the values of each metric, unless the runs say nothing (``why``)."""

    samples: Mapping[str, Sample]
    why: str = ""


@dataclass(frozen=True)
class Patience:
    """When a run is hopeless: more than ``most`` of the requests of a run that are judged (a share) wait, or have
    waited, for longer than ``bound_s``."""

    bound_s: float
    most: float

    @classmethod
    def of(cls, slos: Sequence[SLO]) -> Patience | None:
        """With what no SLO of these can be kept any more; None where not all bound a percentile of TTFT."""
        loosest: Patience | None = None
        for slo in slos:
            clause = next((c for c in slo.clauses if c.metric == "ttft" and c.quantile is not None), None)
            if clause is None or clause.quantile is None:
                return None
            own = cls(clause.bound_s, HOPELESS * (1.0 - clause.quantile))
            loosest = own if loosest is None else cls(*map(max, zip(loosest.pair, own.pair, strict=True)))
        return loosest if loosest is not None and loosest.most < 1.0 else None

    @property
    def pair(self) -> tuple[float, float]:
        """Both figures."""
        return self.bound_s, self.most

    def stop(self, begin_s: float, end_s: float) -> Callable[[World, float], bool]:
        """What a simulation asks (:func:`groundswell.simulate.fleet.simulate`), where what is due from ``begin_s`` to
        ``end_s`` is judged; every 32nd time it looks."""
        looks = 0

        def hopeless(world: World, at_s: float) -> bool:
            nonlocal looks
            looks += 1
            if looks % _LOOKS:
                return False
            q = world.requests
            first_s = np.where(np.isnan(q["first_s"]) & (q["error"] == 0), at_s, q["first_s"])
            late = (first_s - q["arrival_s"] > self.bound_s) & ~np.isnan(q["ready_s"])
            judged = (q["arrival_s"] >= begin_s) & (q["arrival_s"] <= end_s)
            return bool(np.count_nonzero(late & judged) > self.most * np.count_nonzero(judged))

        return hopeless


def observe(sent: Sent, fleet: Callable[[int], Fleet], seed: int, patience: Patience | None = None) -> Outcome:
    """Simulate what is ``sent``, turns closed, and keep what SLOs ask of."""
    stop_when = [_never if patience is None else patience.stop(sent.begin_s, sent.end_s) for _ in sent.workloads]
    runs = [
        simulate(workload, fleet(sent.instances), seed, stop_when=stop)
        for workload, stop in zip(sent.workloads, stop_when, strict=True)
    ]
    backlog = backlog_of(runs, sent.begin_s)
    stopped = [run.run["stopped_s"] for run in runs if "stopped_s" in run.run]
    if backlog.grows:
        return Outcome({}, f"overloaded: {_told(backlog)}")
    if stopped and patience is not None:
        most = f"more than {100 * patience.most:.3g} % of the requests were later than {patience.bound_s:g} s"
        return Outcome({}, f"broken off after {stopped[0]:.0f} s: {most} by then")
    return Outcome(Observed.of(runs).samples(sent.begin_s, sent.end_s))


@dataclass(frozen=True, eq=False)
class Observed:
    """What came of requests in one or more runs, by when they were due, so that any window of time can be judged."""

    due_s: Floats
    """In order, as everything else that there is a value a request of."""
    latency_s: Mapping[str, Floats]
    gaps: tuple[Gaps, ...]

    @classmethod
    def of(cls, runs: Sequence[Results]) -> Observed:
        """Of all requests of ``runs``."""
        due_s = np.concatenate([run.floats("due_s") for run in runs])
        order = np.argsort(due_s, kind="stable")
        each = [latencies_of(run) for run in runs]
        names = ("ttft", "tpot", "e2e")
        latency_s = {name: np.concatenate([latencies[name] for latencies in each])[order] for name in names}
        return cls(due_s[order], latency_s, tuple(gaps for run in runs if (gaps := run.gaps) is not None))

    def samples(self, begin_s: float, end_s: float) -> dict[str, Sample]:
        """The values of all metrics of what was due in a window, and in which of its stretches each lies."""
        low = int(np.searchsorted(self.due_s, begin_s))
        inside = slice(low, int(np.searchsorted(self.due_s, end_s, side="right")))
        stretch, _ = _stretches(self.due_s[inside], begin_s, end_s)
        found = {name: Sample.of(values[inside], stretch) for name, values in self.latency_s.items()}
        return found | {"itl": _gaps(self.gaps, begin_s, end_s)}


def trial(outcome: Outcome, slo: SLO, instances: int, window: int = 0) -> Trial:
    """What an outcome says of an SLO."""
    if outcome.why:
        return Trial(instances, "fails", False, (), outcome.why, window)
    clauses = tuple(
        held(clause, outcome.samples[clause.metric], _NONE.astype(np.bool_), _NONE, STRETCHES) for clause in slo.clauses
    )
    found = {clause.held for clause in clauses}
    verdict: Held = "fails" if "fails" in found else "unclear" if "unclear" in found else "meets"
    return Trial(instances, verdict, all(map(keeps, clauses)), clauses, window=window)


def keeps(given: ClauseHeld) -> bool:
    """Whether a clause's figure is within its bound, however sure that is. Where there is nothing to be late, it is."""
    return within(given.clause, given.figure.value)


def value_of(clause: Clause, sample: Sample) -> float:
    """A clause's statistic alone, failures being infinitely late; nan where there is nothing that could be late."""
    if not sample.n:
        return np.nan
    if clause.quantile is not None:
        return sample.quantile(clause.quantile)
    return np.inf if sample.failed else float(sample.mean.value)


def _gaps(given: Sequence[Gaps], begin_s: float, end_s: float) -> Sample:
    values, stretches, weights = [np.empty(0)], [_NONE], [np.empty(0)]
    for gaps in given:
        middle_s = np.asarray(gaps.first_s + (np.arange(len(gaps.count)) + 0.5) * gaps.width_s, np.float64)
        stretch, inside = _stretches(middle_s, begin_s, end_s)
        row, place = np.nonzero(gaps.count * inside[:, None])
        values.append(gaps.gap_s[place])
        stretches.append(stretch[row])
        weights.append(gaps.count[row, place])
    return Sample.of(np.concatenate(values), np.concatenate(stretches), weight=np.concatenate(weights))


def _stretches(at_s: Floats, begin_s: float, end_s: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """In which of the window's stretches each time lies, and whether it lies in the window."""
    inside = (at_s >= begin_s) & (at_s <= end_s)
    place = (at_s - begin_s) / max((end_s - begin_s) / STRETCHES, 1e-9)
    return np.clip(np.where(inside, place, 0.0), 0, STRETCHES - 1).astype(np.int64), inside


def _never(world: World, at_s: float) -> bool:
    return False


def _told(backlog: Backlog) -> str:
    share = backlog.untaken
    return (
        f"{backlog.waiting:,} requests waited when the last came; {100 * share.value:.3g} % ({100 * share.low:.3g} to "
        f"{100 * share.high:.3g} %) of what came was left over, all through the run"
    )
