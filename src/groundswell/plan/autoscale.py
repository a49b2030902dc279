"""Fleets that grow and shrink: the fewest instance-hours with which an autoscaler keeps an SLO."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from groundswell.errors import UsageError
from groundswell.judge.clauses import keeps_all, within
from groundswell.judge.latencies import bounded_of
from groundswell.judge.slo import SLO
from groundswell.plan.figures import Answer, Attained, Autoscaled, ClauseWorst
from groundswell.plan.outcome import Observed, value_of
from groundswell.plan.trials import Setting
from groundswell.plan.windows import Whole
from groundswell.results import Results
from groundswell.scaling import SCALING, Tunable
from groundswell.scaling.forecast import Forecast
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Fleet, Pool, Scaling
from groundswell.table import Workload

STARTUP_S = 120.0
MOST = 2
"""So many times the answer's instances run at most: what piles up while they start is worked off by more."""
_PER_DOUBLING = 4
"""How much an instance is meant to have is tried in so many steps from a figure to twice it."""
BEYOND = (1, 2)
"""So many doublings beyond the best are tried, to tell what less would do."""
_DOUBLINGS = 8
"""So far from what is stated it is looked for."""
_ALL = 0.98
"""Of the instance-hours that there can be: a fleet with so many is as large as it gets."""

Windows = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Autoscaling:
    """Which autoscalers are sized: those that are stated, and one that expects each hour of the day to bring what it
    brought in ``history``, a workload that begins at the same time of day."""

    scalers: tuple[Tunable, ...] = ()
    startup_s: float = STARTUP_S
    history: Workload | None = None

    def __post_init__(self) -> None:
        if not self.scalers and self.history is None:
            raise UsageError("there is no autoscaler to size: say which, or an earlier day's traffic")
        if not 0.0 <= self.startup_s < math.inf:
            raise UsageError(f"an instance starts for 0 s or more, not {self.startup_s:g} s")

    @cached_property
    def forecast(self) -> Forecast | None:
        """What is learned of the history. Raises DataError where that is no day."""
        return None if self.history is None else Forecast.learned(self.history, 1.0)

    def each(self, per_instance_per_s: float) -> tuple[Tunable, ...]:
        """All of them. The forecast is first tried with so many requests a second for an instance."""
        if self.forecast is None:
            return self.scalers
        return (*self.scalers, self.forecast.with_load(per_instance_per_s))


def autoscaled(
    setting: Setting, whole: Whole, slo: SLO, windows: Windows, answer: Answer, asked: Autoscaling
) -> tuple[Autoscaled, ...]:
    """What the fixed fleet of the ``answer`` attains in ``windows`` of ``whole``, and each scaler that begins with as
    many instances: from what it is stated to give an instance, more and less is tried until the least instance-hours
    are known that keep ``slo`` in as many windows as the fixed fleet, and some that take less. Raises DataError for a
    history that is no day."""
    instances, scalers = answer.instances or 1, asked.each(answer.per_instance_s)
    served = _Served(setting, whole, slo, windows)
    fixed = served.attained(setting.fleet(instances))
    most = min(MOST * instances, max(setting.most_instances, instances))

    def sized(scaler: Tunable) -> Autoscaled:
        def attempt(load: float) -> Attained:
            scaling = Scaling(scaler.with_load(load), first=instances, startup_s=asked.startup_s)
            fleet = Fleet((Pool(setting.engine, most),), setting.router, scaling=scaling)
            return served.attained(fleet, load)

        tried = _tried(attempt, scaler.load, fixed.kept, fixed.instance_hours * MOST)
        keeping = [each for each in tried if each.kept >= fixed.kept]
        best = min(keeping, key=lambda each: each.instance_hours) if keeping else None
        return Autoscaled(_name(scaler), scaler.unit, best, tried)

    with ThreadPoolExecutor(min(len(scalers), os.cpu_count() or 1)) as threads:
        return (Autoscaled("fixed", "", fixed, (fixed,)), *threads.map(sized, scalers))


@dataclass(frozen=True, eq=False)
class _Served:
    """A workload, and the windows of it that are judged."""

    setting: Setting
    whole: Whole
    slo: SLO
    windows: Windows

    def attained(self, fleet: Fleet, load: float = math.nan) -> Attained:
        """What becomes of the SLO on ``fleet``."""
        stretch_s = self.windows[0][1] - self.windows[0][0] if len(self.windows) > 1 else None
        run = simulate(self.whole.workload, fleet, self.setting.seed, stretch_s=stretch_s)
        self.setting.tell(len(run))
        clauses, observed = self.slo.clauses, Observed.of([run])
        value_s = np.array([
            [value_of(clause, samples[clause.metric]) for clause in clauses]
            for samples in (observed.samples(*window) for window in self.windows)
        ])  # fmt: skip
        kept = [all(map(within, clauses, row)) for row in value_s.tolist()]
        return Attained(
            load,
            instance_hours=run.run["instance_s"] / 3600.0,
            mean_instances=run.run["instance_s"] / run.run["end_s"],
            most_instances=int(max(run.series["instances"])),
            in_time=self._in_time(run),
            windows=len(kept),
            kept=sum(kept),
            worst=tuple(map(ClauseWorst, clauses, np.nanmax(value_s, axis=0, initial=0.0).tolist())),
        )

    def _in_time(self, run: Results) -> float:
        """The share of the requests due in the windows that keep all bounds themselves."""
        due_s = run.floats("due_s")
        begin_s, end_s = np.array(self.windows).T
        place = np.maximum(np.searchsorted(begin_s, due_s, side="right") - 1, 0)
        judged = (due_s >= begin_s[place]) & (due_s <= end_s[place])
        return float(keeps_all(self.slo, bounded_of(run), run.failed)[judged].mean())


def _tried(attempt: Callable[[float], Attained], load: float, enough: int, most_hours: float) -> tuple[Attained, ...]:
    """Attempts with steps of ``load`` until two that lie side by side are known of which the one with more on an
    instance keeps the SLO in fewer than ``enough`` windows and the other does not, and with twice and four times as
    much as that; by instance-hours, the most first."""
    found: dict[int, Attained] = {}

    def keeps(step: int) -> bool:
        if step not in found:
            found[step] = attempt(load * 2.0 ** (step / _PER_DOUBLING))
        return found[step].kept >= enough

    furthest = _DOUBLINGS * _PER_DOUBLING
    good = bad = 0
    if keeps(0):
        while keeps(bad):
            if bad >= furthest:
                return _in_order(found)
            good, bad = bad, bad + _PER_DOUBLING
    else:
        while not keeps(good):
            if good <= -furthest or found[good].instance_hours > _ALL * most_hours:
                return _in_order(found)
            good, bad = good - _PER_DOUBLING, good
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if keeps(middle) else (good, middle)
    for further in BEYOND:
        keeps(good + further * _PER_DOUBLING)
    return _in_order(found)


def _in_order(found: dict[int, Attained]) -> tuple[Attained, ...]:
    return tuple(found[step] for step in sorted(found))


def _name(scaler: Tunable) -> str:
    return SCALING.text(scaler).partition(":")[0]
