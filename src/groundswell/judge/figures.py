"""What a judgement says, as plain data of bounded size: for text, for JSON and for the report.

Times are in seconds. A request that failed is infinitely late, so a percentile can be infinite (null in JSON, with an
``n`` above 0). A figure that cannot be said is nan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from groundswell.judge.slo import Clause
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Held = Literal["meets", "fails", "unclear"]
Verdict = Literal["invalid", "meets", "fails", "unclear", "measured"]
"""``measured``: no SLO was given."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A distribution function: ``share[i]`` of the requests took at most ``at_s[i]``; both rise, and the last share is
    below 1 where requests failed. At most 256 points, closer together in the upper tail."""

    at_s: Floats
    share: Floats


@dataclass(frozen=True, eq=False)
class Spread:
    """How one of :data:`groundswell.judge.slo.METRICS`, or a phase, is distributed over the requests of the window;
    ``itl`` over the gaps between events.

    Percentiles are the least value that so large a share does not exceed, with ``failed`` of the ``n`` infinite.
    ``mean`` and ``max`` are of the others; the maximum has no interval.
    """

    metric: str
    n: int
    failed: int
    mean: Estimate
    p50: Estimate
    p90: Estimate
    p95: Estimate
    p99: Estimate
    max: Estimate
    curve: Curve


@dataclass(frozen=True)
class ClauseHeld:
    """What became of one clause: ``figure`` is its statistic, failures being infinitely late in any statistic.

    ``why`` says in a few words what the verdict rests on, or what keeps it from being clear. ``share`` of the requests
    keep the clause's bound themselves.
    """

    clause: Clause
    text: str
    figure: Estimate
    held: Held
    why: str
    share: Estimate


@dataclass(frozen=True)
class Window:
    """Which requests are judged: those due from ``begin_s`` to ``end_s``, both included. The run was due from 0 to
    ``span_s``; ``rule`` says in words how the window was found, ``left_out`` how many requests are not in it."""

    begin_s: float
    end_s: float
    span_s: float
    warm_up_s: float
    cool_down_s: float
    rule: str
    requests: int
    left_out: int

    @property
    def seconds(self) -> float:
        """How long the window is."""
        return self.end_s - self.begin_s


@dataclass(frozen=True)
class Rates:
    """Per second of the window: requests that were due, were sent, ended well, and kept every bound of the SLO (nan
    without one); and the tokens of what ended well."""

    asked_per_s: float
    sent_per_s: float
    ended_per_s: float
    goodput_per_s: Estimate
    input_tokens_per_s: float
    output_tokens_per_s: float


@dataclass(frozen=True)
class Part:
    """The requests of the window that are of one client, or whose prompts are of such a length (``low`` to ``high``
    tokens, both included; nan for clients). Percentiles that so few requests cannot give are nan."""

    name: str
    requests: int
    failed: int
    input_tokens: float
    """Mean."""
    output_tokens: float
    """Mean, of those that ended well."""
    ttft_p50: float
    ttft_p99: float
    tpot_p50: float
    tpot_p99: float
    e2e_p50: float
    e2e_p99: float
    attainment: float
    """Share of the requests that keep every bound of the SLO; nan without one."""
    low: float = np.nan
    high: float = np.nan


@dataclass(frozen=True, eq=False)
class OverTime:
    """The whole run in at most 60 equal stretches, each array one value a stretch; ``at_s`` is where a stretch begins.

    Latencies and ``failed`` are of the requests that were due in a stretch; ``sent`` and ``ended`` are what happened
    in it, ``open`` how many requests were open on average.
    """

    at_s: Floats
    width_s: float
    due: Ints
    sent: Ints
    ended: Ints
    failed: Ints
    open: Floats
    output_tokens_per_s: Floats
    ttft_p50: Floats
    ttft_p99: Floats
    tpot_p50: Floats
    tpot_p99: Floats
    e2e_p50: Floats
    e2e_p99: Floats
    lag_p99: Floats
    attainment: Floats


@dataclass(frozen=True)
class ErrorKind:
    """Requests of the whole run that failed in one way. ``statuses`` are pairs of an HTTP status and its count;
    ``examples`` are up to three different things that servers said."""

    kind: str
    count: int
    share: float
    statuses: tuple[tuple[int, int], ...]
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Tokens:
    """Tokens of the requests of the whole run that ended well, and where counts differ. Counts that nobody made are 0,
    with no requests ``compared``."""

    requests: int
    asked: int
    """Of replies, as the workload has them."""
    output: int
    """Of replies, as the server counts them; ``reason`` of them are reasoning."""
    reason: int
    input: int
    """Of prompts, as the workload has them."""
    made: int
    """Of prompts, as they were made."""
    prompt: int
    """Of prompts, as the server counts them; ``cached`` of them were in its cache."""
    cached: int
    output_counted: int
    """Requests whose replies the server counted."""
    prompt_compared: int
    prompt_mismatches: int
    """Prompts that the server counts otherwise than we do; by ``prompt_excess`` tokens more in total."""
    prompt_excess: int
    output_compared: int
    output_shorter: int
    """Replies with fewer tokens than were asked for."""
    output_longer: int


@dataclass(frozen=True)
class ServerTotal:
    """One of the server's counters over the run, and what the requests say it should have grown by."""

    name: str
    server: float
    ours: float
    rounding: float = 0.0
    """By how much the server's may be off, as it rounds what it writes."""

    @property
    def agrees(self) -> bool:
        """Whether the two are the same, as far as the server tells."""
        return abs(self.server - self.ours) <= self.rounding


@dataclass(frozen=True)
class Reason:
    """Why a run is invalid, and what to do."""

    text: str
    advice: str


@dataclass(frozen=True, eq=False)
class Judgement:
    """What came of a run. ``latencies`` has the metrics that there are figures of, under their names."""

    verdict: Verdict
    invalid: tuple[Reason, ...]
    notes: tuple[str, ...]
    run: Mapping[str, Any]
    """What the results say was run."""
    interrupted: bool
    requests: int
    failed: int
    window: Window
    rates: Rates
    slo: str | None
    clauses: tuple[ClauseHeld, ...]
    attainment: Estimate
    """Share of the window's requests that keep every clause's bound themselves; failed ones do not. nan without SLO."""
    latencies: Mapping[str, Spread]
    over_time: OverTime
    clients: tuple[Part, ...]
    """The 20 that sent most, most first, and the rest as one."""
    input_lengths: tuple[Part, ...]
    errors: tuple[ErrorKind, ...]
    """Most first."""
    tokens: Tokens
    server: tuple[ServerTotal, ...]
    phases: Mapping[str, Spread]
    """What the time to first token was spent on (:mod:`groundswell.judge.phases`), in order; empty where the results do
    not tell. Of requests that ended well."""
