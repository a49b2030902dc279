"""Figures of runs in words: a request that failed is infinitely late, so a percentile can be infinite."""

from __future__ import annotations

import math

from groundswell.judge.slo import METRICS
from groundswell.report import words
from groundswell.report.words import Say
from groundswell.stats.estimate import Estimate

NEVER = "never"
"""How late a request is that failed."""
NONE = "–"
NAMES = {
    "ttft": "Time to first token",
    "ttfa": "Time to first answer token",
    "tpot": "Time per output token",
    "itl": "Time between events",
    "e2e": "End-to-end latency",
    "lag": "Our own lag",
}
"""What the metrics are called, in the order of the page."""
SHORT = {"ttft": "TTFT", "ttfa": "TTFA", "tpot": "TPOT", "itl": "ITL", "e2e": "e2e", "lag": "lag"}
MEANING = METRICS


def late(seconds: float) -> str:
    """A latency.

    >>> late(0.25), late(float("inf")), late(float("nan"))
    ('250 ms', 'never', '–')
    """
    return NONE if math.isnan(seconds) else NEVER if seconds == math.inf else words.duration(seconds)


def known(say: Say) -> Say:
    """``say``, and a dash for what is not known."""
    return lambda value: NONE if math.isnan(value) else NEVER if value == math.inf else say(value)


def interval(figure: Estimate, say: Say = late) -> str:
    """The 95 % interval alone, as far as it is known; nothing where it is not, and of what is surely never.

    >>> nan = float("nan")
    >>> interval(Estimate(2.0, 1.0, nan)), interval(Estimate(2.0, nan, 3.0)), interval(Estimate(2.0, 1.0, 3.0))
    ('1 s or more', 'up to 3 s', '1 s to 3 s')
    """
    if figure.low == math.inf or (math.isnan(figure.low) and math.isnan(figure.high)):
        return ""
    if math.isnan(figure.high):
        return f"{say(figure.low)} or more"
    return f"up to {say(figure.high)}" if math.isnan(figure.low) else f"{say(figure.low)} to {say(figure.high)}"


def estimate(figure: Estimate, say: Say = late) -> str:
    """The figure with its interval.

    >>> estimate(Estimate(1.5, 1.25, float("inf"), 9))
    '1.5 s (1.25 s to never)'
    """
    between = interval(figure, say)
    return f"{say(figure.value)} ({between})" if between else say(figure.value)
