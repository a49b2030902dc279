"""The report's colours, told apart by colour-blind eyes, and how charts look.

Charts name colours of the light theme. On the page each becomes a CSS variable, so that light, dark and print are a
matter of style sheets and no chart is drawn anew.
"""

from __future__ import annotations

from typing import Any

COLOURS: dict[str, tuple[str, str]] = {
    # Okabe and Ito's hues, darkened for white paper and lightened for a dark screen.
    "blue": ("#0b6bab", "#62b1ee"),
    "orange": ("#c77700", "#f2a93b"),
    "green": ("#00845f", "#3fcf9f"),
    "pink": ("#b04f8a", "#e79ac6"),
    "red": ("#c2410c", "#ff8a5c"),
    "sky": ("#2f94cb", "#9ad7f7"),
    "brown": ("#7c5a2a", "#cfae78"),
    "grey": ("#6c7480", "#9aa3af"),
    "ink": ("#1d2430", "#e9edf3"),
    "muted": ("#59616e", "#a7b0bd"),
    "line": ("#e3e6eb", "#2d3440"),
    "paper": ("#fffffe", "#171b22"),
    "step0": ("#eef4fa", "#1c2733"),
    "step1": ("#cfe2f2", "#1f3d57"),
    "step2": ("#a6cbe7", "#23577f"),
    "step3": ("#74afd9", "#2b75ab"),
    "step4": ("#4290c7", "#4596d3"),
    "step5": ("#1b6fac", "#7cbbea"),
    "step6": ("#0a4c80", "#c4e2f9"),
}
"""The name of each colour, with its value in light and in dark."""

LIGHT = {name: light for name, (light, _) in COLOURS.items()}
VARIABLE = {light: f"var(--{name})" for name, (light, _) in COLOURS.items()}
STEPS = [LIGHT[f"step{i}"] for i in range(7)]

DATA = LIGHT["ink"]
"""What was measured, where laws are drawn beside it."""

FAMILIES = {
    "exponential": (LIGHT["orange"], [7, 3]),
    "gamma": (LIGHT["blue"], [1, 0]),
    "weibull": (LIGHT["green"], [9, 2, 2, 2]),
    "lognormal": (LIGHT["pink"], [4, 2]),
    "pareto": (LIGHT["red"], [2, 2]),
    "pareto+lognormal": (LIGHT["sky"], [1, 0]),
    "zipf": (LIGHT["brown"], [5, 5]),
}
"""Each family's colour and dashes, the same in every chart."""

KINDS = {
    "input": LIGHT["blue"],
    "output": LIGHT["orange"],
    "reason": LIGHT["pink"],
    "answer": LIGHT["green"],
    "text": LIGHT["grey"],
    "image": LIGHT["blue"],
    "audio": LIGHT["orange"],
    "video": LIGHT["green"],
}
"""The colour of each kind of tokens."""

SERIES = [LIGHT[name] for name in ("blue", "orange", "green", "pink", "red", "sky", "brown", "grey")]
"""Colours of clients (the busiest first), and of whatever else has no colour of its own."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', Arial, sans-serif"

CONFIG: dict[str, Any] = {
    "background": None,
    "font": FONT,
    "padding": {"left": 2, "right": 16, "top": 4, "bottom": 2},
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "gridColor": LIGHT["line"],
        "labelColor": LIGHT["muted"],
        "labelFontSize": 11,
        "labelOverlap": "greedy",
        "labelSeparation": 6,
        "tickColor": LIGHT["line"],
        "titleColor": LIGHT["muted"],
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "axisX": {
        "domain": True,
        "domainColor": LIGHT["muted"],
        "grid": False,
        "labelFlush": 2,
        "tickColor": LIGHT["muted"],
    },
    "axisY": {"tickCount": 5, "ticks": False, "labelPadding": 6},
    "legend": {
        "labelColor": LIGHT["ink"],
        "labelFontSize": 12,
        "labelLimit": 220,
        "offset": 6,
        "orient": "top",
        "padding": 0,
        "symbolSize": 90,
        "symbolStrokeWidth": 2.5,
        "title": None,
    },
    "title": {
        "anchor": "start",
        "color": LIGHT["muted"],
        "fontSize": 12,
        "fontWeight": "normal",
        "frame": "bounds",
        "offset": 8,
        "subtitleColor": LIGHT["muted"],
        "subtitleFontSize": 12,
    },
}
"""How charts look, in the colours of the light theme."""

_HOLDS_NAMES = {"data", "datum", "datasets", "domain", "values", "title", "description"}


def on_screen(spec: Any) -> Any:
    """The chart with each colour as the page's CSS variable of that colour.

    What comes from a trace stays as it is: a client may be called ``#0b6bab``.
    """
    if isinstance(spec, dict):
        return {key: value if key in _HOLDS_NAMES else on_screen(value) for key, value in spec.items()}
    if isinstance(spec, list):
        return [on_screen(value) for value in spec]
    return VARIABLE.get(spec, spec) if isinstance(spec, str) else spec


def config_on_screen() -> dict[str, Any]:
    """:data:`CONFIG` for the page."""
    return {key: on_screen(value) for key, value in CONFIG.items()}
