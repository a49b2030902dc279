"""What all kinds of charts share."""

from __future__ import annotations

import math

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
