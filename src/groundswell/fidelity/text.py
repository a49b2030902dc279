"""A comparison on a terminal: one row an aspect, for each candidate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from groundswell.fidelity import Candidate, Comparison
from groundswell.fidelity.resample import Aspect
from groundswell.units import show_count

_HEAD = f"  {'':<58}{'reference':>11}{'candidate':>11}{'apart':>9}{'noise':>9}"


def describe(comparison: Comparison) -> str:
    """The candidates one after the other, each with its aspects and what they add up to."""
    lines = [f"reference {comparison.reference}: {show_count(comparison.requests)} requests"]
    for candidate in comparison.candidates:
        lines += ["", *_candidate(candidate)]
    lines += ["", "apart: how far from the reference. noise: 95 % of pairs of draws from the reference are less apart."]
    return "\n".join(lines)


def _candidate(candidate: Candidate) -> Iterator[str]:
    yield f"{candidate.name}: {show_count(candidate.requests)} requests"
    yield _HEAD
    for aspect in candidate.aspects:
        figures = "".join(f"{_number(x):>11}" for x in (aspect.reference, aspect.candidate))
        distances = "".join(f"{_number(x):>9}" for x in (aspect.distance, aspect.noise))
        yield f"  {aspect.what:<58}{figures}{distances}  {verdict(aspect)}"
    same = sum(aspect.verdict == "indistinguishable" for aspect in candidate.aspects)
    judged = sum(aspect.verdict != "cannot be said" for aspect in candidate.aspects)
    yield f"  indistinguishable at this sample size in {same} of {judged} aspects"


def verdict(aspect: Aspect) -> str:
    """``indistinguishable``, or how many times the noise the distance is."""
    if aspect.verdict == "differs" and aspect.noise > 0:
        return f"off by {aspect.distance / aspect.noise:.1f}× the noise"
    return aspect.verdict


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "–"
