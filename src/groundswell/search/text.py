"""What a search found, for a terminal."""

from __future__ import annotations

import math

from groundswell.judge.figures import ClauseHeld
from groundswell.search import Found, Trial
from groundswell.stats.estimate import Estimate
from groundswell.units import show_duration

_ENDS = {
    "budget": "The budget ended the search",
    "workload": "The workload ended the search",
    "invalid": "Our own sending ended the search",
    "interrupted": "The search was interrupted",
    "server": "The server ended the search",
}
_NOTABLE = 0.02
"""A rate that differs by such a share from what was asked for is told."""


def clause_in_words(clause: ClauseHeld) -> str:
    """What became of a clause: ``ttft p99 1.21 s (1.1 s to 1.35 s)``, or why nobody can say."""
    figure = clause.figure
    if not math.isnan(figure.value) and not (math.isnan(figure.low) and math.isnan(figure.high)):
        return f"{clause.clause.metric} {clause.clause.statistic} {_time(figure.value)} {_between(figure)}".rstrip()
    return f"{clause.clause.metric} {clause.why}" if clause.why else f"{clause.text} {_time(figure.value)}"


def describe_trial(trial: Trial) -> str:
    """One line on a trial.

    >>> describe_trial(Trial(12.0, 60.0, "meets", 720, clauses=("ttft p99 1.2 s (1.1 s to 1.4 s)",)))
    '    12 req/s for 1m      meets    ttft p99 1.2 s (1.1 s to 1.4 s)'
    """
    said = trial.why if trial.held == "invalid" else "; ".join(trial.clauses)
    if abs(trial.sent_per_s / trial.rate_per_s - 1.0) > _NOTABLE:
        said = f"sent {_rate(trial.sent_per_s)}; {said}"
    held = "INVALID" if trial.held == "invalid" else trial.held
    return f"{trial.rate_per_s:>6.4g} req/s for {show_duration(trial.span_s):<7} {held:<8} {said}".rstrip()


def describe(found: Found, slo: str) -> str:
    """The answer, how sure it is, and why the search ended where it did."""
    lines = [_answer(found, slo)]
    best = found.at(found.bracket.meets)
    if best is not None:
        figures = "; ".join(best.clauses)
        lines.append(f"At {_rate(best.sent_per_s)}: {figures}.")
        if not math.isnan(best.goodput_per_s.value):
            goodput = best.goodput_per_s
            between = "" if math.isnan(goodput.low) else f" ({goodput.low:.4g} to {goodput.high:.4g})"
            lines.append(f"Goodput there, requests/s that keep every bound themselves: {goodput.value:.4g}{between}.")
    if found.why != "found":
        lines.append(f"{_ENDS[found.why]}{': ' + found.words if found.words else ''}.")
    return "\n".join(lines)


def _answer(found: Found, slo: str) -> str:
    bracket = found.bracket
    if not found.trials:
        return f"Nothing is known of {slo}: no trial was over."
    parts = []
    if bracket.meets:
        parts.append(f"is met up to {_sent(found, bracket.meets)}")
    if bracket.unclear:
        rates = " and ".join(dict.fromkeys(_sent(found, rate) for rate in (bracket.unclear[0], bracket.unclear[-1])))
        joined = "from " + rates.replace(" and ", " to ") if " and " in rates else "at " + rates
        parts.append(f"is unclear {joined} (the intervals reach across a bound)")
    if not math.isinf(bracket.fails):
        failing = _sent(found, bracket.fails)
        parts.append(
            f"fails from {failing} on" if bracket.meets or bracket.unclear else f"fails at {failing}, the least tried"
        )
    if not math.isinf(bracket.invalid):
        parts.append(f"cannot be judged at {_sent(found, bracket.invalid)}")
    if not parts:
        return f"Nothing is known of {slo}: no trial was clear."
    if len(parts) == 1 and bracket.meets:
        parts[0] = f"is met at {_sent(found, bracket.meets)}, the most tried"
    *most, last = parts
    return f"{slo} {', '.join(most)}{' and ' if most else ''}{last}."


def _sent(found: Found, rate_per_s: float) -> str:
    trial = found.at(rate_per_s)
    return _rate(rate_per_s if trial is None else trial.sent_per_s)


def _rate(rate_per_s: float) -> str:
    return f"{rate_per_s:.4g} req/s"


def _between(figure: Estimate) -> str:
    low, high = ("–" if math.isnan(end) else _time(end) for end in (figure.low, figure.high))
    if math.isinf(figure.low):
        return ""
    return f"({low} to {high})"


def _time(seconds: float) -> str:
    if math.isinf(seconds):
        return "∞"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
