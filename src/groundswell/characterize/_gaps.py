"""The gaps between arrivals, of some windows: which family they follow, and whether the clock is too coarse to say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from groundswell.characterize._windows import Windows
from groundswell.characterize.figures import GapWindow
from groundswell.stats.fits import Curve, fit

Floats = NDArray[np.float64]

FAMILIES = ("exponential", "gamma", "weibull", "lognormal", "pareto")
MOST_GAPS = 2_000
"""Of a window its first so many gaps are looked at: they follow on each other, so that a slow change of the rate within
the window does not make them look mixed."""
FEWEST_GAPS = 50
"""A window with fewer says nothing of a family."""
MOST_TESTED = 32
REPLICATES = 99
REJECTED_BELOW = 0.05
_KEPT = 2 * MOST_TESTED
_GOLDEN = (np.sqrt(5) - 1) / 2
_CURVE_POINTS = 200
_GAPS_FOR_TICK = 20


def _lot(number: NDArray[np.int64]) -> Floats:
    """A number in [0, 1) for each window. Those below any bound are spread as evenly as can be, and never in step with
    a period of the trace: multiples of the golden ratio have gaps of at most three lengths (Steinhaus's theorem)."""
    return np.asarray((number * _GOLDEN) % 1.0)


@dataclass(frozen=True, eq=False)
class WindowArrivals:
    """The first arrivals of some windows, by the windows' numbers: of the first, the last and the busiest, and of those
    whose lot is below ``2**-level``, of which there are at most 64."""

    level: int = 0
    arrivals: dict[int, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, arrival_s: Floats, windows: Windows) -> WindowArrivals:
        """Those of the ``windows`` of ``arrival_s``."""
        level = _level(windows.number, 0)
        end = np.cumsum(windows.size)
        arrivals = {
            int(windows.number[i]): arrival_s[end[i] - windows.size[i] : end[i]][: MOST_GAPS + 1].copy()
            for i in np.flatnonzero(_chosen(windows, level))
        }
        return cls(level, arrivals)

    def joined(self, other: WindowArrivals, windows: Windows) -> WindowArrivals:
        """Those of both, the other's later in time; ``windows`` are all windows of both."""
        if not self.arrivals or not other.arrivals:
            return other if not self.arrivals else self
        both = {**self.arrivals, **other.arrivals}
        for number in self.arrivals.keys() & other.arrivals.keys():
            both[number] = np.concatenate([self.arrivals[number], other.arrivals[number]])[: MOST_GAPS + 1]
        level = max(self.level, other.level)
        numbers = np.array(sorted(both), np.int64)
        level = _level(numbers, level)
        keep = windows.number[_chosen(windows, level)].tolist()
        return WindowArrivals(level, {number: both[number] for number in keep})

    def of_busiest(self, windows: Windows) -> Floats:
        """The gaps of the window with most requests."""
        return np.diff(self.arrivals[windows.busiest])

    def tested(self) -> list[int]:
        """The windows to test, spread evenly over those that were kept fairly and have enough gaps."""
        numbers = np.array([w for w, at in sorted(self.arrivals.items()) if at.size > FEWEST_GAPS], np.int64)
        numbers = numbers[_lot(numbers) < 2.0**-self.level]
        if numbers.size > MOST_TESTED:
            numbers = numbers[np.linspace(0, numbers.size - 1, MOST_TESTED).round().astype(int)]
        return [int(number) for number in numbers]


def _level(number: NDArray[np.int64], level: int) -> int:
    lot = _lot(number)
    while (lot < 2.0**-level).sum() > _KEPT:
        level += 1
    return level


def _chosen(windows: Windows, level: int) -> NDArray[np.bool_]:
    chosen = _lot(windows.number) < 2.0**-level
    chosen[[0, -1, int(windows.size.argmax())]] = True
    return chosen


def gap_windows(kept: WindowArrivals, windows: Windows, seed: int) -> tuple[GapWindow | None, tuple[GapWindow, ...]]:
    """The busiest window, with curves, if it has enough gaps; and the windows that were tested."""
    cv, rate = windows.cv(), windows.rate_per_s()

    def window(number: int, curves: bool = False) -> GapWindow:
        gaps = np.diff(kept.arrivals[number])
        at = gap_curve(gaps).x if curves else None
        fits = fit(gaps, FAMILIES, at, REPLICATES, seed)
        i = int(np.searchsorted(windows.number, number))
        return GapWindow(number * windows.window_s, gaps.size, float(rate[i]), float(cv[i]), fits)

    # The fits are machine code that leaves the interpreter to others.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        tested = threads.map(window, kept.tested())
        example = window(windows.busiest, curves=True) if kept.of_busiest(windows).size >= FEWEST_GAPS else None
        return example, tuple(tested)


def gap_curve(gaps: Floats) -> Curve:
    """The share of gaps up to x, at no more than 200 of them."""
    ordered = np.sort(gaps)
    x = np.unique(ordered[np.linspace(0, ordered.size - 1, min(_CURVE_POINTS, ordered.size)).round().astype(int)])
    return Curve(x, np.searchsorted(ordered, x, side="right") / ordered.size)


def best_and_accepted(tested: Sequence[GapWindow]) -> tuple[dict[str, float], dict[str, float]]:
    """For each family the share of windows that it fits best by AIC, and of those in which it is not rejected."""
    fitted = [window.fits for window in tested if window.fits]
    if not fitted:
        return {}, {}
    best = {name: float(np.mean([fits[0].family == name for fits in fitted])) for name in FAMILIES}
    accepted = {
        name: float(np.mean([any(f.family == name and f.p >= REJECTED_BELOW for f in fits) for fits in fitted]))
        for name in FAMILIES
    }
    return best, accepted


def clock_tick_s(zero_share: float, kept: WindowArrivals, sampled_s: Floats) -> float:
    """The resolution of the clock that the arrivals were read from, 0 if it is finer than the gaps.

    A clock hides gaps if a tenth of them is 0, nearly all others are multiples of a tick (to a hundredth of it, since
    some clocks tick unevenly), and the tick is no less than a tenth of the mean gap: else what arrives at once arrives
    at once. Gaps are those of the windows that were ``kept``, or of the arrivals ``sampled_s`` where windows are too
    short to have any.
    """
    gaps = np.concatenate([np.zeros(0), *(np.diff(arrivals) for arrivals in kept.arrivals.values())])
    if (gaps > 0).sum() < _GAPS_FOR_TICK:
        gaps = np.diff(sampled_s)
    apart = gaps[gaps > 0]
    if zero_share < 0.1 or apart.size < _GAPS_FOR_TICK:
        return 0.0
    least = float(np.quantile(apart, 0.01, method="inverted_cdf"))
    tick = float(np.median(apart[apart < 1.5 * least]))
    ticks = np.maximum(np.round(apart / tick), 1.0)
    tick = float(apart @ ticks / (ticks @ ticks))
    off = np.abs(apart - ticks * tick) > 0.01 * tick
    return float(f"{tick:.4g}") if off.mean() < 0.01 and tick >= 0.1 * gaps.mean() else 0.0
