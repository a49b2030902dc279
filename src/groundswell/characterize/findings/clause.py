"""What a finding claims of one figure, and what a sample of traffic can say of it: yes, no, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from groundswell.stats.estimate import Estimate

Verdict = Literal["holds", "does not hold", "cannot be said"]


@dataclass(frozen=True)
class Clause:
    """One thing that a finding claims, and its verdict.

    >>> above("the CV", Estimate(1.3, 1.1, 1.5), 1.0).verdict
    'holds'
    >>> above("the CV", Estimate(1.3, 0.9, 1.7), 1.0)
    Clause(verdict='cannot be said', why='the interval of the CV, 0.9 to 1.7, reaches across the bound 1')
    >>> above("the CV", Estimate(0.9, 0.8, 1.1), 1.0).verdict
    'does not hold'
    """

    verdict: Verdict
    why: str = ""
    """Why it cannot be said."""


def above(what: str, estimate: Estimate, bound: float) -> Clause:
    """That the figure called ``what`` lies above ``bound``."""
    return _on_its_side(what, estimate, bound, estimate.value > bound, estimate.above(bound))


def below(what: str, estimate: Estimate, bound: float) -> Clause:
    """That the figure called ``what`` lies below ``bound``."""
    return _on_its_side(what, estimate, bound, estimate.value < bound, estimate.below(bound))


def simply(so: bool) -> Clause:
    """What has no interval: the outcome of a test, or how near a family lies."""
    return Clause("holds" if so else "does not hold")


def all_of(*clauses: Clause) -> Clause:
    """One that does not hold is enough against all; else one that cannot be said leaves all unsaid."""
    for verdict in ("does not hold", "cannot be said"):
        for clause in clauses:
            if clause.verdict == verdict:
                return clause
    return Clause("holds")


def _on_its_side(what: str, estimate: Estimate, bound: float, figure: bool, whole: bool) -> Clause:
    if whole or not figure:
        return simply(figure)
    if np.isnan(estimate.low) or np.isnan(estimate.high):
        return Clause("cannot be said", f"{what} has no interval")
    between = f"{estimate.low:.3g} to {estimate.high:.3g}"
    return Clause("cannot be said", f"the interval of {what}, {between}, reaches across the bound {bound:.3g}")
