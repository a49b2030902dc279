"""A plan for a terminal: the answer first, then what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from groundswell.plan.autoscale import BEYOND
from groundswell.plan.figures import Answer, Attained, Autoscaled, Grid, Plan, Trial, Verified
from groundswell.plan.smallest import FURTHER
from groundswell.units import show_count, show_duration

NAMES = {"naive": "NAIVE", "scaled": "scaled clients", "one_of": "one of N", "direct": "direct"}
_SHOWN = 3
"""So many windows of a kind are told by name."""


def describe(plan: Plan) -> str:
    """The whole plan in words and tables."""
    pieces = [
        _answer(plan),
        _methods(plan),
        "\n".join(_around(plan)),
        "\n".join(_traffic(plan)),
        "\n".join(_drivers(plan)),
        _windows(plan),
        "\n".join(_autoscaled(plan)),
        "" if plan.grid is None else describe_grid(plan.grid),
        "\n".join(f"note: {note}" for note in plan.notes),
    ]
    return "\n\n".join(piece for piece in pieces if piece)


def clause_figures(trial: Trial) -> str:
    """What a trial's clauses came to, or why they came to nothing.

    >>> clause_figures(Trial(1, "fails", False, why="overloaded"))
    'overloaded'
    """
    told = []
    for clause in trial.clauses:
        figure, name = clause.figure, f"{clause.clause.metric} {clause.clause.statistic}"
        known = not math.isnan(figure.low)
        between = f" ({seconds(figure.low)} to {seconds(figure.high)})" if known else ""
        told.append(f"{name} {seconds(figure.value)}{between}")
    return trial.why or ", ".join(told)


def between(low: int, high: int | None) -> str:
    """An interval of numbers of instances.

    >>> between(5, 8), between(5, None), between(5, 5)
    ('5 to 8', '5 or more', '5')
    """
    return f"{low} or more" if high is None else f"{low}" if low == high else f"{low} to {high}"


def seconds(value: float) -> str:
    """A time in three digits; a dash where it is not known."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    return f"{value:,.0f} s" if value >= 1e3 else f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def percent(share: float) -> str:
    """By how much something is above or below, with its sign; nothing where it is not known."""
    return "" if math.isnan(share) else f"{100 * share:+.0f} %".replace("-", "−")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[int] = (0,)) -> str:
    """Columns under ``head``: those of ``text`` flush left, the others flush right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = (
        [c.ljust(w) if i in text else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        for row in [head, *rows]
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _answer(plan: Plan) -> str:
    best, hardware = plan.answer, plan.hardware
    if best.instances is None or hardware is None:
        tried = best.trials[-1]
        return (
            f"No number of instances up to {tried.instances:,} keeps {plan.slo} ({NAMES[best.method]}).\n"
            f"With {tried.instances:,}: {clause_figures(tried)}."
        )
    what = f"{best.instances:,} instance{'s' * (best.instances != 1)} keep{'s' * (best.instances == 1)} {plan.slo}"
    gpus = f"{hardware.gpus:,} GPU{'s' * (hardware.gpus != 1)}, {24 * hardware.gpu_hours_per_hour:,.0f} GPU-hours a day"
    cost = (
        "" if math.isnan(hardware.cost_per_hour) else f", {hardware.cost_per_hour:,.2f} an hour (at {hardware.price})"
    )
    return f"{what}: {gpus}{cost}.\n{_sure(best)}"


def _sure(best: Answer) -> str:
    """How sure the answer is."""
    assert best.instances is not None  # noqa: S101 (asked only where there is one)
    low = f"{best.low - 1:,} clearly fail{'s' * (best.low == 2)}" if best.low > 1 else "nothing less clearly fails"
    if best.high is None:
        high = f"nothing up to {best.trials[-1].instances:,} is sure to: traffic of this kind varies too much for it"
        high = high if best.trials[-1].instances >= FURTHER * best.instances else "nothing that was tried is sure to"
    else:
        high = f"{best.high:,} {'are' if best.high > 1 else 'is'} sure to"
    return f"As a sample of such traffic: {low}, {high}."


def _methods(plan: Plan) -> str:
    rows = []
    for answer in plan.answers:
        count = "–" if answer.instances is None else f"{answer.instances:,}"
        over = "" if answer.method == "direct" else percent(answer.over)
        rate = "" if math.isnan(answer.per_instance_s) else f"{answer.per_instance_s:.3g}"
        rows.append([NAMES[answer.method], count, between(answer.low, answer.high), over, rate, answer.title])
    return table(["method", "instances", "95 %", "against direct", "req/s each", "how"], rows, (0, 5))


def _around(plan: Plan) -> Iterator[str]:
    """What one instance less, the answer, and one more do."""
    best = plan.answer
    if best.instances is None:
        return
    for count in (best.instances - 1, best.instances, best.instances + 1):
        trial = best.at(count)
        if trial is not None:
            held = "keeps" if trial.keeps else "does not keep"
            yield f"{count:>6,} {held:<14} {clause_figures(trial)}"
    if not best.monotone:
        yield "       Not every larger number that was tried keeps it: near the bounds chance decides."


def _traffic(plan: Plan) -> Iterator[str]:
    traffic = plan.traffic
    yield (
        f"The traffic: {show_count(traffic.requests)} requests in {show_duration(traffic.span_s)} "
        f"({traffic.rate_per_s:.3g} req/s) of {traffic.clients:,} clients, on average "
        f"{traffic.mean_prompt_tokens:,.0f} prompt and {traffic.mean_reply_tokens:,.0f} reply tokens."
    )
    rows = [
        [
            "on average" if i == 0 else f"busiest {show_duration(each.width_s)}",
            "" if i == 0 else f"{show_duration(each.at_s)}",
            f"{each.requests_per_s:.3g}",
            show_count(each.prompt_tokens_per_s),
            show_count(each.reply_tokens_per_s),
            f"{each.least_instances:.2g}" if each.least_instances < 10 else f"{each.least_instances:.0f}",
            f"×{each.least_instances / plan.demand[0].least_instances:.2g}",
        ]
        for i, each in enumerate(plan.demand)
    ]
    yield table(["", "from", "req/s", "prompt tokens/s", "reply tokens/s", "instances busy", "over the mean"], rows)


def _drivers(plan: Plan) -> Iterator[str]:
    best = plan.answer.instances
    for each in plan.without:
        if each.instances is None or best is None:
            continue
        fewer = best - each.instances
        less = f"{fewer} fewer" if fewer > 0 else "no fewer" if not fewer else f"{-fewer} more"
        asks = f"{100 * each.work:.0f} % of the work, {100 * each.share:.0f} % of the requests"
        yield f"Without client {each.client} ({asks}): {each.instances:,}, {less}."


def _windows(plan: Plan) -> str:
    lines = [f"How: turns closed, router {plan.router}, seed {plan.seed}; {plan.rule}."]
    if len(plan.windows) > 1:
        for window in plan.windows:
            at = f"{show_duration(window.from_s)} to {show_duration(window.to_s)}"
            lines.append(f"  {at}: {show_count(window.requests)} requests, {window.why}")
    if plan.verified is not None:
        lines += _verified(plan.verified)
    return "\n".join(lines)


def _verified(given: Verified) -> Iterator[str]:
    what = f"{given.windows:,} windows of {show_duration(given.width_s)}"
    lost = f", {len(given.failed):,} clearly fail" if given.failed else ""
    lost += f", {len(given.unreachable):,} do on any fleet" if given.unreachable else ""
    yield f"Verified on all of it: with {given.instances:,} instances {given.kept:,} of {what} keep the SLO{lost}."
    for window in (*given.failed[:_SHOWN], *given.unreachable[:_SHOWN]):
        yield f"  {show_duration(window.from_s)} to {show_duration(window.to_s)}: {window.why}"


def autoscaled_row(fleet: str, one: Attained, fixed: Attained) -> list[str]:
    """An autoscaled fleet under :data:`AUTOSCALED`."""
    less = "" if one is fixed else percent(one.instance_hours / fixed.instance_hours - 1.0)
    size = f"{one.mean_instances:.3g}, {one.most_instances:,} at most"
    worst = ", ".join(f"{each.clause.metric} {each.clause.statistic} {seconds(each.value_s)}" for each in one.worst)
    kept = f"{one.kept:,} of {one.windows:,}"
    return [fleet, f"{one.instance_hours:,.4g}", less, size, kept, f"{100 * one.in_time:.4g} %", worst]


def fleet_name(given: Autoscaled, one: Attained) -> str:
    """An autoscaler, and what an instance is meant to have.

    >>> one = Attained(12.0, 3.0, 2.0, 4, 1.0, 1, 1, ())
    >>> fleet_name(Autoscaled("reactive", "in flight each", one, (one,)), one)
    'reactive, 12 in flight each'
    """
    return f"{given.scaler}, {one.load:.3g} {given.unit}" if given.unit else given.scaler


AUTOSCALED = (
    *("autoscaled", "instance-hours", "against fixed", "instances", "windows kept", "requests in time"),
    "in the worst window",
)


def _autoscaled(plan: Plan) -> Iterator[str]:
    """The fixed fleet; of each scaler the fewest instance-hours that do as well, and what some do that take less."""
    if not plan.autoscaled:
        return
    (fixed,), *_ = (given.tried for given in plan.autoscaled)
    rows = []
    for given in plan.autoscaled:
        shown = list(_around_best(given))
        rows += [autoscaled_row(fleet_name(given, one), one, fixed) for one in shown]
        if given.best is None:
            yield f"No setting of {given.scaler} does as well as the fixed fleet; {len(given.tried):,} were tried."
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
    lost = next((cell.unreachable for cell in grid.cells if cell.unreachable), "")
    lines = [f"Instances by SLO: {' / '.join(NAMES[name] for name in names)}", table(head, rows)]
    return "\n".join([*lines, f"– where none keeps it. {lost}"] if lost else lines)
