"""Simulated requests a second, and memory, as a Markdown table.

    python benchmarks/simulate.py [--rounds 3]

One core; Qwen2.5-14B on two A100. The reference, run beside it on the first few requests, is an engine in plain Python
that does one step after the other (tests/plain_engine.py) and comes to the same times. Compiling is not counted; what
each line holds in memory is, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from common import machine, table
from groundswell.clients.client import Client, pool_of
from groundswell.compose import compose
from groundswell.routing import ROUTING
from groundswell.simulate.cost import engine_of
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Fleet, Pool
from groundswell.table import BLOCK_SIZE_KEY, Workload
from plain_engine import PlainEngine, Request

REFERENCE_REQUESTS = 2_000

CHAT: dict[str, str | float] = {
    "input_tokens": "lognormal:mean=400,cv=1.2",
    "output_tokens": "lognormal:mean=200,cv=1",
    "turns": "exponential:mean=3",
    "think_ms": "lognormal:mean=30000,cv=1",
    "new_tokens": "lognormal:mean=80,cv=1",
    "shared_tokens": "templates:count=20,tokens=600",
}


def plain(requests: int, rate_per_s: float) -> Workload:
    """Lengths as in chats: lognormal, mean 970 and 200; Poisson arrivals."""
    rng = np.random.default_rng(1)
    arrival_s = np.cumsum(rng.exponential(1.0 / rate_per_s, requests))
    prompt = np.clip(rng.lognormal(6.3, 1.1, requests), 1, 12_000).astype(np.int32)
    reply = np.clip(rng.lognormal(4.9, 0.9, requests), 1, 2_000).astype(np.int32)
    return Workload.from_columns(arrival_s, np.zeros(requests, np.uint32), ("all",), prompt, reply)


def chat(requests: int, rate_per_s: float) -> Workload:
    """Conversations behind shared system prompts, so that most of a prompt has been seen before."""
    pool = pool_of([Client("chat", rate_per_s, "poisson", CHAT)], requests / rate_per_s)
    blocks = list(compose(pool, duration_s=requests / rate_per_s))
    return Workload(pl.concat([block.frame for block in blocks]), {BLOCK_SIZE_KEY: 16})


LINES: dict[str, tuple[Callable[[int, float], Workload], int, float, int, str]] = {
    "one instance": (plain, 400_000, 5.0, 1, "round_robin"),
    "one instance, prefix cache": (chat, 200_000, 5.0, 1, "round_robin"),
    "10 instances, join-shortest-queue": (plain, 1_000_000, 50.0, 10, "jsq"),
    "10 instances, prefix cache, prefix-affine": (chat, 200_000, 50.0, 10, "prefix_affine"),
}
"""What is asked, how many requests, how many a second, of how many instances, behind which router."""


def measure(line: str, rounds: int) -> dict[str, float]:
    """The median over some rounds, after one that compiles; memory is this process's at its highest."""
    make, requests, rate_per_s, instances, router = LINES[line]
    workload = make(requests, rate_per_s)
    fleet = Fleet((Pool(engine_of("qwen2.5-14b", "a100", 2), instances),), ROUTING.build(router))
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    simulate(Workload(workload.frame.head(1000), workload.metadata), fleet)
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        results = simulate(workload, fleet)
        took.append(time.perf_counter() - began)
        totals, busy_share = results.totals, results.run["busy_share"]
        del results  # else the next round's memory has two of them
    return {
        "requests": len(workload),
        "seconds": median(took),
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb,
        "hits": totals.get("prefix_hits", 0.0) / totals.get("prefix_queries", 1.0),
        "busy": busy_share,
    }


def reference() -> float:
    """Requests a second of the engine in plain Python."""
    workload = plain(REFERENCE_REQUESTS, 5.0)
    columns = (workload.arrival_s.tolist(), workload.input_tokens.tolist(), workload.output_tokens.tolist())
    requests = [Request(row, *asked) for row, asked in enumerate(zip(*columns, strict=True))]
    engine = PlainEngine(engine_of("qwen2.5-14b", "a100", 2), 1, requests)
    began = time.perf_counter()
    engine.run()
    return REFERENCE_REQUESTS / (time.perf_counter() - began)


def main() -> None:
    """Measure each line in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--line", choices=LINES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.line:
        print(json.dumps(measure(asked.line, asked.rounds)))
        return
    per_s = reference()
    print(f"{machine()}; medians of {asked.rounds} runs; plain Python, one instance: {per_s:,.0f} requests/s\n")
    rows = []
    for line in LINES:
        command = [sys.executable, __file__, "--rounds", str(asked.rounds), "--line", line]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        rate = found["requests"] / found["seconds"]
        hits = f"{found['hits']:.0%}" if found["hits"] else "none"
        rows.append(
            (line, f"{found['requests']:,.0f}", found["seconds"], f"{rate:,.0f}", rate / per_s, hits, found["mb"])
        )
    table(("", "requests", "seconds", "requests/s", "times plain Python", "found in memory", "MB"), rows)


if __name__ == "__main__":
    main()
