"""How replies think."""

from __future__ import annotations

from dataclasses import dataclass

from groundswell.characterize.figures.lengths import Field
from groundswell.characterize.figures.shared import Band
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve


@dataclass(frozen=True, eq=False)
class ReasoningFigures:
    """How replies think (ServeGen's findings 9 and 11, figures 13 and 17)."""

    share: Estimate
    """Of requests that reason at all."""
    reason: Field
    answer: Field
    times: Estimate
    """Tokens of reasoning over tokens of answer, in total."""
    spearman: Estimate
    """Rank correlation of reason and answer lengths."""
    ratio: Curve
    """Histogram of reason over output: the share of requests (y) in each of 50 equal parts of 0…1 (x: the middle)."""
    ratio_periods: tuple[tuple[float, Curve], ...]
    """The same in at most four periods: (start, histogram)."""
    ratio_clients: tuple[tuple[str, Curve], ...]
    """The same of the four busiest clients."""
    modes: tuple[float, ...]
    """Where the histogram has its modes."""
    dip: float
    """Hartigan's dip statistic of the ratio."""
    dip_p: float
    """The odds of as large a dip from one mode."""
    by_reason: Band
    """Median and 90 % band of the answer, against the reason tokens."""
