"""How far a simulation is from what was observed, as one number."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.gap_buckets import gap_of
from groundswell.routing import ROUTING
from groundswell.simulate.observed import Observed
from groundswell.simulate.parts import Engine, Fleet, Pool, StepCost
from groundswell.simulate.serving import serve
from groundswell.simulate.world import Asked, served_of, world_of

Floats = NDArray[np.float64]

NEIGHBOURS = 10
"""So many requests that came one after the other are held against their simulation together. What becomes of a single
one is chance as soon as memory is short: a little sooner or later, and another one is preempted."""
_GOOD = (("tpot_s", 0.02, 0.0), ("e2e_s", 0.02, 0.0), ("ttft_s", 0.05, 5e-3))
"""How far a good simulation may be off for so many, as a share of them and so many seconds more."""
GAP_OFF = 0.05
"""The same of quantiles of all gaps."""
SHIFTED = 4
"""Simulations whose mean is taken."""
_GAP_QUANTILES = (0.5, 0.9)


@dataclass(frozen=True, eq=False)
class Times:
    """What came of requests, [N] each in seconds from when the first one came; quantiles of the gaps between tokens
    before some moment, nan where they are not known."""

    ttft_s: Floats
    tpot_s: Floats
    e2e_s: Floats
    gaps_s: Floats


@dataclass(frozen=True, eq=False)
class Misfit:
    """Of simulations from what was observed, over the first ``seen`` requests. All requests are simulated: the others
    are there and take time, too."""

    observed: Observed
    asked: Asked
    engine: Engine
    seen: int
    shifted: tuple[Floats, ...]
    """Other times at which the requests could have come as well."""

    @classmethod
    def of(cls, observed: Observed, engine: Engine, seen: int) -> Misfit:
        """Raises UsageError where a request was served that the engine has no memory for."""
        asked = Asked.of(observed.workload)
        longest = int((asked.prompt + asked.output).max())
        if longest > engine.most_context:
            raise UsageError(
                f"a request of {longest:,} tokens was served, but the engine would have memory for "
                f"{engine.most_context:,} only: say how many blocks of keys and values it has"
            )
        return cls(observed, asked, engine, seen, _shifted(observed, seen))

    def real(self) -> Times:
        """What was observed."""
        o = self.observed
        gap_s = o.gap_s[o.gap_ended_s <= self._until_s]
        gaps_s = np.quantile(gap_s, _GAP_QUANTILES) if gap_s.size else np.full(len(_GAP_QUANTILES), np.nan)
        return _times(o.came_s, o.first_s, o.done_s, o.output, gaps_s)

    def simulated(self, cost: StepCost) -> Times:
        """The same requests at the same times on an engine whose steps cost ``cost``."""
        return self._at(self.asked.arrival_s, cost)

    def expected(self, cost: StepCost) -> Times:
        """The mean over simulations in which the requests came a little sooner or later."""
        times = [self._at(came_s, cost) for came_s in self.shifted]
        return Times(*(np.mean([getattr(one, name) for one in times], axis=0) for name in Times.__dataclass_fields__))

    def _at(self, came_s: Floats, cost: StepCost) -> Times:
        order = np.argsort(came_s, kind="stable")
        asked = replace(
            self.asked, arrival_s=came_s[order], prompt=self.asked.prompt[order], output=self.asked.output[order]
        )
        fleet = Fleet((Pool(replace(self.engine, cost=cost), 1),), ROUTING.build("round_robin"))
        world = world_of(asked, fleet)
        serve(world, fleet.router.state(served_of(asked, fleet, 0)), np.inf)
        first_s, done_s = np.empty(order.size), np.empty(order.size)
        first_s[order], done_s[order] = world.requests["first_s"], world.requests["done_s"]
        known = np.arange(len(world.gaps)) * world.stretch_s[0] < self._until_s
        return _times(came_s, first_s, done_s, self.observed.output, _quantiles(world.gaps[known].sum(axis=0)))

    def off(self, real: Times, simulated: Times) -> Floats:
        """How far a simulation is off on the first requests, in units of what is good: rows of means of neighbours of
        TPOT, latency and TTFT, and of gaps between tokens; nan where there is nothing to compare."""
        edges = np.arange(0, max(self.seen - NEIGHBOURS, 0) + 1, NEIGHBOURS)
        rows = np.full((4, max(edges.size, len(_GAP_QUANTILES))), np.nan)
        for row, (name, good, least_s) in zip(rows, _GOOD, strict=False):
            ours, theirs = (_means(getattr(times, name)[: self.seen], edges) for times in (simulated, real))
            row[: edges.size] = _log_ratio(ours + least_s, theirs + least_s) / good
        rows[-1, : len(_GAP_QUANTILES)] = _log_ratio(simulated.gaps_s, real.gaps_s) / GAP_OFF
        return rows

    @property
    def _until_s(self) -> float:
        """When the first request came that is not seen."""
        return float(self.observed.came_s[self.seen]) if self.seen < len(self.observed) else np.inf


def _shifted(observed: Observed, seen: int) -> tuple[Floats, ...]:
    """Whoever comes just before a step begins waits for nothing, and whoever comes just after waits for all of it. So
    a single simulation is a matter of chance, and jumps as steps become longer; some that are shifted by parts of a
    step are not."""
    took_s, tokens = (observed.done_s - observed.first_s)[:seen], observed.output[:seen]
    step_s = float(np.median(took_s / np.maximum(tokens - 1, 1)))
    draw = np.random.default_rng(0).uniform(-0.5, 0.5, (SHIFTED, len(observed)))
    return tuple(np.maximum(observed.came_s + step_s * by, 0.0) for by in draw)


def _times(came_s: Floats, first_s: Floats, done_s: Floats, output: Floats, gaps_s: Floats) -> Times:
    """Of a reply whose tokens came all at once, only its end is known."""
    several, parts = output > 1, done_s > first_s
    tpot_s = np.where(several & parts, (done_s - first_s) / np.maximum(output - 1, 1), np.nan)
    return Times(np.where(several & ~parts, np.nan, first_s - came_s), tpot_s, done_s - came_s, gaps_s)


def _log_ratio(ours: Floats, theirs: Floats) -> Floats:
    """nan where one of them is no time: of tokens that came together nobody knows how far apart they were."""
    known = (ours > 0.0) & (theirs > 0.0)
    return np.log(np.where(known, ours, np.nan) / np.where(known, theirs, np.nan))


def _means(values: Floats, edges: NDArray[np.int64]) -> Floats:
    """Of those between the edges that are known; nan where none is."""
    known = np.isfinite(values)
    count = np.add.reduceat(known.astype(float), edges)
    total = np.add.reduceat(np.where(known, values, 0.0), edges)
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def _quantiles(counts: NDArray[np.int64]) -> Floats:
    """Of gaps that are counted in buckets."""
    running = np.cumsum(counts)
    if not running[-1]:
        return np.full(len(_GAP_QUANTILES), np.nan)
    return gap_of(np.searchsorted(running, np.array(_GAP_QUANTILES) * running[-1]))
