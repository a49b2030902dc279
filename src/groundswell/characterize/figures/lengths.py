"""How long prompts and replies are."""

from __future__ import annotations

from dataclasses import dataclass

from groundswell.characterize.figures.shared import Band, Series
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve, Fit


@dataclass(frozen=True, eq=False)
class Period:
    """One stretch of time: the field's mean and quantiles there."""

    start_s: float
    n: int
    mean: Estimate
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, eq=False)
class Field:
    """The distribution of one kind of length over all requests that have it."""

    name: str
    n: int
    mean: Estimate
    p50: Estimate
    p90: Estimate
    p99: Estimate
    most: float
    cv: Estimate
    histogram: Curve
    """The share of requests (y) in buckets of equal ratio, against the bucket's middle (x)."""
    tail: Curve
    """The share of requests of at least x tokens."""
    fits: tuple[Fit, ...]
    """lognormal, pareto, pareto+lognormal, exponential, gamma, zipf: first the one they ask for, each with its curve at
    the x of ``cdf``; parameters carry the names that :mod:`groundswell.lengths` uses."""
    cdf: Curve
    periods: tuple[Period, ...]
    shift: Estimate
    """Largest over smallest mean of a period."""
    series: Series
    """The mean over time."""


@dataclass(frozen=True, eq=False)
class LengthFigures:
    """How long prompts and replies are (ServeGen's findings 3 and 4, figures 3 and 4)."""

    fields: dict[str, Field]
    """``input`` and ``output``."""
    spearman: Estimate
    """Rank correlation of input and output over all requests."""
    by_input: Band
    """Median and 90 % band of the output, against the input (bins of equal ratio, their geometric middle)."""
    zipf_exponent: Estimate
    """The exponent s of BurstGPT's Zipf law fitted to the input lengths by maximum likelihood."""
    output_modes: Estimate
    """Hartigan's dip of the log output lengths; ``output_dip_p`` is the odds of as large a dip with one mode."""
    output_dip_p: float
    together: Estimate
    """Correlation, over periods, of the change of mean input with that of mean output: independent shifts give 0."""
