"""What all kinds of charts share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from groundswell.report.figure import Spec

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
HEIGHT = 230

ZOOM = {
    "name": "view",
    "select": {
        "type": "interval",
        "encodings": ["x"],
        "translate": "[pointerdown[event.pointerType != 'touch'], window:pointerup] > window:pointermove!",
        "zoom": "wheel![event.ctrlKey || event.metaKey]",
    },
    "bind": "scales",
}
"""Fingers and a plain wheel scroll the page; a pinch on a touch pad comes as a wheel with Ctrl."""


def chart(title: str, layers: list[Spec], height: int = HEIGHT) -> Spec:
    """Layers over one another, as wide as their place, with the title of the y axis above."""
    base: Spec = {"$schema": SCHEMA, "width": "container", "height": height}
    base["autosize"] = {"type": "fit-x", "contains": "padding"}
    return base | ({"title": {"text": title}} if title else {}) | {"layer": layers}


def legend(names: Sequence[str], colours: Sequence[str], dashes: Sequence[Sequence[int]]) -> Spec:
    """A layer of lines of one point each, which are not to be seen but in the legend: the names of all lines."""
    # As many columns as fit beside one another. This is asked of the chart's place, and not of the chart's own width,
    # which follows from the legend's.
    needed = 40 + 7 * max(map(len, names))
    columns = {"expr": f"max(1, floor(((containerSize() || [])[0] || 620) / {needed}))"}
    key = {"field": "s", "type": "nominal", "legend": {"columns": columns, "symbolType": "stroke"}}
    looks = {
        "color": key | {"scale": {"domain": names, "range": list(colours)}},
        "strokeDash": key | {"scale": {"domain": names, "range": [list(dash) for dash in dashes]}},
    }
    return {"data": {"values": [{"s": name} for name in names]}, "mark": "line", "encoding": looks}


def told(column: str, title: str) -> Spec:
    """A column as one line of a tooltip."""
    return {"field": column, "type": "nominal", "title": title}


def short(value: float, digits: int = 4) -> float | int | None:
    """A number in as few characters as its place on the chart needs; what is no number is null."""
    if not math.isfinite(value):
        return None
    if abs(value) >= 10**digits and abs(value) < 1e15:
        return round(value)
    near = float(f"{value:.{digits}g}")
    return int(near) if near.is_integer() and abs(near) < 1e15 else near
