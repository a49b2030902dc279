"""What drives the need: which clients, and how far the busiest time is above the mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.judge.slo import SLO
from groundswell.plan.figures import Answer, Demand, Without
from groundswell.plan.trials import Setting, Trials
from groundswell.plan.windows import Part, Whole, demand, summed

WIDTHS_S = (3600.0, 600.0, 60.0, 10.0)
_STEPS = 10


def demand_of(whole: Whole) -> tuple[Demand, ...]:
    """What is asked for on average, and at most within an hour, ten minutes, a minute and ten seconds, of those that
    are at most half of the workload."""
    span_s = max(whole.span_s, 1e-3)
    widths = [width_s for width_s in WIDTHS_S if 2.0 * width_s <= span_s]
    return (_most(whole, span_s * (1.0 + 1e-9)), *(_most(whole, width_s) for width_s in widths))


def _most(whole: Whole, width_s: float) -> Demand:
    alone = whole.alone
    begins = np.arange(0.0, max(whole.span_s - width_s, 0.0) + 1e-9, width_s / _STEPS)
    least = demand(whole.engine, alone, begins, width_s)
    at = int(np.argmax(least))
    begin = begins[at : at + 1]

    def rate(values: NDArray[Any]) -> float:
        return float(summed(alone.arrival_s, values, begin, width_s)[0] / width_s)

    requests, prompt, output = rate(np.ones(alone.prompt.size)), rate(alone.prompt), rate(alone.output)
    return Demand(width_s, float(begin[0]), requests, prompt, output, float(least[at]))


def without_each(
    setting: Setting, whole: Whole, parts: Sequence[Part], slo: SLO, answer: Answer, most: int
) -> Iterator[Without]:
    """What is needed directly without each of the clients that ask for most work, ``most`` of them."""
    clients = whole.workload.clients
    if len(clients) < 2 or answer.instances is None:
        return
    code = whole.workload.client_code
    work = np.bincount(code, _work(whole), len(clients))
    sent = np.bincount(code, minlength=len(clients))
    for i in np.argsort(-work, kind="stable")[:most]:
        left = whole.without(clients[i], list(parts))
        if not left or not sent[i]:
            continue
        share = float(work[i] / work.sum())
        first = max(round(answer.instances * (1.0 - share)), 1)
        found = Trials.of("direct", setting, left).search(slo, first)
        yield Without(clients[i], float(sent[i] / sent.sum()), share, found.answer)


def _work(whole: Whole) -> NDArray[Any]:
    """What each request keeps an engine busy with, and its share of what steps take besides."""
    alone, engine = whole.alone, whole.engine
    steps = np.maximum(alone.tokens / engine.most_tokens, alone.steps / engine.most_running)
    return np.asarray(alone.work_s + engine.cost.c0_s * steps)
