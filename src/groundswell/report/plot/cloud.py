"""Dots of two quantities, one set over another, each with the line that its middles follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundswell.report import words
from groundswell.report.axes import Axis
from groundswell.report.figure import Spec
from groundswell.report.plot.chart import HEIGHT, ZOOM, chart, legend, short
from groundswell.stats.fits import Floats

STEPS = 9
"""The line goes through the medians of so many equally large parts of the dots."""
FEWEST = 8
"""Of fewer dots to a part there is no line."""


@dataclass(frozen=True, eq=False)
class Dots:
    """One set of dots."""

    name: str
    x: Floats
    y: Floats
    colour: str


def cloud(given: Sequence[Dots], x: Axis, y: Axis, within: tuple[Floats, Floats]) -> Spec:
    """The sets over one another, the last on top, on axes that hold the values ``within``."""
    channels = {"x": x.channel("x", x.drawn(within[0])), "y": y.channel("y", y.drawn(within[1]))}
    for channel in channels.values():
        channel["scale"]["padding"] = 8
    layers = [_dots(dots, x, y, channels) for dots in given]
    layers += [_middle(dots, x, y, channels) for dots in given if dots.x.size >= FEWEST * STEPS]
    names = words.labels([dots.name for dots in given])
    layers.append(legend(names, [dots.colour for dots in given], [(1, 0)] * len(given)))
    layers[0] = layers[0] | {"params": [ZOOM]}
    return chart(y.title, layers, HEIGHT + 50)


def _dots(dots: Dots, x: Axis, y: Axis, channels: dict[str, Any]) -> Spec:
    rows = [{"x": short(a), "y": short(b)} for a, b in zip(x.drawn(dots.x), y.drawn(dots.y), strict=True)]
    mark: Spec = {"type": "point", "size": 14, "clip": True, "aria": False, "opacity": 0.4, "fill": dots.colour}
    mark |= {"strokeWidth": 0}
    told = [
        {"field": field, "type": "quantitative", "title": axis.title, "format": ",.3~r"}
        for field, axis in (("x", x), ("y", y))
    ]
    encoding = {"x": {"field": "x"} | channels["x"], "y": {"field": "y"} | channels["y"], "tooltip": told}
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def _middle(dots: Dots, x: Axis, y: Axis, channels: dict[str, Any]) -> Spec:
    parts = np.array_split(np.argsort(dots.x, kind="stable"), STEPS)
    across, down = (np.array([np.median(values[part]) for part in parts]) for values in (dots.x, dots.y))
    rows = [{"x": short(a), "y": short(b)} for a, b in zip(x.drawn(across), y.drawn(down), strict=True)]
    mark = {"type": "line", "stroke": dots.colour, "strokeWidth": 2.6, "strokeJoin": "round", "clip": True}
    encoding = {"x": {"field": "x"} | channels["x"], "y": {"field": "y"} | channels["y"]}
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}
