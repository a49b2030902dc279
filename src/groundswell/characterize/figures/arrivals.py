"""When requests come."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from groundswell.characterize.figures.shared import Band, Series
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve, Fit


@dataclass(frozen=True, eq=False)
class GapWindow:
    """The inter-arrival times of one window: ``n`` of them, and the families fitted, first the one they ask for."""

    start_s: float
    n: int
    rate_per_s: float
    cv: float
    fits: tuple[Fit, ...]


@dataclass(frozen=True, eq=False)
class ArrivalFigures:
    """When requests come (ServeGen's findings 1 and 2, figures 1 and 2)."""

    requests: int
    span_s: float
    window_s: float
    rate_per_s: Estimate
    cv: Estimate
    """The CV of the gaps within windows, averaged with the windows' requests as weights."""
    rate: Series
    window_cv: Series
    example: GapWindow | None
    """The window with most requests: its fits have curves."""
    example_gaps: Curve
    """The empirical distribution of that window's gaps, in seconds."""
    windows: tuple[GapWindow, ...]
    """The windows that were tested, spread evenly over the trace: at most 48."""
    best: dict[str, float]
    """For each family the share of tested windows that ask for it (:func:`groundswell.stats.fits.fit`)."""
    accepted: dict[str, float]
    """For each family the share of tested windows in which the bootstrap does not reject it at 5 %."""
    dispersion: Band
    """Index of dispersion of counts (variance over mean) against the scale in seconds, 0.1 s to an hour as far as the
    trace allows. 1 at every scale for a Poisson process."""
    autocorrelation: Band
    """Of the number of requests per stretch, against the lag in seconds; low and high are the band of a series without
    any correlation."""
    day: Band
    """Rate per second against the hour of the day (0.5 … 23.5); empty where the trace does not say or is too short."""
    day_ratio: Estimate
    """Rate of the busiest hour of the day over that of the quietest: nan unless the trace sees the whole day."""
    day_strength: Estimate
    """Share of the variance of the hourly rate that the hour of the day explains; needs two days."""
    week: Series
    """Rate per second in each hour of the mean week (168 values); empty for less than a week."""
    week_strength: Estimate
    """Share of the variance of the hourly rate that the hour of the week explains beyond that of the day; two weeks."""
    rate_shift: Estimate
    """The ratio of the 95th to the 5th percentile of the windows' rates."""
    cv_shift: Estimate
    """The same of the windows' CVs, of windows with at least 100 requests."""
    tick_s: float
    """The clock's resolution if gaps below it were lost (at least a tenth of gaps are 0 and the rest are multiples of
    it); 0 if arrivals are continuous."""
    rate_shift_by_chance: float = nan
    """What ``rate_shift`` would be at a constant rate, with arrivals as uneven as they are from one stretch of five to
    ten minutes to the next."""
