"""Who sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan

from groundswell.characterize.figures.shared import Series
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve


@dataclass(frozen=True, eq=False)
class Client:
    """One of the busiest clients, alone."""

    name: str
    requests: int
    share: float
    rate_per_s: float
    cv: float
    mean_input: float
    mean_output: float
    rate: Series
    input: Series
    output: Series
    input_drift: float
    """Spread of its own mean input over periods: CV of the period means, sampling noise removed."""
    output_drift: float


@dataclass(frozen=True, eq=False)
class ClientFigures:
    """Who sends (ServeGen's findings 5 and 11, figures 5 to 7 and 17)."""

    count: int
    what: str
    """What a "client" is in this trace: the column it was taken from."""
    top_share: dict[int, Estimate]
    """The share of requests of the k busiest, for k = 1, 4, 10, 100 as far as there are so many."""
    gini: Estimate
    needed: dict[int, int]
    """How many clients make 50, 90 and 99 % of the requests."""
    skew: Curve
    """Cumulative share of requests (y) of the x busiest clients."""
    rate_cdf: Curve
    """Over clients weighted by requests: cumulative share against the client's rate per second."""
    cv_cdf: Curve
    """… against the CV of the client's own gaps (request-weighted mean over its windows)."""
    input_cdf: Curve
    output_cdf: Curve
    bursty_share: Estimate
    """The share of requests that come from clients whose CV is above 1.2 (clients with at least 50 requests only)."""
    top: tuple[Client, ...]
    """The four busiest."""
    explained: dict[int, Estimate]
    """The share of the variance of the total rate over windows that the k busiest explain (covariance of their sum with
    the total, over the variance of the total), for k = 1, 5, 10."""
    own_drift: Estimate
    """How far a client's own mean input moves over periods, the median over the clients that hold 90 % of requests."""
    whole_drift: Estimate
    """How far the mean input of the whole moves over the same periods."""
    mix_explains: Estimate
    """The share of the variance of the whole's mean input over periods that is left when every client keeps its own
    all-time mean and only the mix of clients moves."""
    window_s: float = 0.0
    """The windows that CVs and explained variances are over: the setting's, shorter for a trace of few hours, longer
    where memory asked for it."""
    period_s: float = 0.0
    """The periods that drifts are over: the setting's at most."""
    cv_known: float = nan
    """The share of requests that come from clients of whom there is a CV."""
    window_cv_cdf: Curve = field(default_factory=Curve)
    """As ``cv_cdf``, of single windows of clients with at least 10 gaps: a client that bursts now and then is calm
    in most of them."""
