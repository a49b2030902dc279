"""The traffic of a pool of clients, drawn as often as a plan needs it, at any share of its rate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from groundswell.clients import ClientPool
from groundswell.compose import Composition, Talking, compose
from groundswell.rates import Curve, Factor, Rate, parse_rate
from groundswell.table import Workload

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PoolTraffic:
    """What a pool's clients send at a rate, from ``start_s`` on their clock for ``duration_s``."""

    pool: ClientPool
    rate: str
    duration_s: float | None
    start_s: float | None
    talking: Talking | None = None

    def composed(self, seed: int) -> Composition:
        """All of it."""
        return compose(self.pool, self.rate, self.duration_s, seed, start_s=self.start_s, talking=self.talking)

    def drawn(self, share: float, begin_s: float, end_s: float, seed: int) -> Workload:
        """A ``share`` of every client's rate, from ``begin_s`` to ``end_s`` of the run; time counts from there on."""
        start_s = self.pool.covered_s[0] if self.start_s is None else self.start_s
        rate = _Share(_later(parse_rate(self.rate), begin_s), share)
        drawn = compose(
            self.pool, rate, end_s - begin_s, seed, start_s=start_s + begin_s, talking=self.talking, workers=1
        )
        return drawn.collect()


@dataclass(frozen=True)
class _Share:
    """So many times a rate."""

    whole: Rate
    share: float

    @property
    def fills_gaps(self) -> bool:
        return self.whole.fills_gaps

    def factor(self, edge_s: Floats, total_per_s: Floats) -> Factor:
        """The whole's, times the share."""
        made = self.whole.factor(edge_s, total_per_s)
        return replace(made, left=self.share * made.left, right=self.share * made.right)


def _later(rate: Rate, begin_s: float) -> Rate:
    """A rate as a run sees it that begins so much later: only a curve says when."""
    if isinstance(rate, Curve):
        return Curve(tuple(at_s - begin_s for at_s in rate.time_s), rate.rate_per_s)
    return rate
