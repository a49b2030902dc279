"""A comparison in words: how far apart two workloads are, in what each aspect means."""

from __future__ import annotations

import math

from groundswell.fidelity import Candidate
from groundswell.fidelity.resample import Aspect
from groundswell.units import show_count, show_duration

NAMES = {
    "rate": "mean rate",
    "short_spread": "spread of the rate",
    "dispersion": "dispersion",
    "gaps": "gaps",
    "input_lengths": "input lengths",
    "output_lengths": "output lengths",
    "rank_correlation": "rank correlation",
    "joint_input": "rate with mean input",
    "joint_output": "rate with mean output",
    "multi_turn": "conversations",
    "turns": "turns",
    "turn_gap_p50": "turn to turn, median",
    "turn_gap_p90": "turn to turn, p90",
    "growth": "growth per turn",
}
MARKS = {"indistinguishable": "✓", "differs": "✗", "cannot be said": "○"}
_HIGHER = {"share": "more", "shift": "longer"}
_LOWER = {"share": "fewer", "shift": "shorter"}
_ONE_WAY = 0.75
"""Lengths are called longer or shorter where at least so much of what they are moved by is in that direction."""


def name(aspect: Aspect) -> str:
    """What the aspect is called, and where the two differ most if it is a curve."""
    if not math.isfinite(aspect.at) or not aspect.distance:
        return NAMES[aspect.key]
    return f"{NAMES[aspect.key]} {'up to' if aspect.kind == 'share' else 'at'} {_seconds(aspect.at)}"


def figure(aspect: Aspect, value: float) -> str:
    """A workload's own figure."""
    if not math.isfinite(value):
        return "–"
    if aspect.kind == "share" or aspect.unit == "share":
        return _percent(value, 3)
    if aspect.kind == "shift" or aspect.unit == "tokens":
        return _signed(value, show_count(float(f"{abs(value):.3g}")))
    if aspect.unit == "s":
        return _seconds(value)
    return _signed(value, f"{abs(value):.3g}") + ("/s" if aspect.key == "rate" else "")


def apart(aspect: Aspect) -> str:
    """How far the candidate is from the reference, and in which direction where there is one.

    >>> apart(Aspect("rate", "", 5.0, 4.0, math.log(5 / 4), 0.1, "ratio"))
    '20 % lower'
    >>> apart(Aspect("dispersion", "", 1.0, 3.0, math.log(3), 0.1, "ratio"))
    '3× higher'
    """
    if not math.isfinite(aspect.distance):
        return _lacking(aspect)
    if aspect.distance == 0:
        return "the same"
    size, way = _size(aspect, aspect.distance, aspect.candidate < aspect.reference), direction(aspect)
    return f"{size} {way}" if aspect.kind != "shift" or way != "moved" else f"moved by {size}"


def _lacking(aspect: Aspect) -> str:
    known = (math.isfinite(aspect.reference), math.isfinite(aspect.candidate))
    return {(True, False): "candidate has none", (False, True): "reference has none"}.get(known, "–")


def direction(aspect: Aspect) -> str:
    """``higher``, ``shorter``, … : how the candidate lies to the reference."""
    if aspect.kind == "cloud":
        return "apart"
    one_way = math.log(aspect.candidate / aspect.reference) if aspect.kind == "shift" else math.inf
    if abs(one_way) < _ONE_WAY * aspect.distance:
        return "moved"
    if aspect.candidate < aspect.reference:
        return _LOWER.get(aspect.kind, "lower")
    return _HIGHER.get(aspect.kind, "higher")


def noise(aspect: Aspect) -> str:
    """How far apart two draws of the reference are, in the candidate's direction: a fifth less is a quarter more."""
    if not math.isfinite(aspect.noise):
        return "–"
    return _size(aspect, aspect.noise, aspect.candidate < aspect.reference)


def verdict(aspect: Aspect) -> str:
    """``indistinguishable``, ``off, 2.1× the noise`` or ``cannot be said``."""
    return f"off, {times_noise(aspect)} the noise" if aspect.verdict == "differs" else aspect.verdict


def times_noise(aspect: Aspect) -> str:
    """The distance in units of the noise."""
    return f"{_times(aspect.distance / aspect.noise)}×" if aspect.noise > 0 else "∞×"


def summary(candidate: Candidate) -> str:
    """What all aspects add up to, in one line."""
    same, off, silent = (
        [a for a in candidate.aspects if a.verdict == verdict]
        for verdict in ("indistinguishable", "differs", "cannot be said")
    )
    if not same and not off:
        return "there is too little to say anything"
    said = f"indistinguishable at this sample size in {len(same)} of {len(same) + len(off)} aspects"
    if off:
        said += "; off in " + ", ".join(f"{NAMES[a.key]} ({apart(a)})" for a in off)
    if silent:
        said += "; nothing can be said of " + ", ".join(NAMES[a.key] for a in silent)
    return said


def _size(aspect: Aspect, distance: float, lower: bool = False) -> str:
    """A distance without its direction."""
    if aspect.kind in {"ratio", "shift"}:
        if distance >= math.log(2):
            return f"{_times(math.exp(min(distance, 700.0)))}×"
        return _percent(-math.expm1(-distance) if lower else math.expm1(distance))
    if aspect.kind == "share" or aspect.unit == "share":
        return f"{_digits(100 * distance)} points"
    if aspect.kind == "cloud":
        return f"{distance:.2g} SD"
    if aspect.unit == "s":
        return _seconds(distance)
    return show_count(float(f"{distance:.3g}")) + (" tokens" if aspect.unit == "tokens" else "")


def _times(factor: float) -> str:
    if factor < 1.1:
        return f"{factor:.3g}"
    return f"{factor:.2g}" if factor < 100 else show_count(float(f"{factor:.2g}"))


def _percent(share: float, digits: int = 2) -> str:
    return f"{_digits(100 * share, digits)} %"


def _digits(value: float, digits: int = 2) -> str:
    return f"{value:.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def _seconds(seconds: float) -> str:
    if abs(seconds) >= 60:
        return show_duration(seconds)
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} s"


def _signed(value: float, size: str) -> str:
    return f"−{size}" if value < 0 else size
