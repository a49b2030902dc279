"""A plan for a terminal: the answer first, then what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundswell.plan.autoscale import BEYOND
from groundswell.plan.figures import Attained, Autoscaled, Grid, Plan
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
    seconds,
    trial_row,
    unsized,
    verified_sentence,
    what_comes,
    window_rows,
)

_SHOWN = 3
"""So many windows of a kind are told by name."""


def describe(plan: Plan) -> str:
    """The whole plan in words and tables."""
    pieces = [
        "\n".join(answer_sentences(plan)),
        table(METHODS, method_rows(plan), (0, 5)),
        "\n".join(_around(plan)),
        f"The traffic: {what_comes(plan)}.\n{table(DEMAND, demand_rows(plan))}",
        "\n".join(_drivers(plan)),
        "\n".join(_windows(plan)),
        "\n".join(_autoscaled(plan)),
        "" if plan.grid is None else describe_grid(plan.grid),
        "\n".join(f"note: {note}" for note in plan.notes),
    ]
    return "\n\n".join(piece for piece in pieces if piece)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[int] = (0,)) -> str:
    """Columns under ``head``: those of ``text`` flush left, the others flush right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = (
        [c.ljust(w) if i in text else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        for row in [head, *rows]
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _around(plan: Plan) -> Iterator[str]:
    """What one instance less, the answer, and one more do."""
    best = plan.answer
    if best.instances is None:
        return
    for count in (best.instances - 1, best.instances, best.instances + 1):
        trial = best.at(count)
        if trial is not None:
            instances, held, figures = trial_row(trial)
            yield f"{instances:>6} {held:<14} {figures}"
    if not best.monotone:
        yield "       Not every larger number that was tried keeps it: near the bounds chance decides."


def _drivers(plan: Plan) -> Iterator[str]:
    for client, work, share, instances, less in driver_rows(plan):
        yield f"Without client {client} ({work} of the work, {share} of the requests): {instances}, {less}."


def _windows(plan: Plan) -> Iterator[str]:
    yield f"How: {how_found(plan)}."
    if len(plan.windows) > 1:
        for at, requests, why in window_rows(plan.windows):
            yield f"  {at}: {requests}, {why}"
    if plan.verified is not None:
        yield verified_sentence(plan.verified)
        shown = *plan.verified.failed[:_SHOWN], *plan.verified.unreachable[:_SHOWN]
        for at, _, why in window_rows(shown):
            yield f"  {at}: {why}"


def _autoscaled(plan: Plan) -> Iterator[str]:
    """The fixed fleet; of each scaler the fewest instance-hours that do as well, and what some do that take less."""
    if not plan.autoscaled:
        return
    (fixed,), *_ = (given.tried for given in plan.autoscaled)
    yield from unsized(plan)
    rows = [
        autoscaled_row(fleet_name(given, one), one, fixed) for given in plan.autoscaled for one in _around_best(given)
    ]
    yield table(AUTOSCALED, rows, (0, 6))


def _around_best(given: Autoscaled) -> Sequence[Attained]:
    """The best, and those with a step, twice and four times as much on an instance; where none does as well as the
    fixed fleet, what keeps the SLO in most windows."""
    if given.best is None:
        return [max(given.tried, key=lambda one: (one.kept, -one.instance_hours))]
    place = given.tried.index(given.best)
    further = [given.best.load * 2.0**by * (1.0 - 1e-9) for by in BEYOND]
    shown = [next((one for one in given.tried if one.load >= load), given.best) for load in further]
    return list(dict.fromkeys([*given.tried[place : place + 2], *shown]))


def describe_grid(grid: Grid) -> str:
    """The grid: a column for each bound of x, a row for each bound of y, and in a cell what each method asks for."""
    names = list(grid.cells[0].counts)
    x = sorted({cell.x_s for cell in grid.cells})
    y = sorted({cell.y_s for cell in grid.cells})
    at = {(cell.x_s, cell.y_s): cell for cell in grid.cells}
    head = [
        f"{grid.y} below",
        *(f"{grid.x} below {seconds(each)}" if i == 0 else seconds(each) for i, each in enumerate(x)),
    ]
    rows = []
    for bound in y:
        counts = [[at[each, bound].counts[name] for name in names] for each in x]
        rows.append([seconds(bound), *(" / ".join("–" if n is None else f"{n:,}" for n in cell) for cell in counts)])
    lost = grid_lost(grid)
    lines = [f"Instances by SLO: {' / '.join(NAMES[name] for name in names)}", table(head, rows)]
    return "\n".join([*lines, lost] if lost else lines)
