"""How far several things are from one, over how far chance would take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundswell.report import palette, words
from groundswell.report.figure import Spec
from groundswell.report.plot.chart import chart, short, told

LEAST, MOST = 0.05, 1000.0
"""What is nearer or further is drawn at these."""
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
_ROW = 26
_MORE = 11


@dataclass(frozen=True)
class Apart:
    """One thing's distance over the noise in one respect, and what is said of it."""

    name: str
    row: str
    times_noise: float
    said: str


def apart(given: Sequence[Apart], names: Sequence[str], colours: Sequence[str], x_title: str) -> Spec:
    """A dot for each thing in each respect, which is a row, on a logarithmic axis with a line at 1."""
    labels = dict(zip(names, words.labels(names), strict=True))
    drawn = [min(max(each.times_noise, LEAST), MOST) for each in given]
    rows = [
        {
            "r": each.row,
            "s": labels[each.name],
            "x": short(at),
            "r1": f"{each.times_noise:.2g}",
            "r2": each.said,
        }
        for each, at in zip(given, drawn, strict=True)
    ]
    low, high = min(drawn, default=0.1), max(drawn, default=10.0)
    low, high = min(low, 0.2), max(high, 5.0)
    across = {
        "type": "quantitative",
        "scale": {"type": "log", "domain": [low, high], "nice": False, "padding": 12},
        "axis": {
            "title": x_title,
            "grid": True,
            "values": [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
            "labelExpr": "format(datum.value, '~g')",
        },
    }
    order = list(dict.fromkeys(each.row for each in given))
    down: dict[str, Any] = {
        "field": "r",
        "type": "nominal",
        "sort": order,
        "axis": {"title": None, "labelLimit": 150, "labelOverlap": False, "grid": True},
    }
    key = {"field": "s", "type": "nominal", "sort": None, "legend": {"columns": 1 if len(names) < 4 else 2}}
    shown = list(labels.values())
    looks = {
        "color": key | {"scale": {"domain": shown, "range": list(colours)}},
        "shape": key | {"scale": {"domain": shown, "range": [SHAPES[i % len(SHAPES)] for i in range(len(shown))]}},
    }
    beside = {"yOffset": {"field": "s", "type": "nominal", "sort": shown}} if len(names) > 1 else {}
    saying = [told("s", "which"), told("r", "aspect"), told("r1", x_title), told("r2", "apart")]
    dots: Spec = {
        "data": {"values": rows},
        "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
        "encoding": {"x": {"field": "x"} | across, "y": down, "tooltip": saying} | beside | looks,
    }
    ends: Spec = {"data": {"values": [{"a": low / 10, "b": 1.0}]}}
    within: Spec = {"type": "rect", "fill": palette.LIGHT["green"], "fillOpacity": 0.1, "clip": True}
    layers = [
        ends | {"mark": within, "encoding": {"x": {"field": "a"} | across, "x2": {"field": "b"}}},
        ends
        | {
            "mark": {"type": "rule", "stroke": palette.LIGHT["muted"], "strokeDash": [3, 3]},
            "encoding": {"x": {"field": "b"} | across},
        },
        dots,
    ]
    height = max(len(order), 1) * (_ROW + _MORE * (min(len(names), 6) - 1))
    return chart("", layers, height)
