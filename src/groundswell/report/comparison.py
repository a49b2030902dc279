"""A comparison of workloads as a page to read, and as files of figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from groundswell.fidelity import said
from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Figure, Section, Table, Verdict
from groundswell.report.files import FORMATS, write_each, write_page
from groundswell.report.html import page
from groundswell.stats.fits import Curve
from groundswell.units import show_count, show_duration

if TYPE_CHECKING:
    from groundswell.fidelity import Aspect, Candidate, Comparison, Curves, Points

REFERENCE = "reference"
MOST_DOTS = 30_000
"""Of all scatter plots together, so that a page of many candidates stays small."""
OUTERMOST = 0.004
"""The share of short windows, of extreme rates or of extreme means, that are beyond the axes of scatter plots."""
LEAST_SHARE = 0.002
"""Distributions are drawn from where one has so much, since the very shortest would take half of the axis."""
KINDS = {"indistinguishable": "yes", "differs": "no", "cannot be said": "open"}
DASHES = ((1, 0), (6, 3), (2, 2), (9, 2, 2, 2))


def write_html(comparison: Comparison, path: Path) -> None:
    """The comparison as one page that needs nothing else."""
    write_page(page(title(comparison), _summary(comparison), sections(comparison)), path)


def write_figures(comparison: Comparison, folder: Path, formats: Sequence[str] = tuple(FORMATS)) -> list[Path]:
    """Each figure in each format as a file in ``folder``, named by the figure's key. Gives the files."""
    return write_each(charts(comparison), folder, formats)


def charts(comparison: Comparison) -> list[Figure]:
    """Every figure, in the order of the page."""
    return [figure for section in sections(comparison) for figure in section.figures]


def title(comparison: Comparison) -> str:
    """What is compared with what, by the names of the files."""
    reference, *others = names(comparison)
    return f"{reference} and {others[0]}" if len(others) == 1 else f"{reference} and {len(others)} candidates"


def names(comparison: Comparison) -> list[str]:
    """The reference and the candidates by the ends of their paths, as much of them as tells the candidates apart."""
    paths = [PurePath(c.name).parts[-12:] for c in comparison.candidates]
    needed = next((k for k in range(1, 12) if len({parts[-k:] for parts in paths}) == len(paths)), 12)
    ends = ["/".join(parts[-needed:]) for parts in paths]
    reference = words.short(PurePath(comparison.reference).name or comparison.reference, 60)
    return [reference, *words.labels([REFERENCE, *ends], 40)[1:]]


def sections(comparison: Comparison) -> list[Section]:
    """The aspects, then what is behind them."""
    _, *others = names(comparison)
    return [
        _aspects(comparison, others),
        *(section for section in _curves(comparison, others) if section.figures),
        _joint(comparison, others),
    ]


def _summary(comparison: Comparison) -> str:
    """The head of the page, as HTML: what is compared, and a line on each candidate."""
    reference, *others = names(comparison)
    lead = (
        f"The reference is {reference}: {_size(comparison.requests, comparison.span_s)}. A candidate is off in an "
        "aspect where it is further from the reference than 95 % of pairs of draws from the reference are apart."
    )
    rows = "".join(map(_line, others, comparison.candidates))
    return (
        f"<header><h1>{escape(title(comparison))}</h1><p class='quiet'>{escape(lead)}</p></header>"
        f'<div class="card findings"><table><tbody>{rows}</tbody></table></div>'
    )


def _line(name: str, candidate: Candidate) -> str:
    size = _size(candidate.requests, candidate.span_s)
    return (
        f'<tr><th scope="row">{escape(name)}<small>{escape(size)}</small></th>'
        f"<td>{escape(said.summary(candidate))}.</td></tr>"
    )


def _size(requests: int, span_s: float) -> str:
    return f"{show_count(requests)} requests in {show_duration(span_s)}"


# --- aspects ----------------------------------------------------------------------------------------------------------


def _aspects(comparison: Comparison, others: Sequence[str]) -> Section:
    figures = [_all_aspects(comparison, others)] if any(map(_ratios, comparison.candidates)) else []
    return Section(
        "aspects",
        "Aspects",
        "In each aspect, how far a candidate is from the reference, and how far apart two draws of the reference are: "
        "its stretches of time are drawn again from near where they were (a local block bootstrap), two hundred times.",
        figures=figures,
        tables=[_table(name, candidate) for name, candidate in zip(others, comparison.candidates, strict=True)],
    )


def _table(name: str, candidate: Candidate) -> Table:
    note = (
        "Of a curve, the figures are those where the two differ most; of lengths, geometric means; of a rate with mean "
    )
    note += (
        "lengths, correlations, and the distance is an energy distance in standard deviations (SD) of the reference."
    )
    head = ("aspect", "reference", "candidate", "apart", "noise", "verdict")
    return Table(name, head, [_row(aspect) for aspect in candidate.aspects], note)


def _row(aspect: Aspect) -> tuple[str | Verdict, ...]:
    verdict = Verdict(KINDS[aspect.verdict], said.MARKS[aspect.verdict], said.verdict(aspect))
    figures = (said.figure(aspect, aspect.reference), said.figure(aspect, aspect.candidate))
    return (said.name(aspect), *figures, said.apart(aspect), said.noise(aspect), verdict)


def _ratios(candidate: Candidate) -> list[tuple[Aspect, float]]:
    """The aspects that can be judged, with their distance over the noise."""
    judged = [aspect for aspect in candidate.aspects if aspect.verdict != "cannot be said"]
    return [(a, a.distance / a.noise if a.noise > 0 else np.inf if a.distance > 0 else 0.0) for a in judged]


def _all_aspects(comparison: Comparison, others: Sequence[str]) -> Figure:
    given = [
        plot.Apart(name, said.NAMES[aspect.key], ratio, said.apart(aspect))
        for key in said.NAMES
        for name, candidate in zip(others, comparison.candidates, strict=True)
        for aspect, ratio in _ratios(candidate)
        if aspect.key == key
    ]
    return Figure(
        "aspects-all",
        "All aspects",
        "The distance from the reference over the noise: left of 1, on green, sampling noise explains it. "
        f"What is nearer than {plot.LEAST:g} is drawn there.",
        f"{show_count(comparison.requests)} requests of the reference",
        plot.apart(given, others, [_colour(i) for i in range(len(others))], "distance over noise"),
    )


# --- curves -----------------------------------------------------------------------------------------------------------


def _curves(comparison: Comparison, others: Sequence[str]) -> Iterator[Section]:
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

    def line(name: str, of: Curves, colour: str, dash: Sequence[int]) -> Iterator[plot.Line]:
        curve: Curve = getattr(of, which)
        if (curve.x > 0).any():
            yield plot.curve(name, curve, colour, dash)

    lines = list(line(REFERENCE, comparison.curves, palette.DATA, (1, 0)))
    for i, (name, candidate) in enumerate(zip(others, comparison.candidates, strict=True)):
        lines += line(name, candidate.curves, _colour(i), DASHES[(i + 1) % len(DASHES)])
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


# --- rate and lengths together ----------------------------------------------------------------------------------------


def _joint(comparison: Comparison, others: Sequence[str]) -> Section:
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
        _dots(candidate, own, _colour(i), most),
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


def _dots(name: str, points: Points, colour: str, most: int) -> plot.Dots:
    at = np.unique(np.linspace(0, points.rate_per_s.size - 1, min(points.rate_per_s.size, most)).astype(np.int64))
    return plot.Dots(name, points.rate_per_s[at], points.mean_tokens[at], colour)


def _colour(i: int) -> str:
    return palette.SERIES[i % len(palette.SERIES)]
