"""How many instances a workload takes: four answers, and what they rest on."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from groundswell.errors import UsageError
from groundswell.judge.slo import SLO
from groundswell.plan.alone import Alone
from groundswell.plan.autoscale import Autoscaling, autoscaled
from groundswell.plan.drivers import demand_of, without_each
from groundswell.plan.figures import Answer, Plan, Traffic, Verified, Window
from groundswell.plan.grid import Bounds, grid, over_of
from groundswell.plan.methods import EVERY, METHODS, Drawn
from groundswell.plan.outcome import Patience
from groundswell.plan.price import Price, hardware
from groundswell.plan.reach import check_enough, check_told, enough, missed, unreachable
from groundswell.plan.trials import Setting, Trials
from groundswell.plan.verify import FEWEST, verify, windows_of
from groundswell.plan.windows import ALL, Part, Whole
from groundswell.routing import ROUTING, Router
from groundswell.simulate.parts import Engine
from groundswell.simulate.world import Asked
from groundswell.table import Workload

MOST_INSTANCES = 1000
CLIENTS = 3
"""Of so many clients is told what would be needed without them."""
_ROUNDS = 3
"""So often windows that fail all the same are added to those for which is planned."""
_ADDED = 2
_GUESS = 1.3
"""The first number tried, over that of instances which are busy all the time."""


@dataclass(frozen=True)
class Options:
    """What a plan is asked for besides the SLO."""

    methods: tuple[str, ...] = EVERY
    most_instances: int = MOST_INSTANCES
    window_s: float | None = None
    """How long windows are; None: ten minutes, or longer where the busiest has too few requests for the SLO, and no
    windows for a workload of at most two hours."""
    grid: Bounds | None = None
    clients: int = CLIENTS
    gpus: int = 1
    """Of each instance."""
    price: Price | None = None
    autoscaling: Autoscaling | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.most_instances <= 10_000:
            raise UsageError(f"at most {self.most_instances:,} instances: must be from 1 to 10,000")
        if not self.methods:
            raise UsageError(f"there is no method; there are {', '.join(EVERY)}")
        for name in self.methods:
            METHODS[name]  # raises for one that there is not
        if self.clients < 0 or self.gpus < 1:
            raise UsageError("clients to leave out must be 0 or more, and GPUs of an instance 1 or more")


def plan(
    workload: Workload,
    engine: Engine,
    slo: SLO | str,
    router: Router | str = "jsq",
    seed: int = 0,
    options: Options = Options(),
    drawn: Drawn | None = None,
    tell: Callable[[int], None] = lambda requests: None,
) -> Plan:
    """How many instances of ``engine`` behind ``router`` keep ``slo`` for ``workload``, by each of the methods.

    Time counts from the first request on, unless it is that of a source or of a day: ``drawn`` makes the workload's
    traffic anew at another rate, where it came from a source of clients, and an autoscaler can know the hour. ``tell``
    is told of how many requests each simulation was. The same arguments give the same plan. Raises UsageError for an
    SLO that no fleet keeps, with what would have to change, and for a workload that is too short for a percentile.
    """
    asked = SLO.parse(slo) if isinstance(slo, str) else slo
    slos = [asked, *(options.grid.slos() if options.grid is not None else ())]
    check_told(slos)
    timed = drawn is not None or options.autoscaling is not None
    whole = _whole(workload if timed else _from_its_first(workload), engine)
    parts, rule = whole.parts(options.window_s, max(enough(asked), FEWEST))
    in_windows = parts[0].why != ALL
    parts, notes = _within_reach(asked, parts, engine)
    what, longer = ("windows are", "longer windows") if in_windows else ("the workload is", "a longer workload")
    check_enough(asked, max(int(part.judged.sum()) for part in parts), f"{what} too short", longer)
    routing = ROUTING.build(router) if isinstance(router, str) else router
    setting = Setting(engine, routing, seed, options.most_instances, Patience.of(slos), drawn, len(slos) > 1, tell)
    trials = {name: Trials.of(name, setting, parts) for name in options.methods}
    first = _first(parts)
    answers = _each(trials, asked, first)
    verified: Verified | None = None
    if in_windows:
        answers, verified = _verified(whole, trials, asked, answers, parts[0].end_s - parts[0].begin_s)
    answers = _compared(answers)
    best = answers[_counting(answers)]
    made = Plan(
        slo=str(asked),
        instances=best.instances,
        method=best.method,
        answers=tuple(answers.values()),
        traffic=_traffic(whole),
        demand=demand_of(whole),
        windows=tuple(part.window for part in next(iter(trials.values())).parts),
        rule=rule,
        router=ROUTING.text(routing),
        seed=seed,
        engine=_described(engine),
        verified=verified,
        notes=(*notes, *_notes(whole, engine), *([whole.short] if whole.short and len(parts) == 1 else ())),
    )
    if best.instances is None:
        made = replace(made, notes=(*made.notes, *_without_caches(whole, asked, engine)))
    else:
        made = replace(made, hardware=hardware(best.instances, options.gpus, options.price))
        asked_parts = next(iter(trials.values())).parts
        made = replace(made, without=tuple(without_each(setting, whole, asked_parts, asked, best, options.clients)))
        if options.autoscaling is not None:
            windows = _judged(parts, whole, verified)
            made = replace(made, autoscaled=autoscaled(setting, whole, asked, windows, best, options.autoscaling))
    if options.grid is not None:
        made = replace(made, grid=grid(options.grid, trials, best.instances or first))
    return made


def _from_its_first(workload: Workload) -> Workload:
    """Time counted from the first request on: nothing is known of a rate before that."""
    if not len(workload) or float(workload.arrival_s[0]) == 0.0:
        return workload
    at_s = pl.Series("arrival_s", workload.arrival_s - workload.arrival_s[0])
    return Workload(workload.frame.with_columns(at_s), workload.metadata)


def _whole(workload: Workload, engine: Engine) -> Whole:
    asked = Asked.of(workload)
    first_s = float(workload.arrival_s[0])
    if not float(workload.arrival_s[-1]) > first_s:
        raise UsageError("the workload's requests are all due at one time, so it has no rate")
    return Whole(workload, Alone.of(asked, engine), engine)


def _within_reach(slo: SLO, parts: list[Part], engine: Engine) -> tuple[list[Part], list[str]]:
    """The windows in which a fleet may keep the SLO, and a note on the others. Raises UsageError if there are none."""
    reasons = [unreachable(slo, part.alone, part.judged, engine) for part in parts]
    kept = [part for part, why in zip(parts, reasons, strict=True) if not why]
    if not kept:
        raise UsageError(reasons[0])
    lost = [why for why in reasons if why]
    return kept, [f"{len(lost)} of {len(parts)} windows are not planned for. {lost[0]}"] if lost else []


def _first(parts: Sequence[Part]) -> int:
    """How many instances to try first."""
    return max(math.ceil(_GUESS * max(part.busy for part in parts)), 1)


def _each(trials: dict[str, Trials], slo: SLO, first: int) -> dict[str, Answer]:
    """The answers of all methods, side by side on all cores."""
    with ThreadPoolExecutor(min(len(trials), os.cpu_count() or 1)) as threads:
        return dict(zip(trials, threads.map(lambda each: each.answer(slo, first), trials.values()), strict=True))


def _verified(
    whole: Whole, trials: dict[str, Trials], slo: SLO, answers: dict[str, Answer], width_s: float
) -> tuple[dict[str, Answer], Verified | None]:
    """Windows that fail although they were not thought to be the worst are planned for, too."""
    name = _counting(answers)
    found: Verified | None = None
    for rounds in range(_ROUNDS + 1):
        instances = answers[name].instances
        if instances is None or (found is not None and found.instances == instances):
            break
        found = verify(trials[name].setting, whole, slo, instances, width_s)
        if not found.failed or rounds == _ROUNDS:
            break
        for window in _largest(found.failed):
            part = whole.cut(window.from_s, window.to_s, f"failed with {instances} instances")
            for each in trials.values():
                each.add(part)
        answers = _each(trials, slo, instances)
    return answers, found


def _judged(parts: Sequence[Part], whole: Whole, verified: Verified | None) -> list[tuple[float, float]]:
    """From when to when each window of all of the workload goes, of which the SLO is asked."""
    if verified is not None:
        return windows_of(whole, verified)
    return [(part.from_s + part.begin_s, part.from_s + part.end_s) for part in parts]


def _counting(answers: dict[str, Answer]) -> str:
    """The method whose answer counts."""
    return "direct" if "direct" in answers else next(reversed(answers))


def _largest(windows: Sequence[Window]) -> Sequence[Window]:
    return sorted(windows, key=lambda window: -window.requests)[:_ADDED]


def _compared(answers: dict[str, Answer]) -> dict[str, Answer]:
    direct = answers.get("direct")
    if direct is None:
        return answers
    return {
        name: answer if name == "direct" else replace(answer, over=over_of(answer.instances, direct.instances))
        for name, answer in answers.items()
    }


def _traffic(whole: Whole) -> Traffic:
    alone, span_s = whole.alone, whole.span_s
    return Traffic(
        requests=alone.prompt.size,
        span_s=span_s,
        rate_per_s=alone.prompt.size / span_s,
        clients=int(np.unique(whole.workload.client_code).size),
        mean_prompt_tokens=float(alone.prompt.mean()),
        mean_reply_tokens=float(alone.output.mean()),
        too_long=int(alone.too_long.sum()),
    )


def _notes(whole: Whole, engine: Engine) -> Iterator[str]:
    lost = int(whole.alone.too_long.sum())
    if lost:
        later = ", and later turns of their conversations with them" if "conversation" in whole.workload.frame else ""
        yield (
            f"{lost:,} of {whole.alone.prompt.size:,} requests are longer than the {engine.most_context:,} tokens for "
            f"which an engine has memory: they fail on any fleet{later}, and count as infinitely late"
        )


def _without_caches(whole: Whole, slo: SLO, engine: Engine) -> Iterator[str]:
    if engine.caching and {"prefix_runs", "prefix_blocks"} & set(whole.workload.frame.columns):
        cold = Alone.of(Asked.of(whole.workload), replace(engine, caching=False))
        if why := missed(slo, cold, np.ones(cold.prompt.size, np.bool_), engine):
            yield why


def _described(engine: Engine) -> dict[str, Any]:
    """The engine in plain figures."""
    told = {name: getattr(engine, name) for name in engine.__dataclass_fields__ if name != "cost"}
    return told | {"cost": {name: getattr(engine.cost, name) for name in engine.cost.__dataclass_fields__}}
