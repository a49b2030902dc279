"""A rule: a finding as a paper states it, and how the figures of a trace are held against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groundswell.characterize.findings.clause import Clause, Verdict, all_of
from groundswell.stats.estimate import Estimate

if TYPE_CHECKING:
    from groundswell.characterize.engine import Characterization

FEW_REQUESTS = 200
"""Fewer requests say nothing of a distribution."""
NEAR_KS = 0.10
"""A distribution this near to a family is of it; ServeGen's public pools' outputs are .06 to .40 from exponentials."""
ODDS = 0.05
"""Below these odds a hypothesis is rejected."""


@dataclass(frozen=True)
class Judged:
    """A verdict, the figure in words and as an estimate, and why."""

    verdict: Verdict
    figure: str
    estimate: Estimate
    why: str


Judge = Callable[["Characterization"], Judged]


@dataclass(frozen=True)
class Rule:
    """A finding in words, what the paper's figure is, and what judges a trace."""

    key: str
    statement: str
    paper: str
    judge: Judge


def rule_of(rules: list[Rule], key: str, statement: str, paper: str) -> Callable[[Judge], Judge]:
    """Adds what it decorates to ``rules``."""

    def keep(judge: Judge) -> Judge:
        rules.append(Rule(key, statement, paper, judge))
        return judge

    return keep


def silent(why: str) -> Judged:
    """The trace lacks what the finding is about, so it has no figure."""
    return Judged("cannot be said", "–", Estimate(), why)


def unsaid(figure: str, estimate: Estimate, why: str) -> Judged:
    """There is a figure, but too little to judge it."""
    return Judged("cannot be said", figure, estimate, why)


def judged(figure: str, estimate: Estimate, rule: str, *clauses: Clause) -> Judged:
    """The verdict of all ``clauses``, which ``rule`` states in words."""
    found = all_of(*clauses)
    return Judged(found.verdict, figure, estimate, found.why or rule)


def shown(estimate: Estimate, digits: int = 2) -> str:
    """A figure with its interval: ``1.31 [1.22, 1.40]``."""
    if not np.isfinite(estimate.value):
        return "–"
    text = f"{estimate.value:.{digits}f}"
    return f"{text} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]" if estimate.known else text


def odds(p: float) -> str:
    """``p .012``, or ``p < .001``."""
    return f"p {p:.2g}" if p >= 0.001 else "p < .001"


def best_family(shares: dict[str, float]) -> str:
    """``gamma best in 80% of windows``."""
    name = max(shares, key=lambda family: shares[family])
    return f"{name} best in {shares[name]:.0%} of windows"
