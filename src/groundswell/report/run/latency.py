"""How late requests were: each metric's distribution, its tail, and the bounds of the SLO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Cell, Figure, Section, Table
from groundswell.report.run import said
from groundswell.report.run.marks import Bound, Part, lines, with_bounds
from groundswell.report.run.shown import Shown
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve

BLUE = palette.LIGHT["blue"]
HELD = {"meets": palette.LIGHT["green"], "fails": palette.LIGHT["red"], "unclear": palette.LIGHT["muted"]}
METRICS = tuple(name for name in said.NAMES if name != "lag")


def section(runs: Sequence[Shown]) -> Section:
    """Two charts of every metric that a run has, and its figures."""
    figures = [figure for metric in METRICS for figure in of_metric(runs, metric, slo_bounds(runs, metric))]
    if not figures:
        return Section("latency", "Latency", missing="no request ended well")
    lead = "Latencies count from when a request was due, so that a server that cannot keep up shows it"
    lead += ", and a request that failed is infinitely late: its curve ends below 100 %." if _any_failed(runs) else "."
    if any(run.judgement.clauses for run in runs):
        lead += " A diamond is a bound of the SLO: the curve has to pass it on the left."
    tables = tuple(_table(run, len(runs) > 1) for run in runs)
    return Section("latency", "Latency", lead, figures=tuple(figures), tables=tables)


def of_metric(runs: Sequence[Shown], metric: str, bounds: Sequence[Bound]) -> Iterator[Figure]:
    """The distribution of a metric, and its tail, over all runs that have it."""
    upto = lines(runs, [Part(said.NAMES[metric], BLUE, partial(_curve, metric))])
    beyond = lines(runs, [Part(said.NAMES[metric], BLUE, partial(_slower, metric))])
    x = axes.seconds(said.NAMES[metric].lower())
    what = "gaps" if metric == "itl" else "requests"
    n = " and ".join(_counted(run, metric) for run in runs if metric in run.judgement.latencies)
    if any((line.x > 0).any() for line in upto):
        yield Figure(
            f"{metric}-upto",
            said.NAMES[metric],
            f"The share of {what} up to a latency: {said.MEANING[metric]}.",
            n,
            with_bounds(plot.lines(upto, x, axes.share(f"share of {what} up to x", whole=True)), bounds, x, upto),
        )
    if any((line.x > 0).any() for line in beyond):
        spec = plot.lines(beyond, x, axes.share(f"share of {what} above x", log=True))
        yield Figure(
            f"{metric}-tail",
            f"{said.NAMES[metric]}: the tail",
            f"The share of {what} above a latency, on a logarithmic axis: 1 % is where the 99th percentile is.",
            n,
            with_bounds(spec, bounds, x, beyond, above=True),
        )


def slo_bounds(runs: Sequence[Shown], metric: str) -> list[Bound]:
    """The SLO's bounds on a metric, in the colour of what became of them where there is one run."""
    clauses = {held.text: held for run in runs for held in run.judgement.clauses if held.clause.metric == metric}
    muted = palette.LIGHT["muted"]
    return [
        Bound(
            held.clause.bound_s,
            held.clause.quantile,
            f"{held.clause.statistic} < {words.duration(held.clause.bound_s)}",
            HELD[held.held] if len(runs) == 1 else muted,
        )
        for held in clauses.values()
    ]


def _curve(metric: str, run: Shown) -> Curve | None:
    spread = run.judgement.latencies.get(metric)
    return None if spread is None else Curve(spread.curve.at_s, spread.curve.share)


def _slower(metric: str, run: Shown) -> Curve | None:
    given = _curve(metric, run)
    if given is None:
        return None
    above = 1 - given.y
    # Beyond the largest is nothing, and what is left of 1 by rounding is nothing, too.
    some = above > 1e-12
    return Curve(given.x[some], np.asarray(above[some]))


def _counted(run: Shown, metric: str) -> str:
    spread = run.judgement.latencies[metric]
    counted = words.count(spread.n, "gap" if metric == "itl" else "request")
    return counted + (f" ({words.number(spread.failed)} failed)" if spread.failed else "")


def _any_failed(runs: Sequence[Shown]) -> bool:
    return any(spread.failed for run in runs for spread in run.judgement.latencies.values())


def _cell(figure: Estimate) -> Cell:
    return Cell(said.late(figure.value), said.interval(figure))


def _table(run: Shown, named: bool) -> Table:
    rows: list[tuple[str | Cell, ...]] = [
        (
            said.NAMES[metric],
            *map(_cell, (spread.mean, spread.p50, spread.p90, spread.p95, spread.p99)),
            said.late(spread.max.value),
        )
        for metric in said.NAMES
        if (spread := run.judgement.latencies.get(metric)) is not None
    ]
    head = ("metric", "mean", "median", "p90", "p95", "p99", "most")
    note = f"Of {words.count(run.judgement.window.requests, 'request')}; {run.judgement.window.rule}. "
    note += "Means and the most are of what ended well; intervals by a bootstrap of stretches of time."
    return Table(f"Latencies of {run.name}" if named else "Latencies", head, rows, note)
