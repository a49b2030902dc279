"""What charts of runs have over plain lines: one look for each run, stretches that do not count, bounds to keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from groundswell.characterize.figures import Series
from groundswell.report import axes, palette, plot, words
from groundswell.report.axes import Axis
from groundswell.report.figure import Spec
from groundswell.report.plot import Line
from groundswell.report.run.shown import Shown
from groundswell.stats.fits import Curve, Floats

RUNS = (palette.LIGHT["blue"], palette.LIGHT["orange"])
"""The colour of the first run and of the other, where two are drawn over one another."""
DASHES = ((1, 0), (5, 3), (2, 2), (9, 2, 2, 2), (1, 3))
"""What tells quantities apart where colours tell runs apart."""
PANEL = 140
"""The height of charts that stand below one another."""
UNITS = {1.0: "s", 60.0: "min", 3600.0: "h", 86_400.0: "d"}
CHARACTER, EDGE = 0.019, 0.16
"""The width of a character on a narrow screen, as a share of a chart's; and the height of a line of text."""
LEFT = 52
"""So much room there is for what is written beside the y axis, that times lie below one another in all panels."""


@dataclass(frozen=True)
class Part:
    """A quantity of a run in a chart: its name, the colour it has where there is one run, and how it comes."""

    name: str
    colour: str
    of: Callable[[Shown], Series | Curve | Line | None]


@dataclass(frozen=True, eq=False)
class Never:
    """When a latency was infinite: a cross at the top of its panel."""

    at_s: Floats
    colour: str


@dataclass(frozen=True)
class Bound:
    """A bound on a metric's percentile ``level``, from 0 to 1, or on its mean where that is None."""

    at_s: float
    level: float | None
    text: str
    colour: str


def lines(runs: Sequence[Shown], parts: Sequence[Part]) -> list[Line]:
    """Every quantity of every run that has it. One run: a colour for each quantity; two: a colour for each run."""
    found = []
    for i, run in enumerate(runs):
        for k, part in enumerate(parts):
            given = part.of(run)
            if given is None:
                continue
            name = part.name if len(runs) == 1 else run.name if len(parts) == 1 else f"{part.name}, {run.name}"
            colour, dash = (part.colour, (1, 0)) if len(runs) == 1 else (RUNS[i % len(RUNS)], DASHES[k % len(DASHES)])
            line = replace(as_line(given), name=name, colour=colour, dash=dash)
            if len(runs) > 1:
                line = replace(line, low=None, high=None)
            if np.isfinite(line.y).any():
                found.append(line)
    return found


def as_line(given: Series | Curve | Line) -> Line:
    """A series, a curve or a line as a line."""
    if isinstance(given, Line):
        return given
    return plot.series("", given) if isinstance(given, Series) else plot.curve("", given)


def time_axis(runs: Sequence[Shown]) -> Axis:
    """Time since the start, the same for every chart over time on a page; its labels have the unit."""
    span_s = max(run.span_s for run in runs)
    axis = axes.lag("time since the start", span_s)
    label = f"datum.value ? format(datum.value, '~g') + ' {UNITS[axis.unit]}' : '0'"
    return replace(axis, domain=(0.0, float(f"{span_s / axis.unit:.6g}")), label=label)


def over_time(
    runs: Sequence[Shown], drawn: Sequence[Line], y: Axis, never: Sequence[Never] = (), height: int = PANEL
) -> Spec:
    """A panel of lines over time, with the stretches in grey that no run's figures count. What it shows and the axis of
    time are said by whoever puts it beside others."""
    x = time_axis(runs)
    spec = plot.lines(drawn, x, y, None, height)
    spec.pop("title", None)
    for layer in spec["layer"]:
        across, up = (layer.get("encoding", {}).get(name, {}) for name in ("x", "y"))
        if "axis" in across:
            across["axis"] |= {"title": None}
        if "axis" in up:
            up["axis"] |= {"minExtent": LEFT}
    stretches = left_out(runs)
    more = [_grey(list(stretches.values()), x, spec)] if stretches else []
    more += [_crosses(each, x, spec) for each in never if each.at_s.size]
    spec["layer"][-1:-1] = more
    return spec


def left_out(runs: Sequence[Shown]) -> dict[str, tuple[float, float]]:
    """The stretches whose requests no run's figures count, by what they are."""
    begin = min(run.judgement.window.begin_s for run in runs)
    end = max(run.judgement.window.end_s for run in runs)
    last = max(run.judgement.window.span_s for run in runs)
    return {name: (a, b) for name, a, b in (("warm-up", 0.0, begin), ("cool-down", end, last)) if b > a}


def said_left_out(runs: Sequence[Shown]) -> str:
    """What the grey stretches are, where there are any."""
    there = " and ".join(left_out(runs))
    return f"The figures of other sections leave out what was due in the grey {there}." if there else ""


def with_bounds(spec: Spec, bounds: Sequence[Bound], x: Axis, drawn: Sequence[Line], *, above: bool = False) -> Spec:
    """The chart of distributions ``drawn`` with a line at each bound, and a mark that a curve should pass on the left.

    ``above`` where y is the share above x, on a logarithmic axis, and not the share up to it.
    """
    if not bounds:
        return spec
    places = [bound.at_s / x.unit for bound in bounds]
    levels = [bound.level for bound in bounds if bound.level is not None and bound.level < 1]
    _widen(spec, "x", places)
    if above:
        _widen(spec, "y", [1 - level for level in levels])
    channel = {name: _channel(spec, name) for name in ("x", "y")}
    # Room for the half of a mark that would be beyond the end of an axis.
    channel["x"]["scale"]["padding"] = 10
    channel["y"]["scale"]["padding"] = 6
    low, high = channel["x"]["scale"]["domain"]
    layers: list[Spec] = []
    for i, (bound, place) in enumerate(zip(bounds, places, strict=True)):
        level = 0.0 if bound.level is None else bound.level
        share = 1 - level if above else level
        data = {"values": [{"b": place, "p": share, "t": bound.text}]}
        across = {"field": "b"} | channel["x"]
        rule = {"type": "rule", "stroke": bound.colour, "strokeDash": [3, 3], "clip": True, "strokeWidth": 1.4}
        layers.append({"data": data, "mark": rule, "encoding": {"x": across}})
        if 0 < share < 1:
            mark = {"type": "point", "shape": "diamond", "size": 110, "filled": True, "opacity": 1}
            mark |= {"fill": bound.colour, "stroke": palette.LIGHT["paper"], "strokeWidth": 1, "clip": True}
            layers.append({"data": data, "mark": mark, "encoding": {"x": across, "y": {"field": "p"} | channel["y"]}})
        right, down = _free(drawn, bound, (low * x.unit, high * x.unit), above)
        text = {"type": "text", "fill": bound.colour, "baseline": "middle", "fontSize": 12}
        text |= {"align": "left", "dx": 6} if right else {"align": "right", "dx": -6}
        at = {"value": {"expr": f"height - {14 + 15 * i}"} if down else 14 + 15 * i}
        layers.append({"data": data, "mark": text, "encoding": {"x": across, "y": at, "text": {"field": "t"}}})
    spec["layer"][-1:-1] = layers
    return spec


def _free(drawn: Sequence[Line], bound: Bound, ends: tuple[float, float], above: bool) -> tuple[bool, bool]:
    """Where a bound's text is not on a curve: whether on its right, and whether at the bottom."""
    along = math.log(bound.at_s / ends[0]) / math.log(ends[1] / ends[0])
    wide = len(bound.text) * CHARACTER
    least = min((float(line.y.min()) for line in drawn), default=1.0)
    for right in (along < 0.5, along >= 0.5):
        # The curves' heights behind the text, from 0 to 1.
        steps = ends[0] * (ends[1] / ends[0]) ** (along + (1 if right else -1) * np.linspace(0, wide, 9))
        shares = np.concatenate([np.interp(steps, line.x, line.y) for line in drawn])
        height = 1 - np.log(np.maximum(shares, least)) / math.log(least) if above and 0 < least < 1 else shares
        if 0 <= along + (wide if right else -wide) <= 1:
            if not (height < EDGE).any():
                return right, True
            if not (height > 1 - EDGE).any():
                return right, False
    return along < 0.5, True


def _crosses(never: Never, x: Axis, spec: Spec) -> Spec:
    rows = [{"x": float(f"{at:.6g}")} for at in (never.at_s / x.unit).tolist()]
    mark = {"type": "text", "text": "×", "fill": never.colour, "fontSize": 14, "fontWeight": "bold", "clip": True}
    return {
        "data": {"values": rows},
        "mark": mark,
        "encoding": {"x": {"field": "x"} | _channel(spec, "x"), "y": {"value": 5}},
    }


def _grey(stretches: Sequence[tuple[float, float]], x: Axis, spec: Spec) -> Spec:
    rows = [{"a": float(f"{a / x.unit:.6g}"), "b": float(f"{b / x.unit:.6g}")} for a, b in stretches]
    mark = {"type": "rect", "fill": palette.LIGHT["muted"], "fillOpacity": 0.13, "clip": True}
    encoding: dict[str, Any] = {"x": {"field": "a"} | _channel(spec, "x"), "x2": {"field": "b"}}
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def _channel(spec: Spec, name: str) -> dict[str, Any]:
    """What the layers have of x or y in common."""
    found = next(
        layer["encoding"][name] for layer in spec["layer"] if "scale" in layer.get("encoding", {}).get(name, {})
    )
    return {key: value for key, value in found.items() if key != "field"}


def _widen(spec: Spec, name: str, values: Sequence[float]) -> None:
    """Make room for ``values`` on an axis whose ends are stated."""
    for layer in spec["layer"]:
        scale = layer.get("encoding", {}).get(name, {}).get("scale", {})
        if "domain" in scale and values:
            low, high = scale["domain"]
            scale["domain"] = [min(low, *values), max(high, *values)]


def n_requests(runs: Sequence[Shown]) -> str:
    """On how many requests charts of whole runs rest."""
    return " and ".join(words.count(run.judgement.requests, "request") for run in runs)
