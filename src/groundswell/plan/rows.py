"""A plan's sentences and the rows of its tables, the same for a terminal and for a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from groundswell.plan.figures import Answer, Attained, Autoscaled, Grid, Plan, Trial, Verified, Window
from groundswell.plan.smallest import FURTHER
from groundswell.units import counted, show_count, show_duration

NAMES = {"naive": "NAIVE", "scaled": "scaled clients", "one_of": "one of N", "direct": "direct"}

METHODS = ("method", "instances", "95 %", "against direct", "req/s each", "how")
DEMAND = ("", "from", "req/s", "prompt tokens/s", "reply tokens/s", "instances busy", "over the mean")
AUTOSCALED = (
    *("autoscaled", "instance-hours", "against fixed", "instances", "windows kept", "requests in time"),
    "in the worst window",
)


def answer_sentences(plan: Plan) -> tuple[str, str]:
    """The answer with what it costs, and how sure it is; or what the most that was tried came to."""
    best, hardware = plan.answer, plan.hardware
    if best.instances is None or hardware is None:
        tried = best.trials[-1]
        return (
            f"No number of instances up to {tried.instances:,} keeps {plan.slo} ({NAMES[best.method]}).",
            f"With {tried.instances:,}: {clause_figures(tried)}.",
        )
    what = f"{counted(best.instances, 'instance')} keep{'s' * (best.instances == 1)} {plan.slo}"
    gpus = f"{counted(hardware.gpus, 'GPU')}, {24 * hardware.gpu_hours_per_hour:,.0f} GPU-hours a day"
    cost = (
        "" if math.isnan(hardware.cost_per_hour) else f", {hardware.cost_per_hour:,.2f} an hour (at {hardware.price})"
    )
    return f"{what}: {gpus}{cost}.", _sure(best)


def _sure(best: Answer) -> str:
    assert best.instances is not None  # noqa: S101 (asked only where there is one)
    low = f"{best.low - 1:,} clearly fail{'s' * (best.low == 2)}" if best.low > 1 else "nothing less clearly fails"
    if best.high is None:
        high = f"nothing up to {best.trials[-1].instances:,} is sure to: traffic of this kind varies too much for it"
        high = high if best.trials[-1].instances >= FURTHER * best.instances else "nothing that was tried is sure to"
    else:
        high = f"{best.high:,} {'are' if best.high > 1 else 'is'} sure to"
    return f"As a sample of such traffic: {low}, {high}."


def method_rows(plan: Plan) -> list[list[str]]:
    """The methods under :data:`METHODS`."""
    rows = []
    for answer in plan.answers:
        count = "–" if answer.instances is None else f"{answer.instances:,}"
        over = "" if answer.method == "direct" else percent(answer.over)
        rate = "" if math.isnan(answer.per_instance_s) else f"{answer.per_instance_s:.3g}"
        rows.append([NAMES[answer.method], count, between(answer.low, answer.high), over, rate, answer.title])
    return rows


def trial_row(trial: Trial) -> list[str]:
    """How many instances, whether their figures are within the bounds, and the figures."""
    return [f"{trial.instances:,}", "keeps" if trial.keeps else "does not keep", clause_figures(trial)]


def what_comes(plan: Plan) -> str:
    """What comes."""
    traffic = plan.traffic
    return (
        f"{_requests(traffic.requests)} in {show_duration(traffic.span_s)} ({traffic.rate_per_s:.3g} req/s) of "
        f"{counted(traffic.clients, 'client')}, on average {traffic.mean_prompt_tokens:,.0f} prompt and "
        f"{traffic.mean_reply_tokens:,.0f} reply tokens"
    )


def _requests(number: int) -> str:
    return f"{show_count(number)} request{'s' * (number != 1)}"


def demand_rows(plan: Plan) -> list[list[str]]:
    """The most that is asked within so much time, under :data:`DEMAND`."""
    return [
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


def driver_rows(plan: Plan) -> list[list[str]]:
    """Of the clients that ask for most: the share of the work, of the requests, how many instances do without one, and
    how many fewer those are."""
    best, rows = plan.answer.instances, []
    for each in plan.without:
        if each.instances is None or best is None:
            continue
        fewer = best - each.instances
        less = f"{fewer} fewer" if fewer > 0 else "no fewer" if not fewer else f"{-fewer} more"
        shares = f"{100 * each.work:.0f} %", f"{100 * each.share:.0f} %"
        rows.append([each.client, *shares, f"{each.instances:,}", less])
    return rows


def how_found(plan: Plan) -> str:
    """With what settings, and for which windows."""
    return f"turns closed, router {plan.router}, seed {plan.seed}; {plan.rule}"


def window_rows(windows: Sequence[Window]) -> list[list[str]]:
    """From when to when, how many requests, and why."""
    return [
        [
            f"{show_duration(window.from_s)} to {show_duration(window.to_s)}",
            _requests(window.requests),
            window.why,
        ]
        for window in windows
    ]


def verified_sentence(given: Verified) -> str:
    """What all windows come to."""
    what = f"{counted(given.windows, 'window')} of {show_duration(given.width_s)}"
    lost = f", {len(given.failed):,} clearly fail{'s' * (len(given.failed) == 1)}" if given.failed else ""
    some = len(given.unreachable)
    lost += f", {some:,} do{'es' * (some == 1)} on any fleet" if some else ""
    having = counted(given.instances, "instance")
    return f"Verified on all of it: with {having} {given.kept:,} of {what} keep the SLO{lost}."


def autoscaled_row(fleet: str, one: Attained, fixed: Attained) -> list[str]:
    """An autoscaled fleet under :data:`AUTOSCALED`."""
    less = "" if one is fixed else percent(one.instance_hours / fixed.instance_hours - 1.0)
    size = f"{one.mean_instances:.3g}, {one.most_instances:,} at most"
    worst = ", ".join(f"{each.clause.metric} {each.clause.statistic} {seconds(each.value_s)}" for each in one.worst)
    kept = f"{one.kept:,} of {one.windows:,}"
    return [fleet, f"{one.instance_hours:,.4g}", less, size, kept, f"{100 * one.in_time:.4g} %", worst]


def unsized(plan: Plan) -> Iterator[str]:
    """A sentence for each autoscaler of which nothing does as well as the fixed fleet."""
    for given in plan.autoscaled:
        if given.best is None:
            yield f"No setting of {given.scaler} does as well as the fixed fleet; {len(given.tried):,} were tried."


def fleet_name(given: Autoscaled, one: Attained) -> str:
    """An autoscaler, and what an instance is meant to have.

    >>> one = Attained(12.0, 3.0, 2.0, 4, 1.0, 1, 1, ())
    >>> fleet_name(Autoscaled("reactive", "in flight each", one, (one,)), one)
    'reactive, 12 in flight each'
    """
    return f"{given.scaler}, {one.load:.3g} {given.unit}" if given.unit else given.scaler


def grid_lost(grid: Grid) -> str:
    """What a dash in a grid means; nothing where there is none."""
    lost = next((cell.unreachable for cell in grid.cells if cell.unreachable), "")
    return f"– where none keeps it. {lost}" if lost else ""


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
    """By how much something is above or below, with its sign; nothing where it is not known.

    >>> percent(0.172), percent(-0.004), percent(-0.43)
    ('+17 %', '+0 %', '−43 %')
    """
    return "" if math.isnan(share) else f"{round(100 * share):+d} %".replace("-", "−")
