"""Rate and lengths together, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from groundswell.fidelity import said
from groundswell.report import axes, palette, plot, words
from groundswell.report.comparison.marks import REFERENCE, colour
from groundswell.report.figure import Figure, Section

if TYPE_CHECKING:
    from groundswell.fidelity import Candidate, Comparison, Points

MOST_DOTS = 30_000
"""Of all scatter plots together, so that a page of many candidates stays small."""
OUTERMOST = 0.004
"""The share of short windows, of extreme rates or of extreme means, that are beyond the axes of scatter plots."""


def together(comparison: Comparison, others: Sequence[str]) -> Section:
    """Scatter plots of each candidate over the reference, of inputs and of outputs."""
    return Section(
        "together",
        "Rate and lengths together",
        f"Each dot is a window of {words.duration(comparison.window_s)}: its rate and the mean length of its requests. "
        "A generator that draws lengths without regard to who sends them loses how the two move together (ServeGen, "
        "figure 19). Lines go through the medians of windows of about the same rate; "
        f"the {words.share(OUTERMOST)} of windows with the most extreme rates or means are beyond the axes.",
        figures=[
            figure
            for i in range(len(others))
            for column, name in enumerate(("input", "output"))
            if (figure := _scatter(comparison, i, others[i], column, name)) is not None
        ],
    )


def _scatter(comparison: Comparison, i: int, candidate: str, column: int, name: str) -> Figure | None:
    reference, own = comparison.scatter[column], comparison.candidates[i].scatter[column]
    if not reference.rate_per_s.size and not own.rate_per_s.size:
        return None
    most = max(MOST_DOTS // (4 * len(comparison.candidates)), 50)
    both = [
        _dots(REFERENCE, reference, palette.LIGHT["grey"], most),
        _dots(candidate, own, colour(i), most),
    ]
    everything = [reference, *(other.scatter[column] for other in comparison.candidates)]
    rate = np.concatenate([points.rate_per_s for points in everything])
    mean = np.concatenate([points.mean_tokens for points in everything])
    ends = (OUTERMOST / 2, 1 - OUTERMOST / 2)
    within = (np.quantile(rate, ends), np.quantile(mean, ends))
    return Figure(
        f"together-{i + 1}-{name}",
        f"Rate and mean {name}: {candidate}",
        _correlations(comparison.candidates[i], f"joint_{name}"),
        " and ".join(words.count(dots.x.size, "window") for dots in both),
        plot.cloud(both, axes.count("requests per second", log=True), axes.tokens(f"mean {name} tokens"), within),
    )


def _correlations(candidate: Candidate, key: str) -> str:
    aspect = next(aspect for aspect in candidate.aspects if aspect.key == key)
    if aspect.verdict == "cannot be said":
        return "There are too few windows to judge."
    first, second = said.figure(aspect, aspect.reference), said.figure(aspect, aspect.candidate)
    judged = (
        "which noise explains" if aspect.verdict == "indistinguishable" else f"{said.times_noise(aspect)} the noise"
    )
    return f"Correlations are {first} in the reference and {second} here; {said.apart(aspect)}, {judged}."


def _dots(name: str, points: Points, shade: str, most: int) -> plot.Dots:
    at = np.unique(np.linspace(0, points.rate_per_s.size - 1, min(points.rate_per_s.size, most)).astype(np.int64))
    return plot.Dots(name, points.rate_per_s[at], points.mean_tokens[at], shade)
