"""What the tests of routers share: routers before loads set by hand, workloads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from groundswell.routing import ROUTING, choose
from groundswell.simulate.parts import Engine, Fleet, Pool, StepCost
from groundswell.simulate.world import Asked, served_of, world_of
from groundswell.table import Workload
from simulating import asking

ROUTERS = tuple(ROUTING)
ENGINE = Engine(StepCost(0.01, 1e-5), blocks=1000)
Picks = NDArray[np.int64]


@njit(nogil=True, error_model="numpy")
def _pick_all(router: Any, w: Any, rows: Any, begin: Any, end: Any, out: Any) -> None:
    for k in range(rows.shape[0]):
        out[k] = choose(router, w, rows[k], begin, end)


class Routed:
    """A router before a fleet whose loads are set by hand."""

    def __init__(self, router: str, workload: Workload, *instances: int, seed: int = 0, view_s: float = 0.0) -> None:
        pools = tuple(Pool(ENGINE, count, f"p{k}") for k, count in enumerate(instances))
        fleet = Fleet(pools, ROUTING.build(router), view_s=view_s)
        asked = Asked.of(workload)
        self.world = world_of(asked, fleet, seed)
        self.state: Any = fleet.router.state(served_of(asked, fleet, seed))

    def picks(self, rows: Any, begin: int = 0, end: int | None = None) -> Picks:
        """Where requests go, one after the other; nothing changes by that but what the router keeps."""
        rows = np.atleast_1d(np.asarray(rows, np.int64))
        out = np.empty(rows.size, np.int64)
        end = self.world.at.size if end is None else end
        _pick_all(self.state, self.world, rows, np.int64(begin), np.int64(end), out)
        return out

    def load(self, requests: Any = 0, tokens: Any = 0, prefill_tokens: Any = 0, up: Any = True) -> None:
        """What is in flight on each instance."""
        for name, value in (("requests", requests), ("tokens", tokens), ("prefill_tokens", prefill_tokens), ("up", up)):
            self.world.load[name] = value


def plain(n: int, prompt: int = 100, output: int = 10) -> Workload:
    """``n`` requests alike."""
    return asking(np.arange(n) * 0.1, np.full(n, prompt), np.full(n, output))


def mixed(n: int, rate_per_s: float, seed: int = 0) -> Workload:
    """``n`` requests of lengths from 1 to some thousands."""
    rng = np.random.default_rng(seed)
    prompt, output = np.clip(rng.lognormal(5, 1, n), 1, 4000), np.clip(rng.lognormal(3, 1, n), 1, 500)
    return asking(np.cumsum(rng.exponential(1 / rate_per_s, n)), prompt.astype(int), output.astype(int))


def fleet_of(router: str, **options: Any) -> Fleet:
    """Two pools of three instances."""
    return Fleet((Pool(ENGINE, 3, "a"), Pool(ENGINE, 3, "b")), ROUTING.build(router), **options)


def error_of(value: NDArray[np.float64]) -> float:
    """The standard error of a mean of what depends on its neighbours, from 100 batches."""
    return float(value[: value.size // 100 * 100].reshape(100, -1).mean(axis=1).std() / 10)
