"""What the time to first token was spent on, where a run tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Cell, Figure, Section, Table
from groundswell.report.run import said
from groundswell.report.run.marks import Part, lines
from groundswell.report.run.shown import Shown
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve

COLOURS = tuple(palette.LIGHT[name] for name in ("orange", "blue", "green", "pink", "sky", "red", "brown", "grey"))


def section(runs: Sequence[Shown]) -> Section:
    """Each phase's distribution, and what it makes of the whole, of runs of which one tells at least."""
    told = [run for run in runs if run.judgement.phases]
    lead = "The phases of a request until its first token, which add up to the time to first token."
    if any(run.results.run.get("stages") for run in told):
        lead += " Of a run with stages before its engines, only requests that had something to do there."
    return Section(
        "phases",
        "Before the first token",
        lead,
        figures=tuple(_figures(told)),
        tables=tuple(_table(run, len(runs) > 1) for run in told),
    )


def _figures(runs: Sequence[Shown]) -> Iterator[Figure]:
    names = list(dict.fromkeys(name for run in runs for name in run.judgement.phases))
    parts = [
        Part(name, COLOURS[number % len(COLOURS)], partial(_curve, name)) for number, name in enumerate(reversed(names))
    ]
    drawn = lines(runs, parts[::-1])
    if any((line.x > 0).any() for line in drawn):
        yield Figure(
            "phases-upto",
            "Phases until the first token",
            "The share of requests in which a phase took up to a time; what took none at all begins above 0 %.",
            " and ".join(words.count(_requests(run), "request") for run in runs),
            plot.lines(drawn, axes.seconds("time in the phase"), axes.share("share of requests up to x", whole=True)),
        )


def _curve(name: str, run: Shown) -> Curve | None:
    spread = run.judgement.phases.get(name)
    return None if spread is None else Curve(spread.curve.at_s, spread.curve.share)


def _requests(run: Shown) -> int:
    return max(spread.n for spread in run.judgement.phases.values())


def _table(run: Shown, named: bool) -> Table:
    phases = run.judgement.phases
    whole = sum(spread.mean.value for spread in phases.values())
    rows: list[tuple[str | Cell, ...]] = [
        (
            name,
            words.share(spread.mean.value / whole) if whole > 0 else said.NONE,
            *map(_cell, (spread.mean, spread.p50, spread.p90, spread.p99)),
            said.late(spread.max.value),
        )
        for name, spread in phases.items()
    ]
    head = ("phase", "of the mean", "mean", "median", "p90", "p99", "most")
    note = f"Of {words.count(_requests(run), 'request')} that ended well."
    return Table(f"Phases until the first token{f': {run.name}' if named else ''}", head, rows, note)


def _cell(figure: Estimate) -> Cell:
    return Cell(said.late(figure.value), said.interval(figure))
