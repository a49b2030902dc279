"""How long prompts and replies are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from groundswell.characterize.figures import Field, LengthFigures
from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Fact, Facts, Figure, Section
from groundswell.report.plot import Line
from groundswell.report.topics import families
from groundswell.report.topics.context import Context


def section(lengths: LengthFigures, context: Context) -> Section:
    """Distributions, their tails and shifts, and how outputs go with inputs."""
    known = [field for field in lengths.fields.values() if field.n]
    figures = [figure for field in known for figure in of_field(field, "lengths", context)]
    return Section(
        "lengths",
        "Lengths",
        "How many tokens prompts and replies have, which law describes them, and how they shift.",
        _facts(lengths),
        (*figures, *_together(lengths, context)),
        tuple(families.table(f"Laws of {field.name} lengths", field.fits) for field in known if field.fits),
    )


def _facts(lengths: LengthFigures) -> list[Fact]:
    facts = Facts()
    for field in lengths.fields.values():
        name = field.name.capitalize()
        facts.add(f"{name} tokens, mean", field.mean)
        facts.add(f"{name} tokens, median", field.p50)
        facts.add(f"{name} tokens, 99th percentile", field.p99)
        facts.add(f"CV of {field.name} lengths", field.cv)
        facts.add(f"{name}: largest over smallest mean of a period", field.shift)
    facts.add("Rank correlation of input and output", lengths.spearman)
    facts.add("Correlation of their shifts over periods", lengths.together)
    facts.add("Exponent of a Zipf law of inputs", lengths.zipf_exponent)
    facts.add("Dip of log output lengths", lengths.output_modes)
    facts.add("… odds of as large a dip from one mode", lengths.output_dip_p, words.p_value)
    return facts.rows


def of_field(field: Field, topic: str, context: Context) -> Iterator[Figure]:
    """The histogram, the tail and the shift of one kind of length."""
    colour = palette.KINDS.get(field.name, palette.LIGHT["blue"])
    n, tokens = words.count(field.n, "request"), axes.tokens(f"{field.name} tokens")
    if field.histogram.x.size:
        yield Figure(
            f"{topic}-{field.name}-histogram",
            f"{field.name.capitalize()} lengths",
            "The share of requests in buckets of equal ratio of lengths"
            + (f": half of them have up to {words.tokens(field.p50.value)}." if np.isfinite(field.p50.value) else "."),
            n,
            plot.histogram(field.histogram, tokens, axes.share("share of requests"), colour),
        )
    if field.tail.x.size:
        yield Figure(
            f"{topic}-{field.name}-tail",
            f"Tail of {field.name} lengths",
            f"The share of requests of at least so many tokens{families.said(field.fits)}",
            n,
            plot.lines(_tails(field), tokens, axes.share("share of requests of at least x", log=True)),
        )
    if len(field.periods) > 1:
        yield _periods(field, topic, context)


def _tails(field: Field) -> list[Line]:
    """The measured tail and the fitted ones, no lower than a tenth of the least share that was measured."""
    measured = plot.curve("measured", field.tail)
    floor = 0.1 * float(measured.y[measured.y > 0].min(initial=1.0))
    fits = families.fitted(field.fits, tail=True)
    return [measured, *(replace(f, y=np.where(f.y >= floor, f.y, np.nan)) for f in fits)]


def _periods(field: Field, topic: str, context: Context) -> Figure:
    """The mean with its interval, and quantiles, by period."""
    at = np.array([period.start_s for period in field.periods])
    at = at + float(np.diff(at).min()) / 2
    colour = palette.KINDS.get(field.name, palette.LIGHT["blue"])
    mean = [period.mean for period in field.periods]
    low, high = np.array([e.low for e in mean]), np.array([e.high for e in mean])
    lines = [Line("mean", at, np.array([e.value for e in mean]), colour, (1, 0), low, high)]
    for name, dash in (("p50", (5, 3)), ("p90", (8, 2, 2, 2)), ("p99", (2, 2))):
        value = np.array([getattr(period, name) for period in field.periods])
        lines.append(Line(name, at, value, palette.LIGHT["grey"], dash))
    return Figure(
        f"{topic}-{field.name}-periods",
        f"Shift of {field.name} lengths",
        "The mean with its 95 % interval, and quantiles, in periods of "
        f"{words.duration(field.periods[1].start_s - field.periods[0].start_s)}: "
        f"the largest mean is {words.number(field.shift.value)} times the smallest.",
        f"{words.count(field.n, 'request')} in {words.count(len(field.periods), 'period')}",
        plot.lines(lines, context.clock.axis(), axes.tokens(f"{field.name} tokens")),
    )


def _together(lengths: LengthFigures, context: Context) -> Iterator[Figure]:
    moving = [
        field for field in lengths.fields.values() if field.mean.value > 0 and np.isfinite(field.series.value).sum() > 1
    ]
    if moving:
        yield Figure(
            "lengths-over-time",
            "Mean lengths over time",
            "The mean of each kind over its mean in the whole trace: lines that part show independent shifts.",
            f"{words.count(moving[0].n, 'request')} in stretches of {words.duration(moving[0].series.width_s)}",
            plot.lines(
                [
                    plot.series(
                        field.name, field.series, palette.KINDS.get(field.name, palette.DATA), 1 / field.mean.value
                    )
                    for field in moving
                ],
                context.clock.axis(),
                axes.plain("mean tokens, relative to the whole"),
                plot.Level(1.0, ""),
            ),
        )
    if lengths.by_input.x.size:
        yield Figure(
            "lengths-output-by-input",
            "Output against input",
            "The median output, and the band that holds 90 % of outputs, of requests with so many input tokens: "
            "a level line means that the two are not related.",
            f"{words.count(lengths.by_input.n.sum(), 'request')} in {words.count(lengths.by_input.x.size, 'bin')}",
            plot.lines(
                [plot.band("median output", lengths.by_input, palette.KINDS["output"])],
                axes.tokens("input tokens"),
                axes.tokens("output tokens"),
            ),
        )
