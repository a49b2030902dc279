"""A plan as a page: the answer on top, then tables and charts in the words of its text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

from groundswell.plan.rows import (
    AUTOSCALED,
    DEMAND,
    METHODS,
    NAMES,
    answer_sentences,
    autoscaled_row,
    demand_rows,
    driver_rows,
    fleet_name,
    grid_lost,
    how_found,
    method_rows,
    percent,
    seconds,
    trial_row,
    unsized,
    verified_sentence,
    what_comes,
    window_rows,
)
from groundswell.report.axes import count
from groundswell.report.figure import Figure, Section, Table, Verdict
from groundswell.report.plot.cells import Count, cells
from groundswell.report.plot.dots import intervals
from groundswell.stats.estimate import Estimate
from groundswell.units import counted

if TYPE_CHECKING:
    from groundswell.plan import Plan
    from groundswell.plan.figures import Autoscaled, Cell, Grid, Trial

_WAYS = ("No way", "One way", "Two ways", "Three ways", "Four ways")
_HELD = {"meets": ("yes", "✓"), "fails": ("no", "✗"), "unclear": ("open", "○")}


def summary(plan: Plan) -> str:
    """The head of the page, as HTML."""
    answer, sure = (escape(sentence) for sentence in answer_sentences(plan))
    notes = "".join(f"<li>{escape(note)}</li>" for note in plan.notes)
    return f"<header><h1>A plan for {escape(plan.slo)}</h1><p><strong>{answer}</strong></p><p>{sure}</p></header>" + (
        f'<ul class="notes" aria-label="Notes on the plan">{notes}</ul>' if notes else ""
    )


def sections(plan: Plan) -> list[Section]:
    """What stands on the page of a plan."""
    ways = _WAYS[len(plan.answers)] if len(plan.answers) < len(_WAYS) else f"{len(plan.answers)} ways"
    answers = Section(
        "methods",
        f"{ways} to find out",
        "How many instances each method asks for, with the numbers between which nobody can tell.",
        figures=[_methods(plan)],
        tables=[Table("How many by each method", METHODS, method_rows(plan), prose=(5,)), _tried(plan)],
    )
    found = [answers, _traffic(plan), _windows(plan)]
    if plan.autoscaled:
        lead = "What fleets take that grow and shrink, and in how many windows they keep the SLO."
        lead = " ".join([lead, *unsized(plan)])
        found.append(Section("autoscaled", "Autoscaled", lead, tables=[_autoscaled(plan.autoscaled)]))
    if plan.grid is not None:
        lead = "Each cell is an SLO; its colour says how far its count is above or below the direct answer."
        lost = grid_lost(plan.grid)
        lead += f" {lost}" if lost else ""
        found.append(Section("grid", "By SLO", lead, figures=list(grid_figures(plan.grid))))
    return found


def charts(plan: Plan) -> list[Figure]:
    """Every figure, in the order of the page."""
    return [figure for section in sections(plan) for figure in section.figures]


def grid_figures(grid: Grid) -> Iterator[Figure]:
    """A chart for each method, whose rows and columns are in the text's order: the strictest SLO first."""
    for name in grid.cells[0].counts:
        caption = f"Instances by {grid.x} and {grid.y}"
        if name != "direct":
            caption += ", against the direct answer: red is too few, blue too many"
        counts = [_count(cell, name) for cell in sorted(grid.cells, key=lambda cell: (cell.y_s, cell.x_s))]
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
    most = max((estimate.high for estimate in estimates), default=1.0)
    whole = range(0, int(most) + 1, max(math.ceil(most / 10), 1))
    axis = replace(count("instances"), at=tuple(map(float, whole)))
    spec = intervals([NAMES[answer.method] for answer in found], estimates, axis)
    caption = "From the least number that does not clearly fail to the least that clearly meets"
    if any(answer.high is None for answer in found):
        caption += ", or to the most that was tried, where none does"
    return Figure("methods", "Instances by method", f"{caption}.", counted(plan.traffic.requests, "request"), spec)


def _tried(plan: Plan) -> Table:
    title = f"What {NAMES[plan.answer.method]} has tried"
    head = ["tried", "the SLO", "as a sample", "figures, with 95 % intervals"]
    note = "" if plan.answer.monotone else "Not every larger number keeps it: near the bounds chance decides."
    return Table(title, head, [_trial(trial) for trial in plan.answer.trials], note, prose=(3,), wide=True)


def _trial(trial: Trial) -> list[str | Verdict]:
    _, keeps, figures = trial_row(trial)
    return [counted(trial.instances, "instance"), keeps, Verdict(*_HELD[trial.held], trial.held), figures]


def _traffic(plan: Plan) -> Section:
    tables = [Table("The most at a time", DEMAND, demand_rows(plan))]
    drivers = driver_rows(plan)
    if drivers:
        head = ["without client", "of the work", "of the requests", "instances", ""]
        tables.append(Table("Who drives the need", head, drivers))
    return Section("traffic", "The traffic", f"{what_comes(plan)}.", tables=tables)


def _windows(plan: Plan) -> Section:
    head, tables = ["window", "", "why"], []
    if len(plan.windows) > 1:
        tables.append(Table("Windows that are planned for", head, window_rows(plan.windows), prose=(2,), wide=True))
    how, verified = how_found(plan), plan.verified
    lead = f"{how[:1].upper()}{how[1:]}."
    if verified is not None:
        lead += f" {verified_sentence(verified)}"
        lost = window_rows([*verified.failed, *verified.unreachable])
        if lost:
            tables.append(Table("Windows that fail", head, lost, prose=(2,), wide=True))
    return Section("how", "How it was found", lead, tables=tables)


def _autoscaled(given: Sequence[Autoscaled]) -> Table:
    """Everything that was tried, by scaler."""
    fixed = given[0].tried[0]
    rows = [
        [
            *autoscaled_row(fleet_name(each, one), one, fixed),
            "the fewest that do as well as fixed" if one is each.best and one is not fixed else "",
        ]
        for each in given
        for one in each.tried
    ]
    return Table("Every setting that was tried", [*AUTOSCALED, ""], rows, prose=(6, 7))
