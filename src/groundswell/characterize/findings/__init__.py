"""The findings of ServeGen and BurstGPT, and whether this trace shows them too.

Each finding is one rule over the figures: it holds where the whole 95 % interval is on the claimed side, does not hold
where the figure is not, and cannot be said where the interval reaches across the bound, or the trace lacks what the
finding is about. The rules and their thresholds are listed in docs/findings.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from groundswell.characterize.findings import burstgpt, servegen
from groundswell.characterize.findings.clause import Verdict
from groundswell.stats.estimate import Estimate

if TYPE_CHECKING:
    from groundswell.characterize.engine import Characterization


@dataclass(frozen=True, eq=False)
class Finding:
    """What the paper says, whether this trace shows it, by which figure, and what the paper's figure is."""

    key: str
    statement: str
    verdict: Verdict
    figure: str
    """What this trace has, with intervals; a dash where it has nothing of the kind."""
    estimate: Estimate
    paper: str
    why: str
    """The rule in words, or why it cannot be said: what the trace lacks, or which interval reaches across its bound."""


def findings(whole: Characterization) -> Iterator[Finding]:
    """All findings, in the papers' order: S1 to S11 are ServeGen's, B1 to B5 BurstGPT's."""
    for rule in (*servegen.RULES, *burstgpt.RULES):
        found = rule.judge(whole)
        yield Finding(rule.key, rule.statement, found.verdict, found.figure, found.estimate, rule.paper, found.why)
