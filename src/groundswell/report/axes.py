"""Axes: how one quantity is scaled, labelled and said, with its unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from groundswell.characterize.setting import DAY_S
from groundswell.report import words
from groundswell.stats.fits import Floats

_PLAIN = (
    "abs(datum.value) >= 10000 ? format(datum.value, '~s')"
    " : datum.value && abs(datum.value) < 0.000999 ? format(datum.value, '.0e') : format(datum.value, ',~g')"
)
_TOKENS = "format(datum.value, abs(datum.value) >= 1 || !datum.value ? '~s' : '~g')"
_SHARE = "format(datum.value, '~%')"
_SECONDS = (
    "datum.value < 0.000999 ? format(datum.value * 1e6, '~r') + ' µs'"
    " : datum.value < 0.999 ? format(datum.value * 1000, '~r') + ' ms'"
    " : datum.value < 60 ? format(datum.value, '~g') + ' s'"
    " : datum.value < 3600 ? format(datum.value / 60, '~g') + ' min'"
    " : datum.value < 86400 ? format(datum.value / 3600, '~g') + ' h'"
    " : format(datum.value / 86400, '~g') + ' d'"
)
_DECADES = [10.0**k for k in range(-9, 16)]
_WITHIN_DECADES = [float(f"{m}e{k}") for k in range(-9, 16) for m in (1, 2, 5)]
_EVERY_DIGIT = [float(f"{m}e{k}") for k in range(-9, 16) for m in (1, 1.5, 2, 2.5, 3, 4, 5, 7)]
_ROUND_SECONDS = [10.0**k for k in range(-9, 1)] + [10, 60, 600, 3600, 36_000, 86_400, 864_000, 8_640_000, 86_400_000]
_MORE_SECONDS = [float(f"{m}e{k}") for k in range(-9, 0) for m in (1, 2, 5)]
_MORE_SECONDS += [1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200, 18_000, 36_000, 86_400, 172_800, 432_000]
_MORE_SECONDS += [864_000, 1_728_000, 4_320_000, 8_640_000]
_MOST_SECONDS = [float(f"{m}e{k}") for k in range(-9, 0) for m in (1, 1.5, 2, 2.5, 3, 4, 5, 7)]
_MOST_SECONDS += [size * m for size in (1, 60, 3600) for m in (1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40)]
_MOST_SECONDS += [86_400 * m for m in (1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)]
YEAR_3000_S = 32_503_680_000.0
_ALL = 99
"""Vega drops every other tick when there are more than this, of those it was given too."""
_MANY_DECADES = 300.0
"""Above this ratio of its ends, a logarithmic axis names the powers of ten only."""


@dataclass(frozen=True)
class Axis:
    """One quantity: its name with the unit, how a value is said, and its scale."""

    title: str
    say: words.Say = words.number
    log: bool = False
    zero: bool = False
    label: str = _PLAIN
    ticks: tuple[Sequence[float], ...] = (_DECADES, _WITHIN_DECADES, _EVERY_DIGIT)
    """On a logarithmic axis: those of a wide range, of a narrow one, and of less than a decade."""
    unit: float = 1.0
    """Values are divided by this to be drawn."""
    start_ms: float | None = None
    """On an axis of dates: that of value 0, in milliseconds of Unix time."""
    domain: tuple[float, float] | None = None
    at: Sequence[float] = ()
    """Where to put ticks, unless the scale says."""

    def drawn(self, values: Floats) -> Floats:
        """Where the values lie on the axis."""
        return values / self.unit if self.start_ms is None else self.start_ms + values * 1e3

    def channel(self, name: str, drawn: Floats) -> dict[str, Any]:
        """The encoding of ``x`` or ``y`` as far as it does not depend on the data's columns."""
        axis: dict[str, Any] = {"title": self.title if name == "x" else None}
        if self.start_ms is not None:
            return {"type": "temporal", "scale": {"type": "utc", "nice": False}, "axis": axis | _dates()}
        axis["labelExpr"] = self.label
        scale: dict[str, Any] = {}
        if self.log:
            low, high = _ends(drawn)
            scale = {"type": "log", "domain": [low, high], "nice": False}
            axis |= {"values": {"expr": _ticks(name, self.ticks, low, high)}, "tickCount": _ALL}
        else:
            scale = {"zero": self.zero, "nice": name == "y"}
            if self.domain is not None:
                scale |= {"domain": list(self.domain)}
            if self.at:
                axis |= {"values": list(self.at), "tickCount": _ALL}
            elif name == "x":
                axis |= {"tickCount": {"expr": "max(3, floor(width / 75))"}}
        return {"type": "quantitative", "scale": scale, "axis": axis}


def _ends(drawn: Floats) -> tuple[float, float]:
    positive = drawn[(drawn > 0) & (drawn < math.inf)]
    if not positive.size:
        return 1.0, 10.0
    low, high = float(positive.min()), float(positive.max())
    if high < low * 1.5:
        low, high = low / 1.5, high * 1.5
    return float(f"{low:.6g}"), float(f"{high:.6g}")


def _ticks(name: str, ticks: tuple[Sequence[float], ...], low: float, high: float) -> str:
    """An expression for the tick values, which follows the axis as a person zooms."""
    # Panning goes beyond the ends, so ticks are given for some more room each way.
    coarse, fine, every = (
        [float(f"{t:.6g}") for t in given if low / room <= t <= high * room]
        for given, room in zip(ticks, (1e3, 1e2, 3.0), strict=True)
    )
    ratio = f"domain('{name}')[1] / domain('{name}')[0]"
    return f"{ratio} > {_MANY_DECADES:g} ? {coarse} : {ratio} > 12 ? {fine} : {every}"


def _dates() -> dict[str, Any]:
    return {
        "labelExpr": (
            "utchours(datum.value) || utcminutes(datum.value) || utcseconds(datum.value)"
            " ? utcFormat(datum.value, utcseconds(datum.value) ? '%H:%M:%S' : '%H:%M')"
            " : [utcFormat(datum.value, '%a'), utcFormat(datum.value, '%-d %b')]"
        ),
        "tickCount": {"expr": "max(3, floor(width / 90))"},
    }


def tokens(title: str, log: bool = True) -> Axis:
    """Numbers of tokens."""
    return Axis(title, words.number, log, zero=not log, label=_TOKENS)


def count(title: str, log: bool = False) -> Axis:
    """Numbers of anything, from 0 where the scale allows it."""
    return Axis(title, words.number, log, zero=not log, label=_TOKENS if log else _PLAIN)


def plain(title: str, log: bool = False, zero: bool = False) -> Axis:
    """A ratio, a coefficient."""
    return Axis(title, words.number, log, zero=zero)


def share(title: str, log: bool = False, whole: bool = False) -> Axis:
    """A share in percent; the ``whole`` range from 0 to 1 if asked for."""
    return Axis(title, words.share, log, zero=not log, label=_SHARE, domain=(0.0, 1.0) if whole else None)


def seconds(title: str) -> Axis:
    """Durations, on a logarithmic scale."""
    return Axis(title, words.duration, log=True, label=_SECONDS, ticks=(_ROUND_SECONDS, _MORE_SECONDS, _MOST_SECONDS))


def lag(title: str, longest_s: float) -> Axis:
    """Durations up to ``longest_s``, on a linear scale in the unit that suits it."""
    size, name = _unit(longest_s)
    return Axis(f"{title} ({name})", words.duration, unit=size)


def _unit(longest_s: float) -> tuple[float, str]:
    for size, name in ((DAY_S, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if longest_s >= 3 * size:
            return size, name
    return 1.0, "seconds"


@dataclass(frozen=True)
class Clock:
    """What time it is at a second of the trace: a date where the trace says so, else the time since its start."""

    span_s: float
    start_unix_s: float | None = None
    zone_s: float = 0.0
    """How far the trace's own time of day is ahead of UTC."""

    @classmethod
    def of(cls, span_s: float, start_unix_s: object, midnight_s: float | None) -> Clock:
        """The clock of a trace, from what its source and the setting say."""
        if not isinstance(start_unix_s, (int, float)) or not 0 < start_unix_s < start_unix_s + span_s < YEAR_3000_S:
            return cls(span_s)
        zone_s = 0.0 if midnight_s is None else (midnight_s - start_unix_s + DAY_S / 2) % DAY_S - DAY_S / 2
        return cls(span_s, float(start_unix_s), 60.0 * round(zone_s / 60.0))

    @property
    def zone(self) -> str:
        """The time zone of a trace that is dated, as people write it."""
        if self.start_unix_s is None:
            return ""
        hours, minutes = divmod(round(abs(self.zone_s) / 60), 60)
        sign = "−" if self.zone_s < 0 else "+"
        return "UTC" + (f"{sign}{hours}" + (f":{minutes:02}" if minutes else "") if self.zone_s else "")

    @property
    def weekday(self) -> int | None:
        """On which day of the week a dated trace begins, 0 for Monday."""
        return None if self.start_unix_s is None else self.at(0.0).weekday()

    def at(self, second: float) -> datetime:
        """The date and time at a second of a trace that is dated."""
        assert self.start_unix_s is not None  # noqa: S101 (asked only of dated traces)
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=self.start_unix_s + self.zone_s + second)

    def say(self, second: float) -> str:
        """When that is."""
        if self.start_unix_s is None:
            return words.duration(second)
        return f"{self.at(second):%a %-d %b %Y, %H:%M}"

    def since(self, second: float) -> str:
        """A stretch of time by where it begins."""
        if self.start_unix_s is not None:
            return f"from {self.say(second)}"
        return f"{self.say(second)} after the start" if second > 0 else "from the start"

    def brief(self, second: float) -> str:
        """When that is, in few characters."""
        return self.since(second) if self.start_unix_s is None else f"from {self.at(second):%a %-d %b, %H:%M}"

    def axis(self) -> Axis:
        """The axis of time."""
        if self.start_unix_s is not None:
            return Axis(f"time ({self.zone})", self.say, start_ms=(self.start_unix_s + self.zone_s) * 1e3)
        return replace(lag("time since the start", self.span_s), say=self.say)


def turn(title: str) -> Axis:
    """Turns, counted from 1."""
    return Axis(title, words.number, label="datum.value % 1 ? '' : format(datum.value, '~g')")


def hour(title: str) -> Axis:
    """Hours of the day, from 0 to 24."""
    return Axis(
        title,
        lambda at: f"{at - 0.5:.3g}–{at + 0.5:.3g} h",
        label="datum.value + ' h'",
        domain=(0.0, 24.0),
        at=range(0, 25, 4),
    )
