"""What a search found, for a terminal."""

from __future__ import annotations

import math

from groundswell.search import Found, Trial
from groundswell.units import show_duration

_ENDS = {
    "found": "",
    "budget": "The budget ended the search",
    "workload": "The workload ended the search",
    "invalid": "Our own lag ended the search",
    "interrupted": "Interrupted",
}


def describe_trial(trial: Trial) -> str:
    """One line on a trial.

    >>> describe_trial(Trial(12.0, 60.0, "meets", took_s=63.0, figures=("ttft:p99<2s: 1.2 s",)))
    '    12 req/s for 1m0s    meets    ttft:p99<2s: 1.2 s'
    """
    held = "INVALID" if trial.invalid else trial.held
    said = trial.invalid or "; ".join(trial.figures)
    return f"{trial.rate_per_s:>6.4g} req/s for {show_duration(trial.span_s):<7} {held:<8} {said}".rstrip()


def describe(found: Found, slo: str) -> str:
    """The answer, and how sure it is."""
    lines = [_answer(found, slo)]
    if found.bracket.unclear:
        rates = ", ".join(f"{rate:.4g}" for rate in found.bracket.unclear)
        lines.append(f"At {rates} req/s the intervals reach across a bound: longer trials would tell.")
    if found.why != "found":
        lines.append(f"{_ENDS[found.why]}{': ' + found.words if found.words else ''}.")
    return "\n".join(lines)


def _answer(found: Found, slo: str) -> str:
    meets, fails = found.bracket.meets, found.bracket.fails
    if not meets and math.isinf(fails):
        return f"Nothing is known of {slo}: no trial was clear."
    if not meets:
        return f"{slo} fails at {fails:.4g} req/s, the least that was tried."
    if math.isinf(fails):
        return f"{slo} is met at {meets:.4g} req/s, the most that was tried."
    return f"{slo} is met up to {meets:.4g} req/s, and fails from {fails:.4g} req/s on."
