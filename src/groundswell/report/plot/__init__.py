"""Kinds of charts, as Vega-Lite: lines, bars, dots with intervals, a week.

A chart is as wide as its place. What the y axis shows stands above it, as text that is read from left to right. Where a
person points, an invisible reading says the values there; dragging moves along x, and the wheel zooms with Ctrl or ⌘
held, so that it scrolls the page otherwise.
"""

from groundswell.report.plot.apart import LEAST, Apart, apart
from groundswell.report.plot.bars import bars, edges, histogram, most_of
from groundswell.report.plot.cloud import Dots, cloud
from groundswell.report.plot.dots import intervals
from groundswell.report.plot.lines import READER, Level, Line, band, curve, lines, series
from groundswell.report.plot.week import week

__all__ = [
    "LEAST", "READER", "Apart", "Dots", "Level", "Line", "apart", "band", "bars", "cloud", "curve", "edges",
    "histogram", "intervals", "lines", "most_of", "series", "week",
]  # fmt: skip
