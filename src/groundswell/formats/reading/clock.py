"""What the times of a trace can be trusted for: their unit, and how finely they are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.formats.reading.order import by_time
from groundswell.formats.reading.outcome import Reading
from groundswell.formats.reading.ticks import spread, tick_of

Floats = NDArray[np.float64]

_LATEST_S = 1e11
_SLOW_GAP_S = 100.0
_FAST_PER_S = 20_000.0
_ENOUGH = 100


@dataclass(frozen=True)
class Clock:
    """How the times of ``column`` are looked at, and whether ticks are spread."""

    where: str
    column: str
    dequantise: bool
    sure_of_unit: bool

    def told(
        self, frames: Iterable[pl.DataFrame], reading: Reading, metadata: dict[str, Any]
    ) -> Iterator[pl.DataFrame]:
        """Each frame in order of time, its ticks spread if that is wanted; judged by the first frame."""
        tick_s: float | None = None
        for i, frame in enumerate(frames):
            ordered = by_time(frame)
            if ordered is not frame:
                reading.note_late()
            time = ordered["arrival_s"].to_numpy()
            if i == 0:
                self._check_unit(time, reading)
                tick_s = self._find_tick(time, reading, metadata)
            if tick_s is not None and self.dequantise:
                spread_out = spread(time, ordered["line"].to_numpy(), tick_s)
                ordered = ordered.with_columns(pl.Series("arrival_s", spread_out))
            yield ordered

    def _find_tick(self, time: Floats, reading: Reading, metadata: dict[str, Any]) -> float | None:
        tick_s = reading.tick_s = tick_of(time)
        if tick_s is None:
            if self.dequantise:
                reading.note("No tick was found in the times, so none was spread.")
            return None
        metadata["tick_s"] = tick_s
        if self.dequantise:
            metadata["dequantised"] = True
            reading.note(f"Times were told in ticks of {tick_s:g} s; the rows of each are spread over it at random.")
        else:
            reading.note(
                f"Times are told in ticks of {tick_s:g} s, and many rows share one: gaps and bursts below that are not "
                f"in the data. --dequantise spreads the rows of a tick over it."
            )
        return tick_s

    def _check_unit(self, time_s: Floats, reading: Reading) -> None:
        """Note what looks wrong. Raises UsageError for times that as seconds would lie thousands of years ahead."""
        latest_s = float(np.abs(time_s[[0, -1]]).max())
        if latest_s >= _LATEST_S:
            raise UsageError(
                f"{self.where}: column {self.column!r} goes up to {latest_s:.4g} s, which looks like Unix time in a "
                f"smaller unit; say so (--map arrival={self.column} --time-unit ms)"
            )
        span_s = float(time_s[-1] - time_s[0])
        if self.sure_of_unit or time_s.size < _ENOUGH or not span_s:
            return
        gap_s = span_s / (time_s.size - 1)
        if gap_s > _SLOW_GAP_S and bool((time_s == np.round(time_s)).all()):
            reading.note(
                f"Times are taken for seconds: that is one request in {gap_s:.4g} s. If they are milliseconds, say so "
                f"(--map arrival={self.column} --time-unit ms)."
            )
        if 1 / gap_s > _FAST_PER_S:
            reading.note(
                f"That is {1 / gap_s:,.0f} requests a second; if times are in a larger unit than was taken, say so "
                f"(--map arrival={self.column} --time-unit s)."
            )
