"""A week at a glance."""

from __future__ import annotations

from collections.abc import Sequence

from groundswell.report import palette, words
from groundswell.report.figure import Spec
from groundswell.report.plot.chart import chart, short, told
from groundswell.stats.fits import Floats


def week(rate: Floats, days: Sequence[str], y_title: str) -> Spec:
    """168 values as a week: days below one another, hours from left to right, in steps of colour."""
    rows = [
        {"d": days[i // 24], "h": i % 24, "v": short(v), "r0": f"{days[i // 24]}, {i % 24}–{i % 24 + 1} h",
         "r1": words.rate(float(v))}
        for i, v in enumerate(rate)
    ]  # fmt: skip
    encoding = {
        "x": {
            "field": "h", "type": "ordinal",
            "axis": {"title": "hour of the day", "values": list(range(0, 24, 3)), "labelAngle": 0, "ticks": False},
        },
        "y": {"field": "d", "type": "ordinal", "sort": None, "axis": {"title": None}},
        "color": {
            "field": "v", "type": "quantitative", "scale": {"type": "quantize", "range": palette.STEPS, "nice": True},
            "legend": {"format": ".3~s", "labelFontSize": 11},
        },
        "tooltip": [told("r0", "when"), told("r1", y_title)],
    }  # fmt: skip
    mark = {"type": "rect", "stroke": palette.LIGHT["paper"], "strokeWidth": 1}
    return chart(y_title, [{"data": {"values": rows}, "mark": mark, "encoding": encoding}], 190)
