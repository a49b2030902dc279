"""Dots with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from groundswell.report import palette, words
from groundswell.report.axes import Axis
from groundswell.report.figure import Spec
from groundswell.report.plot.chart import chart, short, told
from groundswell.stats.estimate import Estimate


def intervals(
    names: Sequence[str], estimates: Sequence[Estimate], x: Axis, colour: str = palette.LIGHT["blue"]
) -> Spec:
    """A dot with its interval for each name, one below the other."""
    shown = words.labels(names, 18)
    rows = [
        {"s": name, "v": short(e.value), "l": short(e.low), "h": short(e.high), "r1": words.estimate(e, x.say)}
        for name, e in zip(shown, estimates, strict=True)
    ]
    ends = np.array([part for e in estimates for part in (e.value, e.low, e.high)])
    across: dict[str, Any] = x.channel("x", x.drawn(ends))
    across["axis"] |= {"grid": True}
    across["scale"]["padding"] = 12
    y = {
        "field": "s",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "labelLimit": 130, "labelOverlap": False},
    }
    saying = [told("s", "which"), told("r1", x.title)]
    between = {"x": {"field": "l"} | across, "x2": {"field": "h"}, "y": y, "tooltip": saying}
    layers = [
        {"mark": {"type": "rule", "stroke": colour, "strokeWidth": 2.5, "strokeCap": "round"}, "encoding": between},
        {
            "mark": {"type": "point", "filled": True, "fill": colour, "size": 90, "opacity": 1},
            "encoding": {"x": {"field": "v"} | across, "y": y, "tooltip": saying},
        },
    ]
    return chart("", layers, max(30 * len(names), 120)) | {"data": {"values": rows}}
