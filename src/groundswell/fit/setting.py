"""What a fit is told beforehand, and the grids of time that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from groundswell.characterize.setting import DAY_S, time_of_day_s
from groundswell.errors import UsageError

MINUTE_S = 60.0
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class FitSetting:
    """The choices of a fit.

    Arrivals are measured in windows of ``window_s``, lengths in slots of ``slot_s``, which must be a whole number of
    windows. Clients of fewer than ``min_requests`` requests are pooled into groups of clients like them. With
    ``min_group`` above 1 no figure of the pool rests on fewer requests than that, and where the trace begins and ends
    is told to the minute. ``conversations`` are kept "whole" or as "laws", tables of turns, pauses and new text; with
    ``min_group`` above 1 they are laws. ``names`` says whether the pool's clients are numbered or keep the trace's
    names. ``align`` says where windows begin: at multiples of ``window_s``
    from midnight ("clock"), or with the trace ("trace"). ``midnight_s`` is the time of day of the trace's second 0;
    None takes it from the trace's ``start_unix_s``, or from ``start_s`` on a pool's clock, and 0 where it has neither.
    """

    window_s: float = 600.0
    slot_s: float = 21_600.0
    min_requests: int = 50
    min_group: int = 1
    names: Literal["number", "keep"] = "number"
    align: Literal["clock", "trace"] = "clock"
    midnight_s: float | None = None
    conversations: Literal["whole", "laws"] = "whole"

    def __post_init__(self) -> None:
        for what, seconds in (("window", self.window_s), ("slot", self.slot_s)):
            if not (np.isfinite(seconds) and seconds > 0):
                raise UsageError(f"{what} {seconds:g} s: must be a number of seconds above 0")
        windows = self.slot_s / self.window_s
        if windows < 1 or abs(windows - round(windows)) > 1e-6:
            raise UsageError(
                f"slot {self.slot_s:g} s: must be a whole number of windows, which are {self.window_s:g} s long"
            )
        for what, least in (("min-requests", self.min_requests), ("min-group", self.min_group)):
            if least < 1:
                raise UsageError(f"{what} {least}: must be at least 1")
        for what, value, known in (
            ("names", self.names, ("number", "keep")),
            ("align", self.align, ("clock", "trace")),
            ("conversations", self.conversations, ("whole", "laws")),
        ):
            if value not in known:
                raise UsageError(f"{what} {value!r} is none of {', '.join(known)}")
        if self.midnight_s is not None and not 0 <= self.midnight_s < DAY_S:
            raise UsageError(f"midnight_s {self.midnight_s:g}: a time of day lies between 0 and {DAY_S:g} s")

    @property
    def few(self) -> int:
        """A client of fewer requests than this does not stand alone."""
        return max(self.min_requests, self.min_group)

    @property
    def as_laws(self) -> bool:
        """Whether conversations become laws."""
        return self.conversations == "laws" or self.min_group > 1

    def grid(self, metadata: Mapping[str, Any]) -> Grid:
        """The grid for a trace with this ``metadata``."""
        midnight_s = self.midnight_s
        if midnight_s is None:
            midnight_s = time_of_day_s(metadata) or 0.0
        if self.align == "clock":
            return Grid(self.window_s, self.slot_s, midnight_s, 0.0)
        # second 0 is often the first arrival, whose time a pool that is shared does not tell
        shift_s = midnight_s % MINUTE_S if self.min_group > 1 else 0.0
        return Grid(self.window_s, self.slot_s, shift_s, midnight_s - shift_s)


@dataclass(frozen=True)
class Grid:
    """Windows and slots. Window 0 begins ``shift_s`` before the trace's second 0, at ``origin_s`` on the clock."""

    window_s: float
    slot_s: float
    shift_s: float
    origin_s: float

    def window(self, arrival_s: Floats) -> Ints:
        """The number of the window that each arrival lies in."""
        return np.floor((arrival_s + self.shift_s) / self.window_s).astype(np.int64)

    def clock_s(self, arrival_s: float) -> float:
        """Where an arrival lies on the clock."""
        return arrival_s + self.shift_s + self.origin_s

    def start_s(self, window: Any) -> Any:
        """Where windows begin on the clock."""
        return self.origin_s + np.asarray(window) * self.window_s

    def slot(self, window: Any) -> Ints:
        """The slot of each window: that which its middle lies in, as in :class:`~groundswell.clients.ClientPool`."""
        middle_s: Floats = self.start_s(window) + self.window_s / 2
        return np.floor(middle_s / self.slot_s + 1e-9).astype(np.int64)
