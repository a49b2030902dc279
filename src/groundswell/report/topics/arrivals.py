"""When requests come."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from groundswell.characterize.figures import ArrivalFigures, GapWindow
from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Fact, Facts, Figure, Section, Table
from groundswell.report.topics import families
from groundswell.report.topics.context import Context
from groundswell.stats.fits import Floats

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_SHORTEST = 0.002
"""The share of gaps that are left of the axis: the very shortest would take half of a logarithmic one."""


def section(arrivals: ArrivalFigures, context: Context) -> Section:
    """Rate, burstiness, gaps, dispersion and rhythm."""
    return Section(
        "arrivals",
        "Arrivals",
        "When requests come: how the rate moves, how uneven the gaps are, and which law describes them.",
        _facts(arrivals),
        tuple(_figures(arrivals, context)),
        tuple(_tables(arrivals, context)),
    )


def _facts(arrivals: ArrivalFigures) -> list[Fact]:
    facts = Facts()
    facts.add("Requests per second", arrivals.rate_per_s)
    facts.add("CV of the gaps within windows", arrivals.cv)
    facts.add("Rate of busy over quiet windows (95th over 5th percentile)", arrivals.rate_shift)
    facts.add("CV of bursty over calm windows (95th over 5th percentile)", arrivals.cv_shift)
    facts.add("Busiest over quietest hour of the day", arrivals.day_ratio)
    facts.add("Variance of the hourly rate that the hour of the day explains", arrivals.day_strength, words.share)
    facts.add("… that the hour of the week explains beyond that", arrivals.week_strength, words.share)
    if arrivals.tick_s > 0:
        facts.add("The clock ticks every", arrivals.tick_s, words.duration)
    return facts.rows


def _figures(arrivals: ArrivalFigures, context: Context) -> Iterator[Figure]:
    time, window = context.clock.axis(), words.duration(arrivals.window_s)
    if arrivals.rate.start_s.size:
        yield Figure(
            "arrivals-rate",
            "Requests per second over time",
            f"The rate in stretches of {words.duration(arrivals.rate.width_s)}.",
            words.count(arrivals.requests, "request"),
            plot.lines(
                [plot.series("rate", arrivals.rate, palette.LIGHT["blue"])], time, axes.count("requests per second")
            ),
        )
    if np.isfinite(arrivals.window_cv.value).any():
        yield Figure(
            "arrivals-cv",
            "Burstiness over time",
            f"The coefficient of variation (CV) of the gaps in windows of {window}: above 1 is burstier than Poisson.",
            _windows(int(np.isfinite(arrivals.window_cv.value).sum())),
            plot.lines(
                [plot.series("CV", arrivals.window_cv, palette.LIGHT["red"])],
                time,
                axes.plain("CV of the gaps"),
                plot.Level(1.0, "Poisson"),
            ),
        )
    if arrivals.example is not None and np.unique(arrivals.example_gaps.x[arrivals.example_gaps.x > 0]).size > 1:
        yield _gaps(arrivals, arrivals.example, context)
    if any(np.isfinite(fit.ks) for window in arrivals.windows for fit in window.fits):
        yield _distances(arrivals, context)
    if arrivals.dispersion.x.size:
        yield Figure(
            "arrivals-dispersion",
            "Index of dispersion over scales",
            "Variance over mean of the number of requests in a stretch, with its 95 % interval: 1 at every scale for a "
            "Poisson process, growing where bursts cluster or the rate moves.",
            f"{words.count(arrivals.dispersion.n.max(initial=0), 'stretch', 'stretches')} at the finest scale",
            plot.lines(
                [plot.band("index of dispersion", arrivals.dispersion, palette.LIGHT["blue"])],
                axes.seconds("length of the stretch"),
                axes.plain("variance over mean of counts", log=True),
                plot.Level(1.0, "Poisson"),
            ),
        )
    if arrivals.autocorrelation.x.size:
        yield Figure(
            "arrivals-autocorrelation",
            "Autocorrelation of the rate",
            "How alike the numbers of requests in two stretches are, against the time between them; inside the band "
            "there may be no correlation at all.",
            f"{words.count(arrivals.autocorrelation.n.max(initial=0), 'pair')} of stretches",
            plot.lines(
                _correlation(arrivals),
                axes.lag("lag", float(arrivals.autocorrelation.x.max())),
                axes.plain("correlation", zero=True),
            ),
        )
    if arrivals.day.x.size:
        yield Figure(
            "arrivals-day",
            "The mean day",
            "Requests per second in each hour of the day.",
            f"{words.count(arrivals.day.n.sum(), 'request')} {context.clock.zone}".strip(),
            plot.lines(
                [plot.band("rate", arrivals.day, palette.LIGHT["blue"])],
                axes.hour("hour of the day"),
                axes.count("requests per second"),
            ),
        )
    if arrivals.week.value.size == 168:
        yield Figure(
            "arrivals-week",
            "The mean week",
            "Requests per second in each hour of the week: a darker or brighter cell is a busier hour.",
            f"{words.count(arrivals.week.n.sum(), 'request')} {context.clock.zone}".strip(),
            plot.week(*_from_monday(arrivals.week.value, context), "requests per second"),
        )


def _from_monday(rate: Floats, context: Context) -> tuple[Floats, list[str]]:
    """The hours of a week that begins at the midnight before the trace, in the order of a calendar where the trace is
    dated, with the days' names."""
    first = context.clock.weekday
    if first is None:
        return rate, [f"day {day}" for day in range(1, 8)]
    return np.roll(rate, 24 * first), list(DAYS)


def _gaps(arrivals: ArrivalFigures, example: GapWindow, context: Context) -> Figure:
    coarse = f" The clock ticks every {words.duration(arrivals.tick_s)}, which hides the gaps below."
    ticks = coarse if arrivals.tick_s > 0 else ""
    measured = plot.curve("measured", arrivals.example_gaps)
    shortest = float(measured.x[np.searchsorted(measured.y, _SHORTEST).clip(0, measured.x.size - 2)])
    zero = arrivals.example_gaps.y[arrivals.example_gaps.x <= 0]
    alike = (
        f"; {words.share(float(zero.max()))} of gaps are 0 and left of the axis" if zero.size and zero.max() > 0 else ""
    )
    return Figure(
        "arrivals-gaps",
        "Gaps in the busiest window",
        f"The share of gaps between requests up to a length{families.said(example.fits)}{ticks}",
        f"{words.count(example.n, 'gap')} in {words.duration(arrivals.window_s)} "
        f"{context.clock.since(example.start_s)}{alike}",
        plot.lines(
            [line.beyond(shortest) for line in (measured, *families.fitted(example.fits))],
            axes.seconds("gap between requests"),
            axes.share("share of gaps up to x", whole=True),
        ),
    )


def _distances(arrivals: ArrivalFigures, context: Context) -> Figure:
    at = np.array([window.start_s for window in arrivals.windows]) + arrivals.window_s / 2
    lines = []
    for family in dict.fromkeys(fit.family for window in arrivals.windows for fit in window.fits):
        ks = {i: fit.ks for i, window in enumerate(arrivals.windows) for fit in window.fits if fit.family == family}
        y = np.array([ks.get(i, np.nan) for i in range(at.size)])
        colour, dash = palette.FAMILIES.get(family, (palette.LIGHT["grey"], (1, 0)))
        lines.append(plot.Line(family, at, y, colour, dash))
    return Figure(
        "arrivals-ks",
        "How far each family is from the gaps",
        "The Kolmogorov–Smirnov (KS) distance of each fitted family in each tested window: lower is nearer.",
        _windows(at.size),
        plot.lines(lines, context.clock.axis(), axes.count("KS distance")),
    )


def _correlation(arrivals: ArrivalFigures) -> list[plot.Line]:
    """The correlation, inside a band that is that of no correlation and so not around it."""
    given = arrivals.autocorrelation
    none = plot.Line("no correlation", given.x, (given.low + given.high) / 2, palette.LIGHT["grey"], (3, 3))
    band = plot.Line(none.name, none.x, none.y, none.colour, none.dash, given.low, given.high)
    return [band, plot.Line("measured", given.x, given.middle, palette.LIGHT["blue"])]


def _tables(arrivals: ArrivalFigures, context: Context) -> Iterator[Table]:
    names = list(dict.fromkeys([*arrivals.best, *arrivals.accepted]))
    if names:
        rows = [
            (name, words.share(arrivals.best.get(name, 0.0)), words.share(arrivals.accepted.get(name, np.nan)))
            for name in sorted(names, key=lambda name: -arrivals.best.get(name, 0.0))
        ]
        note = f"Over {_windows(len(arrivals.windows))} of {words.duration(arrivals.window_s)}; "
        note += "not rejected by a bootstrap of the KS distance at 5 %."
        yield Table(
            "Families of gaps over all tested windows", ("family", "asked for in", "not rejected in"), rows, note
        )
    if arrivals.example is not None and arrivals.example.fits:
        title = f"Gaps in the busiest window, {context.clock.since(arrivals.example.start_s)}"
        yield families.table(title, arrivals.example.fits)


def _windows(n: int) -> str:
    return words.count(n, "window")
