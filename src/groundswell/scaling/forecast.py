"""As many instances as the hour of the day will need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, inf
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import DataError, UsageError
from groundswell.rates import Curve
from groundswell.scaling import SCALING, Seen, Tunable
from groundswell.table import Workload
from groundswell.units import show_duration

Floats = NDArray[np.float64]

DAY_S = 86_400.0
_ROUNDING = 1e-9


@SCALING.register("forecast")
@dataclass(frozen=True)
class Forecast:
    """The highest rate that is expected from now until an instance that is wanted at the next look would have started,
    times ``margin``, divided by the ``per_instance_per_s`` requests a second that one takes, and rounded up.

    ``rates`` are requests a second in equal parts of a day, each at the part's middle and linear between these: 24 for
    hours. In text they are numbers, ``(3,2.5,…)``, or a CSV file of ``time_s,rate_per_s`` over a day. A run begins
    ``start_s`` after midnight. With a ``floor``, another scaler or its text, there are never fewer than that wants. The
    default margin, a fifth, is for what the mean over an hour hides. (That services follow the day closely enough for
    this is what WarmServe builds on, arXiv:2512.09472, which warms models up rather than instances.)

    Raises UsageError for what cannot be meant, DataError for a file without a curve.
    """

    unit: ClassVar[str] = "req/s each"
    rates: tuple[float, ...] | str
    per_instance_per_s: float
    margin: float = 1.2
    start_s: float = 0.0
    floor: Tunable | str = ""
    every_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("per_instance_per_s", "margin", "every_s"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0.0 < value < inf):
                raise UsageError(f"forecast: {name} must be a number above 0, not {value!r}")
        if not (isinstance(self.start_s, int | float) and 0.0 <= self.start_s < DAY_S):
            raise UsageError(f"forecast: start_s is a time of day, from 0 to less than {DAY_S:g}, not {self.start_s!r}")
        object.__setattr__(self, "rates", _numbers(self.rates))
        if isinstance(self.floor, str) and self.floor:
            object.__setattr__(self, "floor", SCALING.build(self.floor))
        _ = self._curve  # one that cannot be is told of here

    @classmethod
    def learned(cls, workload: Workload, per_instance_per_s: float, parts: int = 24, **options: Any) -> Forecast:
        """From the workload of an earlier day, or of several: the mean rate in each of ``parts`` of a day. It began at
        the time of day ``start_s``, as the run will.

        Raises DataError where it does not cover half of each part at least.
        """
        if not len(workload):
            raise DataError("the workload is empty, so there is no rate to expect")
        begin_s, width_s = float(options.get("start_s", 0.0)), DAY_S / parts
        at_s = workload.arrival_s + begin_s
        count = np.bincount(np.minimum((at_s % DAY_S) / width_s, parts - 1).astype(np.int64), minlength=parts)
        edge_s = np.arange(parts * ceil((at_s[-1] + 1.0) / DAY_S) + 1) * width_s
        covered_s = np.diff(np.clip(edge_s, begin_s, at_s[-1])).reshape(-1, parts).sum(axis=0)
        short = covered_s < 0.5 * width_s
        if short.any():
            first = int(short.argmax())
            behind = first + int(np.append(~short[first:], True).argmax())
            hours = f"{first * width_s / 3600:.3g} h to {behind * width_s / 3600:.3g} h"
            raise DataError(
                f"the workload lasts {show_duration(at_s[-1] - begin_s)}, so nothing can be expected of the time of "
                f"day from {hours}: it takes a whole day"
            )
        return cls(tuple((count / covered_s).tolist()), per_instance_per_s, **options)

    @classmethod
    def of_rhythm(
        cls, level: Sequence[float], rate_per_s: float, per_instance_per_s: float, **options: Any
    ) -> Forecast:
        """From a daily rhythm in any unit, such as a population's ``rhythm.hour``, whose mean is ``rate_per_s``."""
        relative = np.asarray(level, np.float64) / np.mean(level)
        return cls(tuple((rate_per_s * relative).tolist()), per_instance_per_s, **options)

    @property
    def load(self) -> float:
        """Requests a second of an instance."""
        return self.per_instance_per_s

    def with_load(self, load: float) -> Forecast:
        """With so many requests a second for an instance, and a floor that is changed alike."""
        floor = self.floor
        if not isinstance(floor, str):
            floor = floor.with_load(floor.load * load / self.load)
        return replace(self, per_instance_per_s=load, floor=floor)

    def begin(self) -> Callable[[Seen], int]:
        """What is wanted; the floor may remember what it saw."""
        floor = self.floor.begin() if not isinstance(self.floor, str) else lambda seen: 0

        def wanted(seen: Seen) -> int:
            most_per_s = self.highest_per_s(seen.at_s, seen.at_s + seen.startup_s + seen.every_s)
            return max(ceil(self.margin * most_per_s / self.per_instance_per_s - _ROUNDING), floor(seen))

        return wanted

    def highest_per_s(self, begin_s: float, end_s: float) -> float:
        """The highest rate that is expected from ``begin_s`` to ``end_s`` of the run."""
        time_s, rate_per_s = self._curve
        begin_s, end_s = begin_s + self.start_s, end_s + self.start_s
        day = np.arange(np.floor(begin_s / DAY_S), np.floor(end_s / DAY_S) + 1)[:, None] * DAY_S
        inside = ((day + time_s >= begin_s) & (day + time_s <= end_s)).any(axis=0)
        ends = np.interp([begin_s, end_s], time_s, rate_per_s, period=DAY_S)
        return float(max(ends.max(), rate_per_s[inside].max(initial=0.0)))

    @cached_property
    def _curve(self) -> tuple[Floats, Floats]:
        """Times of day, and the rates expected then."""
        if isinstance(self.rates, str):
            curve = Curve.read(self.rates)
            if curve.time_s[0] < 0 or curve.time_s[-1] >= DAY_S:
                raise DataError(f"{self.rates}: a day's times go from 0 to less than {DAY_S:g} s")
            return np.array(curve.time_s), np.array(curve.rate_per_s)
        rate = np.array(self.rates)
        if not rate.size or not (np.isfinite(rate) & (rate >= 0)).all() or not rate.any():
            raise UsageError("forecast: rates must be numbers not below 0, and not all 0")
        return (np.arange(rate.size) + 0.5) * DAY_S / rate.size, rate


def _numbers(given: Any) -> tuple[float, ...] | str:
    """Rates as a tuple, or the name of a file that has them."""
    items = given.split(",") if isinstance(given, str) else np.atleast_1d(np.asarray(given)).tolist()
    try:
        return tuple(map(float, items))
    except (TypeError, ValueError):
        if isinstance(given, str):
            return given
        raise UsageError(f"forecast: rates must be numbers such as (3,2.5,4) or a file, not {given!r}") from None
