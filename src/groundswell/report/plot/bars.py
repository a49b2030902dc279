"""Bars."""

from __future__ import annotations

import numpy as np

from groundswell.report import palette, words
from groundswell.report.axes import Axis
from groundswell.report.figure import Spec
from groundswell.report.plot.chart import HEIGHT, ZOOM, chart, short, told
from groundswell.stats.fits import Curve, Floats


def bars(low: Floats, high: Floats, value: Floats, x: Axis, y: Axis, colour: str) -> Spec:
    """A bar from ``low[i]`` to ``high[i]`` for each value."""
    middle = np.sqrt(low * high) if x.log else (low + high) / 2
    rows = [
        {"a": short(a, 5), "b": short(b, 5), "y": short(v), "r0": x.say(float(m)), "r1": y.say(float(v))}
        for a, b, v, m in zip(x.drawn(low), x.drawn(high), value, middle, strict=True)
    ]
    encoding = {
        "x": {"field": "a"} | x.channel("x", x.drawn(np.concatenate([low, high]))),
        "x2": {"field": "b"},
        "y": {"field": "y"} | y.channel("y", value),
        "y2": {"datum": 0},
        "tooltip": [told("r0", x.title), told("r1", y.title)],
    }
    mark = {"type": "rect", "fill": colour, "fillOpacity": 0.85, "clip": True, "stroke": palette.LIGHT["paper"]}
    layer = {"data": {"values": rows}, "params": [ZOOM], "mark": mark | {"strokeWidth": 0.6}, "encoding": encoding}
    return chart(y.title, [layer], HEIGHT)


def histogram(given: Curve, x: Axis, y: Axis, colour: str) -> Spec:
    """Bars around the middles of buckets: of equal ratio on a logarithmic axis, else of equal width."""
    low, high = edges(given.x, x.log)
    return bars(low, high, given.y, x, y, colour)


def most_of(given: Curve, part: float = 0.995) -> tuple[Curve, str]:
    """The first values of ``given``, shares of exactly x things, that make ``part`` of them all, so that a long tail
    leaves room for them; and what is to be said of the rest."""
    upto = int(np.searchsorted(np.cumsum(given.y), part * given.y.sum())) + 1
    rest = float(given.y[upto:].sum())
    said = f"; {words.share(rest)} have more than {words.number(float(given.x[upto - 1]))}" if rest > 0 else ""
    return Curve(given.x[:upto], given.y[:upto]), said


def edges(middle: Floats, log: bool) -> tuple[Floats, Floats]:
    """The ends of buckets with these middles, all as wide as the narrowest; a lone one is made a little wide."""
    steps = np.diff(np.log(middle)) if log else np.diff(middle)
    width = float(steps[steps > 0].min()) if (steps > 0).any() else 0.2 if log else 1.0
    return (
        (middle * np.exp(-width / 2), middle * np.exp(width / 2)) if log else (middle - width / 2, middle + width / 2)
    )
