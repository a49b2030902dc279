"""The most load that a server keeps within an SLO, found by trying: a rate of the workload's own traffic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from groundswell.errors import GroundswellError, UsageError
from groundswell.search.bracket import Bracket, Held
from groundswell.stats.estimate import Estimate

Why = Literal["found", "budget", "workload", "invalid", "interrupted", "server"]

MOST_TRIALS = 40
MOST_INVALID = 3
"""So many trials of which we cannot say anything, and none of which we can, end a search."""
LEAST_REQUESTS = 100
"""A trial of fewer says nothing of a percentile: at a low rate it takes longer than was asked."""
_LONGER = 2.0
"""A trial whose verdict is unclear is made once more, so many times as long at least."""
_FALL = 16.0
"""From a load that fails down to what the server answered of it, but not further than this at once."""


@dataclass(frozen=True)
class Trial:
    """One load that was tried, and what became of it."""

    rate_per_s: float
    """What was asked for."""
    span_s: float
    held: Held
    requests: int = 0
    """So many of the workload arrive in the span."""
    took_s: float = 0.0
    """How long it took in all, with replies that came later."""
    clauses: tuple[str, ...] = ()
    """What each clause of the SLO came to, in words."""
    goodput_per_s: Estimate = field(default_factory=Estimate)
    answered_per_s: float = math.nan
    """Replies that ended well, a second, until the last of them."""
    why: str = ""
    """Why our own figures of it cannot be trusted, and what may be done; empty if they can."""
    results: str = ""
    """The file of its results."""

    @property
    def sent_per_s(self) -> float:
        """What was sent: where clients are whole, not any rate can be had."""
        return self.requests / self.span_s if self.requests else self.rate_per_s


@dataclass(frozen=True)
class Found:
    """What a search found, and why it ended.

    ``trials`` are in the order in which they were made; of two at one rate, the later counts.
    """

    bracket: Bracket
    trials: list[Trial] = field(default_factory=list)
    why: Why = "found"
    words: str = ""

    def at(self, rate_per_s: float) -> Trial | None:
        """The trial of a rate that counts; None where there was none."""
        return next((trial for trial in reversed(self.trials) if trial.rate_per_s == rate_per_s), None)


@dataclass(frozen=True)
class Limits:
    """How far a search may go."""

    trial_s: float = 60.0
    budget_s: float = 1800.0
    tolerance: float = 0.05
    """How near the loads that meet and fail come to each other, as a share."""
    needed: int = LEAST_REQUESTS
    """Requests that the SLO's percentiles need for a clear verdict; a second try at a rate is long enough for them."""
    most_per_s: float = math.inf
    """The highest rate that the workload is good for."""

    def __post_init__(self) -> None:
        if not self.trial_s > 0:
            raise UsageError(f"a trial of {self.trial_s:g} s: must be longer")
        if self.budget_s < self.trial_s:
            raise UsageError(f"a budget of {self.budget_s:g} s: is not enough for one trial of {self.trial_s:g} s")
        if not 0.0 < self.tolerance < 10.0:
            raise UsageError(f"a tolerance of {self.tolerance:g}: must be above 0 and below 10, such as 0.05")

    def up_to(self, most_per_s: float) -> Limits:
        """The same, and no higher rates."""
        return replace(self, most_per_s=most_per_s)


class StoppedTrialError(GroundswellError):
    """Ctrl-C during a trial."""

    exit_code = 130


def search(
    attempt: Callable[[float, float], Trial],
    first_per_s: float,
    limits: Limits,
    now_s: Callable[[], float],
    lasts_s: Callable[[float], float] = lambda rate_per_s: math.inf,
    told: Callable[[Trial], None] = lambda trial: None,
) -> Found:
    """Try loads until the most that keeps the SLO is known as well as ``limits`` ask.

    ``attempt(rate_per_s, span_s)`` tries one; the same rate must be the same requests (common random numbers).
    ``lasts_s`` says how long the workload lasts at a rate, and each trial is ``told`` when it is over. A clear verdict
    stands; an unclear one is tried once more, longer; one that is invalid is as good as too much. What was found
    stands, too, where Ctrl-C or a server that has gone ends the search (``why``); a fault of the first trial is raised.
    """
    trials = list[Trial]()
    begin_s = now_s()
    rate_per_s = min(first_per_s, limits.most_per_s)

    def ended(why: Why, words: str = "") -> Found:
        return Found(_bracket(trials), trials, why, words)

    while True:
        longer = any(trial.rate_per_s == rate_per_s for trial in trials)
        span_s = min(_span_s(rate_per_s, limits, longer), lasts_s(rate_per_s))
        if rate_per_s * span_s < LEAST_REQUESTS * 0.99:
            few = (
                f"{span_s:.3g} s at {rate_per_s:.3g} req/s, all that there is, are fewer than {LEAST_REQUESTS} requests"
            )
            return ended("workload", few)
        left_s = limits.budget_s - (now_s() - begin_s)
        if trials and span_s * _overhead(trials) > left_s:
            return ended("budget", f"the next trial, {rate_per_s:.4g} req/s, would go beyond {limits.budget_s:g} s")
        try:
            trial = attempt(rate_per_s, span_s)
        except (StoppedTrialError, KeyboardInterrupt):
            return ended("interrupted")
        except GroundswellError as fault:
            if not trials:
                raise
            return ended("workload" if isinstance(fault, UsageError) else "server", str(fault))
        trials.append(trial)
        told(trial)
        if len(trials) >= MOST_TRIALS:
            return ended("budget", f"{MOST_TRIALS} trials did not settle it")
        if trial.held == "invalid" and all(one.held == "invalid" for one in trials) and len(trials) >= MOST_INVALID:
            return ended("invalid", trial.why)
        if trial.held == "unclear" and not longer and _can_be_longer(trial, limits, lasts_s, trials, begin_s, now_s()):
            continue
        bracket = _bracket(trials)
        following = _next(bracket, trial, limits.tolerance)
        if following is None:
            spoilt = next((one for one in trials if one.rate_per_s == bracket.invalid), None)
            return ended("invalid", spoilt.why) if spoilt is not None else ended("found")
        if following > limits.most_per_s:
            if bracket.meets * (1.0 + limits.tolerance) >= limits.most_per_s or limits.most_per_s in bracket.unclear:
                return ended("workload", f"more than {limits.most_per_s:.4g} req/s cannot be made of it")
            following = limits.most_per_s
        rate_per_s = following


def _bracket(trials: list[Trial]) -> Bracket:
    latest = {trial.rate_per_s: trial.held for trial in trials}
    return Bracket.of(list(latest.items()))


def _span_s(rate_per_s: float, limits: Limits, longer: bool) -> float:
    span_s = max(limits.trial_s, LEAST_REQUESTS / rate_per_s)
    return max(_LONGER * span_s, limits.needed / rate_per_s) if longer else span_s


def _can_be_longer(
    trial: Trial,
    limits: Limits,
    lasts_s: Callable[[float], float],
    trials: list[Trial],
    begin_s: float,
    now_s: float,
) -> bool:
    """Whether it makes sense to try the same rate again: there are workload and time for it."""
    span_s = min(_span_s(trial.rate_per_s, limits, longer=True), lasts_s(trial.rate_per_s))
    return span_s >= 1.5 * trial.span_s and span_s * _overhead(trials) <= limits.budget_s - (now_s - begin_s)


def _next(bracket: Bracket, trial: Trial, tolerance: float) -> float | None:
    """The bracket's next load; where all fail, no more than what the server answered when it was given too much."""
    rate_per_s = bracket.next(tolerance)
    if rate_per_s is None or bracket.meets or bracket.unclear or trial.held != "fails" or not trial.answered_per_s > 0:
        return rate_per_s
    return min(rate_per_s, max(trial.answered_per_s, trial.rate_per_s / _FALL))


def _overhead(trials: list[Trial]) -> float:
    """How much longer than its load a trial takes: replies have to end, too."""
    return max(min(trial.took_s / trial.span_s, 3.0) for trial in trials[-3:])
