"""Counts in the cells of a table, coloured by how far each is above or below another count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundswell.report import palette
from groundswell.report.figure import Spec
from groundswell.report.plot.chart import chart, told

_ROW = 34
_FULL = 1.0
"""So far above or below, as a share, has the full colour; what is further away has no more."""
_STRONGEST = 0.75


@dataclass(frozen=True)
class Count:
    """A cell: where it is, what stands in it, and by which share that is above (below: negative) what it is held
    against; None where it is not held against anything."""

    x: str
    y: str
    text: str
    over: float | None
    said: str


def cells(given: Sequence[Count], x_title: str, y_title: str) -> Spec:
    """A row for each y, a column for each x, in the order in which they are given; blue above, red below."""
    rows = [
        {"x": each.x, "y": each.y, "t": each.text, "k": _kind(each.over), "o": _strength(each.over), "r": each.said}
        for each in given
    ]
    across: dict[str, Any] = {
        "field": "x",
        "type": "nominal",
        "sort": list(dict.fromkeys(each.x for each in given)),
        "axis": {"title": x_title, "labelAngle": 0, "labelOverlap": False},
        "scale": {"paddingInner": 0.04, "paddingOuter": 0.02},
    }
    order = list(dict.fromkeys(each.y for each in given))
    down: dict[str, Any] = {
        "field": "y",
        "type": "nominal",
        "sort": order,
        "axis": {"title": None, "labelOverlap": False},
        "scale": {"paddingInner": 0.04, "paddingOuter": 0.02},
    }
    kinds, colours = ["below", "same", "above"], [palette.LIGHT[name] for name in ("red", "line", "blue")]
    legend = {"title": None, "columns": 3} if any(each.over is not None for each in given) else None
    fill = {"field": "k", "type": "nominal", "scale": {"domain": kinds, "range": colours}, "legend": legend}
    saying = [told("x", x_title), told("y", y_title), told("t", "instances"), told("r", "that is")]
    boxes: Spec = {
        "mark": {"type": "rect"},
        "encoding": {
            "x": across,
            "y": down,
            "fill": fill,
            "fillOpacity": {"field": "o", "type": "quantitative", "scale": None},
            "tooltip": saying,
        },
    }
    text: Spec = {
        "mark": {"type": "text", "color": palette.LIGHT["ink"], "fontSize": 14},
        "encoding": {"x": across, "y": down, "text": {"field": "t", "type": "nominal"}, "tooltip": saying},
    }
    return chart(y_title, [boxes, text], max(_ROW * len(order), 2 * _ROW)) | {"data": {"values": rows}}


def _kind(over: float | None) -> str:
    return "same" if not over else "above" if over > 0 else "below"


def _strength(over: float | None) -> float:
    return 0.6 if not over else round(0.12 + (_STRONGEST - 0.12) * min(abs(over) / _FULL, 1.0), 3)
