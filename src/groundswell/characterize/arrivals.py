"""When requests come: rate and burstiness over time, families of gaps, dispersion over scales, rhythm."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from groundswell.characterize._dispersion import Counts, autocorrelation, rate_series
from groundswell.characterize._gaps import WindowArrivals, best_and_accepted, clock_tick_s, gap_curve, gap_windows
from groundswell.characterize._rhythm import Hours, rhythm
from groundswell.characterize._shift import cv_shift, rate_shift, shift_by_chance
from groundswell.characterize._windows import Windows, mean_cv, series
from groundswell.characterize.figures import ArrivalFigures, Series
from groundswell.characterize.setting import Setting
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve
from groundswell.table import Workload


@dataclass(frozen=True, eq=False)
class Fold:
    """What is known of the arrivals of consecutive blocks. ``a + b`` is that of a's blocks and then b's.

    Memory grows with the windows and hours of the span in which something arrives, not with the requests.
    """

    windows: Windows = field(default_factory=Windows)
    kept: WindowArrivals = field(default_factory=WindowArrivals)
    counts: Counts = field(default_factory=Counts)
    hours: Hours = field(default_factory=Hours)

    @classmethod
    def of(cls, block: Workload, setting: Setting) -> Fold:
        """The arrivals of one block."""
        if not len(block):
            return cls()
        arrival_s = block.arrival_s
        windows = Windows.of(arrival_s, setting.window_s)
        return cls(windows, WindowArrivals.of(arrival_s, windows), Counts.of(arrival_s), Hours.of(arrival_s, setting))

    def __add__(self, other: Fold) -> Fold:
        windows = self.windows + other.windows
        kept = self.kept.joined(other.kept, windows)
        return Fold(windows, kept, self.counts + other.counts, self.hours + other.hours)

    def finish(self, setting: Setting, sample: pl.DataFrame) -> ArrivalFigures | None:
        """The figures; the ``sample`` of rows tells the clock's resolution. None if nothing arrived."""
        windows = self.windows
        if not windows.number.size:
            return None
        requests = int(windows.size.sum())
        first_s, last_s = windows.first_s, windows.last_s
        tick_s = clock_tick_s(windows.zeros / max(requests - 1, 1), self.kept, sample["arrival_s"].to_numpy())
        example, tested = gap_windows(self.kept, windows, setting.seed)
        best, accepted = best_and_accepted(tested)
        jitter = self.counts.jitter()
        found = rhythm(self.hours, first_s, last_s, jitter, setting)
        a_window = requests * setting.window_s / max(last_s - first_s, setting.window_s)
        return ArrivalFigures(
            requests=requests,
            span_s=last_s - first_s,
            window_s=setting.window_s,
            rate_per_s=self.counts.rate_per_s(first_s, last_s),
            cv=_if_told(mean_cv(windows), tick_s),
            rate=_finer(rate_series(self.counts), series(windows, "rate")),
            window_cv=series(windows, "cv"),
            example=example,
            example_gaps=gap_curve(self.kept.of_busiest(windows)) if example else Curve(),
            windows=tested,
            best=best,
            accepted=accepted,
            dispersion=self.counts.dispersion(tick_s),
            autocorrelation=autocorrelation(self.counts, tick_s),
            day=found.day,
            day_ratio=found.day_ratio,
            day_strength=found.day_strength,
            week=found.week,
            week_strength=found.week_strength,
            rate_shift=rate_shift(windows),
            cv_shift=_if_told(cv_shift(windows), tick_s),
            tick_s=tick_s,
            rate_shift_by_chance=shift_by_chance(a_window, jitter),
        )


def _finer(a: Series, b: Series) -> Series:
    """The one with more points."""
    return a if a.start_s.size > b.start_s.size else b


def _if_told(cv: Estimate, tick_s: float) -> Estimate:
    """``cv``, without an interval where the clock lost gaps: those of a Poisson process look bursty then, and how much
    so is decided by the clock.
    """
    return Estimate(cv.value, n=cv.n) if tick_s else cv
