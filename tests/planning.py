"""What the tests of plans share: engines whose capacity is known, and traffic for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from groundswell.plan.alone import Alone
from groundswell.plan.windows import Whole
from groundswell.simulate.parts import Engine, StepCost
from groundswell.simulate.world import Asked
from groundswell.table import Workload

LARGE = Engine(StepCost(0.0121, 2.1e-5, 4.3e-5, 96.0, 1.3e-7, 6.61e-8, 2.6e-9, 1.7e-8), 20_000)
"""Of a large model on two cards, about."""
SERVICE_S = 0.25
ONE_BY_ONE = Engine(StepCost(SERVICE_S), 1_000, most_running=1)
"""Serves one request after the other: one whose reply is a single token takes a step, and steps are alike."""


def traffic(
    arrival_s: ArrayLike,
    prompt: ArrayLike = 10,
    output: ArrayLike = 1,
    client: ArrayLike = 0,
    clients: tuple[str, ...] = ("a", "b", "c", "d"),
) -> Workload:
    """Requests in order of time, whose lengths and clients can be one for all."""
    at_s = np.asarray(arrival_s, float)

    def column(values: ArrayLike, kind: type) -> np.ndarray:
        return np.broadcast_to(np.asarray(values), at_s.shape).astype(kind)

    code = column(client, np.uint32)
    return Workload.from_columns(at_s, code, clients, column(prompt, np.int32), column(output, np.int32))


def bursty(seed: int, requests: int = 6_000, span_s: float = 300.0) -> Workload:
    """Four clients: two steady ones, one whose prompts are long, one that sends in crowds."""
    rng = np.random.default_rng([77, seed])
    share = rng.dirichlet([4.0, 4.0, 1.0, 3.0])
    client = rng.choice(4, requests, p=share)
    at_s = rng.uniform(0.0, span_s, requests)
    crowds = rng.uniform(0.0, span_s, 12)
    crowded = client == 3
    at_s[crowded] = rng.choice(crowds, crowded.sum()) + rng.exponential(3.0, crowded.sum())
    prompt = np.ceil(rng.lognormal(6.0, 1.0, requests))
    prompt[client == 2] *= 6
    order = np.argsort(at_s)
    output = rng.geometric(1.0 / 120.0, requests)
    return traffic(at_s[order], np.minimum(prompt, 20_000)[order], output[order], client[order])


def whole(workload: Workload, engine: Engine = LARGE) -> Whole:
    """As a plan sees it."""
    return Whole(workload, Alone.of(Asked.of(workload), engine), engine)
