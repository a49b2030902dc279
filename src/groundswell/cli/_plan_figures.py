"""A plan's charts: the grid of SLOs, a chart for each method, and the methods side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from groundswell.plan.text import AUTOSCALED, NAMES, autoscaled_row, clause_figures, fleet_name, percent, seconds
from groundswell.report.axes import count
from groundswell.report.figure import Figure, Section, Table
from groundswell.report.plot.cells import Count, cells
from groundswell.report.plot.dots import intervals
from groundswell.stats.estimate import Estimate

if TYPE_CHECKING:
    from groundswell.plan import Plan
    from groundswell.plan.figures import Autoscaled, Cell, Grid


def sections(plan: Plan) -> list[Section]:
    """What stands on the page of a plan."""
    answers = Section(
        "methods",
        "Four ways to find out",
        "How many instances each method asks for, with the numbers between which nobody can tell.",
        figures=[_methods(plan)],
        tables=[_around(plan)],
    )
    found = [answers]
    if plan.autoscaled:
        lead = "What fleets take that grow and shrink, and in how many windows they keep the SLO."
        found.append(Section("autoscaled", "Autoscaled", lead, tables=[_autoscaled(plan.autoscaled)]))
    if plan.grid is not None:
        lead = "Each cell is an SLO; its colour says how far its count is above or below the direct answer."
        found.append(Section("grid", "By SLO", lead, figures=list(grid_figures(plan.grid))))
    return found


def charts(plan: Plan) -> list[Figure]:
    """Every figure, in the order of the page."""
    return [figure for section in sections(plan) for figure in section.figures]


def grid_figures(grid: Grid) -> Iterator[Figure]:
    """A chart for each method."""
    for name in grid.cells[0].counts:
        caption = f"Instances by {grid.x} and {grid.y}"
        if name != "direct":
            caption += ", against the direct answer: red is too few, blue too many"
        counts = [_count(cell, name) for cell in sorted(grid.cells, key=lambda cell: (-cell.y_s, cell.x_s))]
        spec = cells(counts, f"{grid.x} below", f"{grid.y} below")
        yield Figure(f"grid-{name.replace('_', '-')}", NAMES[name], f"{caption}.", f"{len(counts)} SLOs", spec)


def _count(cell: Cell, name: str) -> Count:
    found, over = cell.counts[name], cell.over.get(name, math.nan)
    said = f"{percent(over)} of direct" if not math.isnan(over) else "the direct answer" if name == "direct" else "–"
    share = None if math.isnan(over) else over
    return Count(seconds(cell.x_s), seconds(cell.y_s), "–" if found is None else f"{found:,}", share, said)


def _methods(plan: Plan) -> Figure:
    found = [answer for answer in plan.answers if answer.instances is not None]
    estimates = [
        Estimate(float(a.instances or 0), float(a.low), float(a.trials[-1].instances if a.high is None else a.high), 1)
        for a in found
    ]
    spec = intervals([NAMES[answer.method] for answer in found], estimates, count("instances"))
    caption = "From the least number that does not clearly fail to the least that clearly meets"
    if any(answer.high is None for answer in found):
        caption += ", or to the most that was tried, where none does"
    return Figure("methods", "Instances by method", f"{caption}.", f"{plan.traffic.requests:,} requests", spec)


def _autoscaled(given: Sequence[Autoscaled]) -> Table:
    """Everything that was tried, by scaler."""
    fixed = given[0].tried[0]
    rows = [
        [
            *autoscaled_row(fleet_name(each, one), one, fixed),
            "the fewest that do as well as fixed" if one is each.best else "",
        ]
        for each in given
        for one in each.tried
    ]
    return Table("Every setting that was tried", [*AUTOSCALED, ""], rows, prose=(6, 7))


def _around(plan: Plan) -> Table:
    rows = [[f"{t.instances:,}", t.held, clause_figures(t)] for t in plan.answer.trials]
    title = f"What {NAMES[plan.answer.method]} has tried"
    return Table(title, ["instances", "the SLO", "figures, with 95 % intervals"], rows, prose=(2,))
