"""What the tests of autoscalers share: what one sees, loads, fleets that are scaled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from groundswell.results import Results
from groundswell.scaling import Seen
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Engine, Fleet, Outage, Pool, Scaling, StepCost
from groundswell.table import Workload
from simulating import asking

ENGINE = Engine(StepCost(0.01), blocks=10_000)


def seen(at_s: float = 0.0, up: int = 1, starting: int = 0, in_flight: int = 0, startup_s: float = 120.0) -> Seen:
    return Seen(at_s, up, starting, in_flight, 0, 0, 0.0, startup_s, 60.0)


@dataclass(frozen=True)
class Told:
    """As many instances as it was told, from given times on."""

    from_s: tuple[float, ...]
    wanted: tuple[int, ...]
    every_s: float = 10.0

    def begin(self) -> Callable[[Seen], int]:
        return lambda seen: self.wanted[int(np.searchsorted(self.from_s, seen.at_s, side="right")) - 1]


def evenly(rates: Sequence[tuple[float, float]], output: int = 100) -> Workload:
    """Requests at even gaps, so many a second for so many seconds, whose replies take ``output`` · 0.01 s."""
    gaps = np.concatenate([np.full(round(rate * span_s), 1 / rate) for rate, span_s in rates])
    return asking(np.cumsum(gaps), np.ones(gaps.size, int), np.full(gaps.size, output))


def scaled(workload: Workload, scaling: Scaling, instances: int = 8, outages: tuple[Outage, ...] = ()) -> Results:
    return simulate(workload, Fleet((Pool(ENGINE, instances),), scaling=scaling, outages=outages))


def up_at(results: Results, at_s: float) -> float:
    """How many instances took requests, at the latest point of the series up to ``at_s``."""
    series = results.metadata["series"]
    return float(series["instances"][np.searchsorted(series["at_s"], at_s, side="right") - 1])
