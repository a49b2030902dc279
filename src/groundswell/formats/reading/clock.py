"""What the times of a trace can be trusted for: their unit, and how finely they are told."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.formats.reading.check import LATEST_S
from groundswell.formats.reading.order import by_time
from groundswell.formats.reading.outcome import Reading
from groundswell.formats.reading.ticks import spread, tick_of

Floats = NDArray[np.float64]

NO_TICK = "No tick was found in the times, so none was spread."
"""What is noted where ticks should be spread and there are none."""

_SLOW_GAP_S = 100.0
_FAST_PER_S = 20_000.0
_FINE_TICK_S = 1.0015e-3
_ENOUGH = 100
_STRAY = 100.0
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Clock:
    """How the times of a trace are looked at, and whether ticks are spread."""

    where: str
    names: Mapping[str, str]
    """Which column of the file a workload's column comes from."""
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
                tick_s = self._find_tick(time, reading, metadata)
                self._note_strays(time, reading)
                self._note_unit(time, tick_s, reading)
            if tick_s is not None and self.dequantise:
                spread_out = spread(time, ordered["line"].to_numpy(), tick_s)
                ordered = ordered.with_columns(pl.Series("arrival_s", spread_out))
            yield ordered

    def _find_tick(self, time: Floats, reading: Reading, metadata: dict[str, Any]) -> float | None:
        tick_s = reading.tick_s = tick_of(time)
        if tick_s is None:
            if self.dequantise:
                reading.note(NO_TICK)
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

    def expect_seconds(self, arrival_s: pl.Series) -> None:
        """Raises UsageError for times of which most lie thousands of years ahead if they are seconds."""
        middle = arrival_s.cast(pl.Float64, strict=False).median()
        if isinstance(middle, float) and abs(middle) >= LATEST_S:
            raise UsageError(
                f"{self.where}: column {self._column!r} is {middle:.4g} s in the middle, which looks like Unix time in "
                f"a smaller unit; say so ({self._said('ms')})"
            )

    def _note_strays(self, time_s: Floats, reading: Reading) -> None:
        """Note rows at the ends that are so far from the others that they cannot belong to them."""
        end = time_s.size // 20
        low, high = time_s[end], time_s[-1 - end]
        reach = _STRAY * (high - low)
        before, after = int((time_s < low - reach).sum()), int((time_s > high + reach).sum())
        if time_s.size < _ENOUGH or not reach or not before + after:
            return
        far_s = max(low - time_s[0], time_s[-1] - high)
        far = f"{far_s / _DAY_S:,.0f} days" if far_s > _DAY_S else f"{far_s:,.0f} s"
        reading.note(
            f"Rows without a real time? {before + after:,} of the first {time_s.size:,} come up to {far} away from the "
            f"others, which are within {high - low:,.0f} s. If those times are not meant, leave the rows out."
        )

    def _note_unit(self, time_s: Floats, tick_s: float | None, reading: Reading) -> None:
        """Note what looks like another unit."""
        span_s = float(time_s[-1] - time_s[0])
        if self.sure_of_unit or time_s.size < _ENOUGH or not span_s:
            return
        gap_s = span_s / (time_s.size - 1)
        if gap_s > _SLOW_GAP_S:
            reading.note(
                f"Times are taken for seconds: that is one request in {gap_s:.4g} s. If they are milliseconds, say so "
                f"({self._said('ms')})."
            )
        # A clock of a millisecond is too coarse for what comes: seconds taken for milliseconds look so.
        if 1 / gap_s > _FAST_PER_S or (tick_s is not None and tick_s < _FINE_TICK_S):
            reading.note(
                f"That is {1 / gap_s:,.0f} requests a second; if times are in a larger unit than was taken, say so "
                f"({self._said('s')})."
            )

    @property
    def _column(self) -> str:
        return self.names.get("arrival_s", "arrival_s")

    def _said(self, unit: str) -> str:
        """The options that name the unit, and with it the columns, as no format has both."""
        lengths = {name: self.names.get(name, name) for name in ("input_tokens", "output_tokens")}
        columns = {"arrival": self._column, **{name: place for name, place in lengths.items() if place != name}}
        said = (f"--map {name}={shlex.quote(place)}" for name, place in columns.items())
        return f"{' '.join(said)} --time-unit {unit}"
