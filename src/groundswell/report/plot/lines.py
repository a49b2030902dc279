"""Lines over one another, with bands, a legend, and readings where a person points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from groundswell.characterize.figures import Band, Series
from groundswell.report import palette, words
from groundswell.report.axes import Axis
from groundswell.report.figure import Spec
from groundswell.report.plot.chart import HEIGHT, ZOOM, chart, legend, short, told
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve, Floats

MOST_POINTS = 400
"""A line has at most so many points, which is more than there are pixels to tell them apart."""
MOST_READINGS = 64
FEW_POINTS = 40
"""A line of at most so many points shows them."""
READER = "reader"
"""The name of a layer that is there for pointing only."""


@dataclass(frozen=True, eq=False)
class Line:
    """One line, with a band around it where there is one."""

    name: str
    x: Floats
    y: Floats
    colour: str = palette.DATA
    dash: Sequence[int] = (1, 0)
    low: Floats | None = None
    high: Floats | None = None
    smooth: bool = False
    """A law's curve, of which no point is special."""

    def beyond(self, least: float) -> Line:
        """Its points from x of ``least`` on."""
        low, high = (None if edge is None else edge[self.x >= least] for edge in (self.low, self.high))
        return replace(self, x=self.x[self.x >= least], y=self.y[self.x >= least], low=low, high=high)

    def thinned(self) -> Line:
        """At most :data:`MOST_POINTS` of its points, evenly chosen, with both ends."""
        if self.x.size <= MOST_POINTS:
            return self
        at = np.unique(np.linspace(0, self.x.size - 1, MOST_POINTS).astype(np.int64))
        low, high = (None if edge is None else edge[at] for edge in (self.low, self.high))
        return replace(self, x=self.x[at], y=self.y[at], low=low, high=high)


@dataclass(frozen=True)
class Level:
    """A line across the chart, to compare with."""

    y: float
    text: str
    below: bool = False
    """Whether its text stands under it, at the left: for a line near the top that curves reach at the right."""


def curve(name: str, given: Curve, colour: str = palette.DATA, dash: Sequence[int] = (1, 0)) -> Line:
    """A curve as a line."""
    return Line(name, given.x, given.y, colour, dash)


def series(name: str, given: Series, colour: str = palette.DATA, scale: float = 1.0) -> Line:
    """A quantity over time as a line through the middles of its stretches, broken where one was left out."""
    at, value = given.start_s + given.width_s / 2, given.value * scale
    after = np.flatnonzero(np.diff(at) > 1.5 * given.width_s) + 1
    return Line(name, np.insert(at, after, at[after]), np.insert(value, after, np.nan), colour)


def band(name: str, given: Band, colour: str = palette.DATA) -> Line:
    """A quantity with its band as a line."""
    return Line(name, given.x, given.middle, colour, (1, 0), given.low, given.high)


def lines(given: Sequence[Line], x: Axis, y: Axis, level: Level | None = None, height: int = HEIGHT) -> Spec:
    """Lines over one another, with a legend if there are several."""
    drawn = [_visible(line.thinned(), x, y) for line in given]
    values = [y.drawn(part) for line in drawn for part in (line.y, line.low, line.high) if part is not None]
    if level is not None and (level.y > 0 or not y.log):
        values.append(np.array([level.y]))
    channels = {
        "x": x.channel("x", x.drawn(np.concatenate([line.x for line in drawn]))),
        "y": y.channel("y", np.concatenate(values)),
    }
    if any(map(_has_points, drawn)) and x.domain is None:
        channels["x"]["scale"]["padding"] = 8
    if y.log:
        channels["y"]["scale"]["padding"] = 6
    names = words.labels([line.name for line in drawn])
    layers = [_band(line, x, y, channels) for line in drawn if line.low is not None]
    layers += [_line(line, x, y, channels) for line in drawn]
    if len(drawn) > 1:
        layers.append(legend(names, [line.colour for line in drawn], [line.dash for line in drawn]))
    if level is not None:
        layers += _level(level, channels)
    layers.append(_readings(drawn, names, x, y, channels))
    layers[0] = layers[0] | {"params": [ZOOM]}
    return chart(y.title, layers, height)


def _visible(line: Line, x: Axis, y: Axis) -> Line:
    """The line without the points that a logarithmic axis has no place for: x of 0; y of 0 breaks the line."""
    keep = np.isfinite(line.x) & ((line.x > 0) | (not x.log))
    parts = [line.y, line.low, line.high]
    parts = [None if part is None else np.where((part > 0) | (not y.log), part, np.nan)[keep] for part in parts]
    assert parts[0] is not None  # noqa: S101 (a line has y)
    return replace(line, x=line.x[keep], y=parts[0], low=parts[1], high=parts[2])


def _line(line: Line, x: Axis, y: Axis, channels: dict[str, Any]) -> Spec:
    rows = [{"x": short(a, 7), "y": short(b)} for a, b in zip(x.drawn(line.x), y.drawn(line.y), strict=True)]
    mark: Spec = {
        "type": "line",
        "clip": True,
        "strokeWidth": 2.6 if line.colour == palette.DATA else 1.8,
        "strokeJoin": "round",
        "invalid": "break-paths-show-path-domains",
        "stroke": line.colour,
        "strokeDash": list(line.dash),
    }
    if _has_points(line):
        mark["point"] = {"size": 34, "filled": True, "fill": line.colour, "strokeDash": [1, 0]}
    encoding: Spec = {"x": {"field": "x"} | channels["x"], "y": {"field": "y"} | channels["y"]}
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def _has_points(line: Line) -> bool:
    return not line.smooth and int(np.isfinite(line.y).sum()) <= FEW_POINTS


def _band(line: Line, x: Axis, y: Axis, channels: dict[str, Any]) -> Spec:
    assert line.low is not None and line.high is not None  # noqa: PT018, S101 (asked for lines with a band)
    rows = [
        {"x": short(a, 7), "l": short(low), "h": short(high)}
        for a, low, high in zip(x.drawn(line.x), y.drawn(line.low), y.drawn(line.high), strict=True)
        if math.isfinite(low) and math.isfinite(high)
    ]
    return {
        "data": {"values": rows},
        "mark": {"type": "area", "clip": True, "fill": line.colour, "fillOpacity": 0.16},
        "encoding": {
            "x": {"field": "x"} | channels["x"],
            "y": {"field": "l"} | channels["y"],
            "y2": {"field": "h"},
        },
    }


def _level(level: Level, channels: dict[str, Any]) -> list[Spec]:
    y = {"field": "y"} | channels["y"]
    data = {"values": [{"y": level.y, "t": level.text}]}
    rule = {"type": "rule", "stroke": palette.LIGHT["muted"], "strokeDash": [3, 3], "clip": True}
    place = {"align": "right", "baseline": "bottom", "dy": -3, "dx": -2}
    if level.below:
        place = {"align": "left", "baseline": "top", "dy": 4, "dx": 2}
    text = {"type": "text", "fill": palette.LIGHT["muted"], **place}
    x = {"value": 0 if level.below else "width"}
    return [
        {"data": data, "mark": rule, "encoding": {"y": y}},
        {"data": data, "mark": text, "encoding": {"y": y, "x": x, "text": {"field": "t"}}},
    ]


def _readings(lines: list[Line], names: list[str], x: Axis, y: Axis, channels: dict[str, Any]) -> Spec:
    """Invisible bands of full height, each with the values of all lines there."""
    at = np.unique(np.concatenate([line.x[np.isfinite(line.y)] for line in lines]))
    if at.size > MOST_READINGS:
        at = at[np.unique(np.linspace(0, at.size - 1, MOST_READINGS).astype(np.int64))]
    drawn = x.drawn(at)
    ends = np.log(drawn) if x.log else drawn
    between = (ends[1:] + ends[:-1]) / 2
    between = np.exp(between) if x.log else between
    left, right = np.r_[drawn[:1], between], np.r_[between, drawn[-1:]]
    said = [_nearest(line, at, y) for line in lines]
    rows = []
    for i, (a, b, here) in enumerate(zip(left.tolist(), right.tolist(), at.tolist(), strict=True)):
        row = {"a": short(a, 7), "b": short(b, 7), "r0": x.say(here)}
        rows.append(row | {f"r{k + 1}": values[i] for k, values in enumerate(said)})
    titles = names if len(names) > 1 else [y.title]
    return {
        "name": READER,
        "data": {"values": rows},
        "mark": {"type": "rect", "fill": palette.LIGHT["ink"], "fillOpacity": 0, "clip": True},
        "encoding": {
            "x": {"field": "a"} | channels["x"],
            "x2": {"field": "b"},
            "tooltip": [told("r0", x.title), *(told(f"r{k + 1}", title) for k, title in enumerate(titles))],
        },
    }


def _nearest(line: Line, at: Floats, y: Axis) -> list[str]:
    """What the line says at each ``at``: its nearest point's value, "–" beyond its ends."""
    known = np.isfinite(line.y)
    xs, ys = line.x[known], line.y[known]
    if not xs.size:
        return ["–"] * at.size
    right = np.clip(np.searchsorted(xs, at), 0, xs.size - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(np.abs(xs[left] - at) < np.abs(xs[right] - at), left, right)
    said = [y.say(float(ys[i])) for i in nearest]
    if line.low is not None and line.high is not None:
        low, high = line.low[known], line.high[known]
        said = [words.estimate(Estimate(float(ys[i]), float(low[i]), float(high[i])), y.say) for i in nearest]
    within = (at >= xs[0]) & (at <= xs[-1])
    return [text if inside else "–" for text, inside in zip(said, within, strict=True)]
