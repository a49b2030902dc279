"""Which requests failed."""

from __future__ import annotations

from dataclasses import dataclass

from groundswell.characterize.figures.shared import Band, Series
from groundswell.stats.estimate import Estimate


@dataclass(frozen=True, eq=False)
class FailureFigures:
    """Requests that failed (BurstGPT's figures on failures)."""

    failed: int
    rate: Estimate
    """Failed over all."""
    by_model: dict[str, Estimate]
    by_client: dict[str, Estimate]
    """The ten busiest."""
    over_time: Series
    by_load: Band
    """The failure rate, with its interval, against the requests per second of the minute it fell in (deciles)."""
    load_ratio: Estimate
    """The failure rate in the busiest tenth of minutes (by requests) over that in the rest: above 1 where failures come
    with bursts."""
    load_s: float = 60.0
    """How long such a minute is: longer for a trace of more than six weeks."""
