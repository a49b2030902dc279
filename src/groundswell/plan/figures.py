"""What a plan says, as plain data of bounded size: for text, for JSON and for charts.

Times are in seconds. What is not known is nan or None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from groundswell.judge.figures import ClauseHeld
from groundswell.judge.slo import Clause
from groundswell.stats.estimate import Estimate

Held = Literal["meets", "fails", "unclear"]


@dataclass(frozen=True)
class Backlog:
    """Requests that had come to an engine and were not taken in when the last one came; ``untaken`` is the share of
    those that came that added to it through the run."""

    waiting: int
    untaken: Estimate
    grows: bool
    """More came than was taken in, all through the run: what waits, and how long, depends on when one stops."""


@dataclass(frozen=True)
class Trial:
    """A number of instances that was tried, and what became of the SLO."""

    instances: int
    held: Held
    keeps: bool
    """Whether its figures are within all bounds, however sure that is."""
    clauses: tuple[ClauseHeld, ...] = ()
    """None where the fleet was overloaded: a percentile of that says nothing."""
    why: str = ""
    """Overload, and what it amounts to."""
    window: int = 0
    """Of which of the plan's windows these figures are: the worst one."""


@dataclass(frozen=True)
class Answer:
    """How many instances a method asks for.

    ``instances`` is the least number whose figures are within the bounds; None where none was found. The interval goes
    from the least number that does not clearly fail (``low``) to the least that clearly meets (``high``; None where
    none did).
    """

    method: str
    title: str
    instances: int | None
    low: int
    high: int | None
    monotone: bool
    """Whether no larger number that was tried does worse than a smaller one."""
    trials: tuple[Trial, ...]
    """By number of instances."""
    per_instance_s: float = math.nan
    """Requests a second of one instance at the answer."""
    over: float = math.nan
    """By which share it is above the direct answer; negative where it is below."""

    def at(self, instances: int | None) -> Trial | None:
        """The trial of so many instances; None where there was none."""
        return next((trial for trial in self.trials if trial.instances == instances), None)


@dataclass(frozen=True)
class Demand:
    """The most that is asked within ``width_s`` (of everything: on average). ``least_instances`` would be busy all the
    time with it, in the largest batches that they can have: a bound from below, for whatever SLO."""

    width_s: float
    at_s: float
    requests_per_s: float
    prompt_tokens_per_s: float
    reply_tokens_per_s: float
    least_instances: float


@dataclass(frozen=True)
class Window:
    """A stretch of the workload for which is planned, and why this one."""

    from_s: float
    to_s: float
    requests: int
    why: str


@dataclass(frozen=True)
class Verified:
    """All windows of the workload, one after the other, on the fleet that is the answer."""

    instances: int
    width_s: float
    windows: int
    kept: int
    """Whose figures are within the bounds."""
    failed: tuple[Window, ...]
    """Those that clearly fail; ``why`` says how."""
    unreachable: tuple[Window, ...]
    """Those that fail on any fleet."""


@dataclass(frozen=True)
class Without:
    """What is needed without a client that asks for ``work`` of all work (a share), and sends ``share`` of the
    requests."""

    client: str
    share: float
    work: float
    instances: int | None


@dataclass(frozen=True)
class Cell:
    """An SLO of a grid, and what each method asks for; a method that finds nothing has None."""

    x_s: float
    y_s: float
    counts: Mapping[str, int | None]
    over: Mapping[str, float]
    """Against the direct answer, as a share."""
    unreachable: str = ""


@dataclass(frozen=True)
class Grid:
    """SLOs of two clauses: each bound of ``x`` with each of ``y``."""

    x: str
    """``ttft:p99``, say."""
    y: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Hardware:
    """What the answer takes: instances times the GPUs of each, for an hour; the cost where a price is given."""

    gpus_per_instance: int
    gpus: int
    gpu_hours_per_hour: float
    price: str = ""
    cost_per_hour: float = math.nan


@dataclass(frozen=True)
class ClauseWorst:
    """A clause, and its statistic in the window where it is worst."""

    clause: Clause
    value_s: float


@dataclass(frozen=True)
class Attained:
    """What a fleet whose size changes attains, and what it takes. ``load`` is what an instance is meant to have, in the
    scaler's unit; nan for a fixed fleet."""

    load: float
    instance_hours: float
    mean_instances: float
    most_instances: int
    """At a time, that took requests."""
    in_time: float
    """The share of requests that keep every bound themselves."""
    windows: int
    kept: int
    """Windows whose figures are within the bounds."""
    worst: tuple[ClauseWorst, ...]


@dataclass(frozen=True)
class Autoscaled:
    """An autoscaler, what was tried of it, by what an instance was meant to have, and of that the fewest instance-hours
    that keep the SLO in as many windows as the fixed fleet; None where nothing does."""

    scaler: str
    unit: str
    best: Attained | None
    tried: tuple[Attained, ...]


@dataclass(frozen=True)
class Traffic:
    """What the plan is for."""

    requests: int
    span_s: float
    rate_per_s: float
    clients: int
    mean_prompt_tokens: float
    mean_reply_tokens: float
    too_long: int
    """Requests for which no engine has memory: they fail on any fleet."""


@dataclass(frozen=True)
class Plan:
    """How many instances a workload takes within an SLO.

    ``instances`` is the answer of ``method``: of direct, or of the last method where that was not asked for; None where
    there is none. ``answers`` has all methods, in the order in which they were asked for.
    """

    slo: str
    instances: int | None
    method: str
    answers: tuple[Answer, ...]
    traffic: Traffic
    demand: tuple[Demand, ...]
    windows: tuple[Window, ...]
    rule: str
    """How the windows were chosen, and which part of them is judged."""
    router: str
    seed: int
    engine: Mapping[str, Any]
    hardware: Hardware | None = None
    verified: Verified | None = None
    without: tuple[Without, ...] = ()
    autoscaled: tuple[Autoscaled, ...] = ()
    """The fixed fleet first."""
    grid: Grid | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def answer(self) -> Answer:
        """The one that counts."""
        return next(answer for answer in self.answers if answer.method == self.method)
