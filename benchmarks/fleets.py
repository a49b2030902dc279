"""What schedulers, pools and routers make of the same traffic, as Markdown tables.

    python benchmarks/fleets.py [--only policies]

Qwen2.5-14B on two A100 throughout; docs/sizing.md has what came out. The figures do not depend on the machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

import numpy as np
import polars as pl

from common import table
from groundswell.clients.client import Client, pool_of
from groundswell.compose import compose
from groundswell.results import Results
from groundswell.routing import ROUTING
from groundswell.simulate.cost import engine_of
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Engine, Fleet, Pool
from groundswell.table import BLOCK_SIZE_KEY, Workload

MODEL = ("qwen2.5-14b", "a100", 2)
MOST_TTFT_S = 2.0

BURSTY: dict[str, str | float] = {
    "input_tokens": "lognormal:mean=620,cv=1.3",
    "output_tokens": "mixture:body=(lognormal:mean=30,cv=0.8),tail=(lognormal:mean=400,cv=0.6),weight=0.3",
}
CHAT: dict[str, str | float] = {
    "input_tokens": "lognormal:mean=400,cv=1.2",
    "output_tokens": "lognormal:mean=200,cv=1",
    "turns": "exponential:mean=5",
    "think_ms": "lognormal:mean=30000,cv=1",
    "new_tokens": "lognormal:mean=150,cv=1",
    "shared_tokens": "templates:count=20,tokens=1500",
}
MIXED: dict[str, dict[str, str | float]] = {
    "short": {"input_tokens": "lognormal:mean=600,cv=1", "output_tokens": "lognormal:mean=150,cv=1"},
    "long": {"input_tokens": "lognormal:mean=16000,cv=0.5", "output_tokens": "lognormal:mean=600,cv=1"},
}


def composed(clients: list[Client], seconds: float) -> Workload:
    """One table of what the clients send."""
    blocks = list(compose(pool_of(clients, seconds), duration_s=seconds, seed=1))
    return Workload(pl.concat([block.frame for block in blocks]), {BLOCK_SIZE_KEY: 16})


def late(results: Results, end: str, q: float | None = None) -> float:
    """The mean, or a quantile, of the time from a request's due time to ``end``, in seconds."""
    late_s = results.floats(end) - results.floats("due_s")
    return float(np.nanmean(late_s) if q is None else np.nanquantile(late_s, q))


def policies() -> None:
    """First come, first served against shortest and longest first, on bursts that overload one instance for a while."""
    clients = [Client("bursts", 3.5, "gamma:cv=6", BURSTY), Client("steady", 1.5, "poisson", BURSTY)]
    workload = composed(clients, 3600.0)
    rows = []
    for policy in ("fcfs", "shortest", "longest"):
        engine = engine_of(*MODEL, policy=policy, most_running=16)
        results = simulate(workload, Fleet((Pool(engine, 1),)))
        rows.append(
            (
                policy,
                late(results, "first_token_s"),
                late(results, "first_token_s", 0.5),
                late(results, "first_token_s", 0.99),
                late(results, "done_s"),
                late(results, "done_s", 0.99),
                float(np.nanmax(results.floats("done_s") - results.floats("due_s"))),
            )
        )
    print(f"{len(workload):,} requests in an hour, one instance that runs 16 at a time\n")
    table(("policy", "TTFT mean, s", "p50", "p99", "e2e mean, s", "p99", "longest"), rows)


def _least(instances: Iterable[int], fleet_of: Callable[[int], Fleet], workload: Workload) -> tuple[int, Results]:
    """The fewest instances with a TTFT p99 below 2 s, and what came of them."""
    for count in instances:
        results = simulate(workload, fleet_of(count))
        if late(results, "first_token_s", 0.99) < MOST_TTFT_S and not results.failed.any():
            break
    return count, results


def pools() -> None:
    """Short and long requests together, or in two pools of the same engines that are set for each."""
    clients = [Client(name, rate, "gamma:cv=2", MIXED[name]) for name, rate in (("short", 60.0), ("long", 1.5))]
    workload = composed(clients, 600.0)
    mean = float(workload.input_tokens.mean())
    print(f"{len(workload):,} requests in ten minutes, mean prompt {mean:,.0f} tokens, TTFT p99 < 2 s\n")

    def engine(running: int) -> Engine:
        return engine_of(*MODEL, most_running=running, blocks=20_000)

    def one(router: str) -> Callable[[int], Fleet]:
        return lambda count: Fleet((Pool(engine(128), count),), ROUTING.build(router))

    def two(short: int) -> Callable[[int], Fleet]:
        made = ROUTING.build("dual_pool:threshold=4096")
        return lambda count: Fleet((Pool(engine(256), short, "short"), Pool(engine(64), count - short, "long")), made)

    rows = [
        _pooled(f"one pool, {router}", *_least(range(4, 60), one(router), workload))
        for router in ("jsq", "least_tokens")
    ]
    most = 60
    for short in range(3, 30):
        if short + 1 >= most:
            break
        count, results = _least(range(short + 1, most), two(short), workload)
        if late(results, "first_token_s", 0.99) < MOST_TTFT_S:
            most, best = count, _pooled(f"{short} short, {count - short} long", count, results)
    table(("pools", "instances", "TTFT p99, s", "preemptions", "GPU-hours a day"), [*rows, best])


def _pooled(what: str, count: int, results: Results) -> tuple[object, ...]:
    preemptions = f"{results.totals['preemptions']:,.0f}"
    return what, count, late(results, "first_token_s", 0.99), preemptions, 2 * 24 * count


def routers() -> None:
    """Conversations behind shared system prompts: what each router leaves in memory, at two rates."""
    names = ("random", "round_robin", "power_of_two", "jsq", "least_tokens", "lmetric", "prefix_affine")
    for rate_per_s in (30.0, 60.0):
        workload = composed([Client("chat", rate_per_s, "poisson", CHAT)], 1800.0)
        print(f"{len(workload):,} requests of conversations in half an hour, 8 instances\n")
        rows = []
        for router in names:
            results = simulate(workload, Fleet((Pool(engine_of(*MODEL), 8),), ROUTING.build(router)))
            totals = results.totals
            hits = f"{totals['prefix_hits'] / totals['prefix_queries']:.1%}"
            ttft_s = [late(results, "first_token_s", q) for q in (0.5, 0.99)]
            rows.append((router, hits, *ttft_s, late(results, "done_s")))
        table(("router", "prompt tokens from memory", "TTFT p50, s", "p99, s", "e2e mean, s"), rows)


PARTS = {"policies": policies, "pools": pools, "routers": routers}


def main() -> None:
    """Print all tables, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS)
    asked = parser.parse_args()
    for name, part in PARTS.items():
        if asked.only in (None, name):
            part()


if __name__ == "__main__":
    main()
