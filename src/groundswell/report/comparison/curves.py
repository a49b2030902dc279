"""What is behind the aspects: the curves of the reference and of all candidates, over one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from groundswell.report import axes, palette, plot
from groundswell.report.comparison.marks import REFERENCE, colour
from groundswell.report.figure import Figure, Section
from groundswell.stats.fits import Curve
from groundswell.units import show_count

if TYPE_CHECKING:
    from groundswell.fidelity import Comparison, Curves

LEAST_SHARE = 0.002
"""Distributions are drawn from where one has so much, since the very shortest would take half of the axis."""
DASHES = ((1, 0), (6, 3), (2, 2), (9, 2, 2, 2))


def curves(comparison: Comparison, others: Sequence[str]) -> Iterator[Section]:
    """A section of each topic; one that no workload has anything of is without figures."""
    yield Section(
        "arrivals",
        "Arrivals",
        "When requests come: the gaps between them, and how their number varies from window to window.",
        figures=[
            *_overlaid(
                comparison,
                others,
                "gaps",
                "Gaps between requests",
                "The share of gaps up to a length.",
                axes.seconds("gap between requests"),
                axes.share("share of gaps up to x", whole=True),
            ),
            *_overlaid(
                comparison,
                others,
                "dispersion",
                "Index of dispersion over scales",
                "Variance over mean of the number of requests in a window, within 64 stretches of time: "
                "1 at every scale for a Poisson process.",
                axes.seconds("length of the window"),
                axes.plain("variance over mean of counts", log=True),
                plot.Level(1.0, "Poisson"),
            ),
        ],
    )
    yield Section(
        "lengths",
        "Lengths",
        "How many tokens prompts and replies have.",
        figures=[
            figure
            for name in ("input", "output")
            for figure in _overlaid(
                comparison,
                others,
                name,
                f"{name.capitalize()} lengths",
                f"The share of requests of fewer than so many {name} tokens.",
                axes.tokens(f"{name} tokens"),
                axes.share("share of requests below x", whole=True),
            )
        ],
    )
    yield Section(
        "conversations",
        "Conversations",
        "Requests that follow on one another.",
        figures=[
            *_overlaid(
                comparison,
                others,
                "turns",
                "Turns of a conversation",
                "The share of conversations of so many turns.",
                axes.count("turns", log=True),
                axes.share("share of conversations", log=True),
            ),
            *_overlaid(
                comparison,
                others,
                "turn_gap",
                "Time between turns",
                "The share of turns that are followed by the next within so long.",
                axes.seconds("time to the next turn"),
                axes.share("share of turns up to x", whole=True),
            ),
        ],
    )


def _overlaid(
    comparison: Comparison,
    others: Sequence[str],
    which: str,
    heading: str,
    caption: str,
    x: axes.Axis,
    y: axes.Axis,
    level: plot.Level | None = None,
) -> Iterator[Figure]:
    """A curve of the reference and of all candidates over one another, if any of them has it."""

    def line(name: str, of: Curves, shade: str, dash: Sequence[int]) -> Iterator[plot.Line]:
        curve: Curve = getattr(of, which)
        if (curve.x > 0).any():
            yield plot.curve(name, curve, shade, dash)

    lines = list(line(REFERENCE, comparison.curves, palette.DATA, (1, 0)))
    for i, (name, candidate) in enumerate(zip(others, comparison.candidates, strict=True)):
        lines += line(name, candidate.curves, colour(i), DASHES[(i + 1) % len(DASHES)])
    if not lines:
        return
    begins = [float(line.x[line.y > LEAST_SHARE][0]) for line in lines if (line.y > LEAST_SHARE).any()]
    lines = [line.beyond(min(begins, default=0.0)) for line in lines]
    requests = {REFERENCE: comparison.requests}
    requests |= {name: candidate.requests for name, candidate in zip(others, comparison.candidates, strict=True)}
    counts = [requests[line.name] for line in lines]
    least, most = show_count(min(counts)), show_count(max(counts))
    n = f"{least} requests{' each' if len(counts) > 1 else ''}" if least == most else f"{least} to {most} requests each"
    if len(lines) == 1:
        caption += f" Only {'the reference' if lines[0].name == REFERENCE else lines[0].name} has this."
    yield Figure(f"curve-{which.replace('_', '-')}", heading, caption, n, plot.lines(lines, x, y, level))
