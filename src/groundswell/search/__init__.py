"""The most load that a server keeps within an SLO, found by trying: a rate of the workload's own traffic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from groundswell.search.bracket import Bracket, Held

Why = Literal["found", "budget", "workload", "invalid", "interrupted"]

MOST_TRIALS = 40
LEAST_REQUESTS = 100
"""A trial of fewer says nothing of a percentile."""
_LONGER = 2.0
"""A trial whose verdict is unclear is made once more, so many times as long."""


@dataclass(frozen=True)
class Trial:
    """One load that was tried, and what became of it."""

    rate_per_s: float
    """What was asked for."""
    span_s: float
    held: Held
    invalid: str = ""
    """Why our own figures of it cannot be trusted; empty if they can."""
    took_s: float = 0.0
    figures: tuple[str, ...] = ()
    """What each clause of the SLO came to, in words."""
    goodput_per_s: float = math.nan
    results: str = ""
    """The file of its results."""


@dataclass(frozen=True)
class Found:
    """What a search found, and why it ended."""

    bracket: Bracket
    trials: list[Trial] = field(default_factory=list)
    why: Why = "found"
    words: str = ""


def search(
    attempt: Callable[[float, float], Trial],
    first_per_s: float,
    trial_s: float,
    budget_s: float,
    now_s: Callable[[], float],
    tolerance: float = 0.05,
    most_s: Callable[[float], float] = lambda rate_per_s: math.inf,
    told: Callable[[Trial], None] = lambda trial: None,
) -> Found:
    """Try loads until the most that keeps the SLO is known to ``tolerance``, or ``budget_s`` are over.

    ``attempt(rate_per_s, span_s)`` tries one. ``most_s`` says how long a workload lasts at a rate: no trial is longer,
    and where it would be shorter than half of ``trial_s`` the search ends. Common random numbers are the caller's: the
    same rate must be the same requests.
    """
    begin_s, trials = now_s(), list[Trial]()
    rate_per_s: float | None = first_per_s
    span_s = trial_s
    while rate_per_s is not None:
        bracket = Bracket.of([(trial.rate_per_s, trial.held) for trial in trials])
        lasts_s = most_s(rate_per_s)
        if lasts_s < trial_s / 2:
            return Found(bracket, trials, "workload", f"the workload lasts {lasts_s:.3g} s at {rate_per_s:.4g} req/s")
        span_s = min(span_s, lasts_s)
        if rate_per_s * span_s < LEAST_REQUESTS:
            few = (
                f"{span_s:.3g} s at {rate_per_s:.3g} req/s are fewer than {LEAST_REQUESTS} requests; make trials longer"
            )
            return Found(bracket, trials, "workload", few)
        if trials and now_s() - begin_s + span_s * _overhead(trials) > budget_s:
            return Found(bracket, trials, "budget", f"the next trial would go beyond the budget of {budget_s:g} s")
        if len(trials) >= MOST_TRIALS:
            return Found(bracket, trials, "budget", f"{MOST_TRIALS} trials did not settle it")
        trial = attempt(rate_per_s, span_s)
        told(trial)
        if trial.invalid:
            return Found(bracket, [*trials, trial], "invalid", trial.invalid)
        again = trial.held == "unclear" and trial.span_s < trial_s * _LONGER * 0.99 and lasts_s > span_s * 1.5
        trials = [one for one in trials if one.rate_per_s != rate_per_s] + [trial]
        if again:
            span_s = trial_s * _LONGER
            continue
        span_s = trial_s
        bracket = Bracket.of([(one.rate_per_s, one.held) for one in trials])
        rate_per_s = bracket.next(tolerance)
    return Found(bracket, trials)


def _overhead(trials: list[Trial]) -> float:
    """How much longer than its load a trial takes: replies have to end, too."""
    return max(min(trial.took_s / trial.span_s, 3.0) for trial in trials[-3:])
