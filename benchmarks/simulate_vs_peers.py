"""Simulated requests a second beside Dynamo's offline replay, on the same arrivals and lengths, as a Markdown table.

    python benchmarks/simulate_vs_peers.py [--requests 100000] [--rounds 3]

Dynamo is run where GROUNDSWELL_DYNAMO names its venv (`make test-servers` makes it). Both have engines of 20,000 blocks
of 16 tokens, 256 requests and 2,048 tokens a step; what a step takes is each one's own. Time is of the simulation
alone, as each tool tells it: without starting Python, reading the trace, or compiling, which we do once for all runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from common import machine, table
from groundswell.formats import write
from groundswell.routing import ROUTING
from groundswell.simulate.cost import profile_of
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Engine, Fleet, Pool
from groundswell.table import Workload
from real_servers import in_venvs

RATE_PER_S = 5.0
"""Of each instance: some twenty requests run at a time."""
ENGINE = {"num_gpu_blocks": 20_000, "block_size": 16, "max_num_seqs": 256, "max_num_batched_tokens": 2048}

DYNAMO = """
import json, sys
from dynamo.replay import run_trace_replay
trace, workers, engine = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
said = run_trace_replay(trace, num_workers=workers, trace_block_size=512, extra_engine_args={"engine": engine})
assert said.summary["completed_requests"] == said.summary["num_requests"]
print(said.summary["num_requests"] / said.summary["wall_time_ms"] * 1e3)
"""


def traffic(requests: int, instances: int) -> Workload:
    """Lengths as in chats: lognormal, mean 970 and 200."""
    rng = np.random.default_rng(1)
    arrival_s = np.cumsum(rng.exponential(1.0 / (RATE_PER_S * instances), requests))
    prompt = np.clip(rng.lognormal(6.3, 1.1, requests), 1, 12_000).astype(np.int32)
    reply = np.clip(rng.lognormal(4.9, 0.9, requests), 1, 2_000).astype(np.int32)
    return Workload.from_columns(arrival_s, np.zeros(requests, np.uint32), ("all",), prompt, reply)


def ours(workload: Workload, instances: int, router: str, rounds: int) -> float:
    """Requests a second: the median of some rounds, after one that compiles."""
    cost = profile_of("qwen2.5-14b", "a100", 2).cost
    engine = Engine(cost, ENGINE["num_gpu_blocks"], ENGINE["max_num_seqs"], ENGINE["max_num_batched_tokens"])
    fleet = Fleet((Pool(engine, instances),), ROUTING.build(router))
    took = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        simulate(workload, fleet)
        took.append(time.perf_counter() - began)
    return len(workload) / median(took[1:])


def dynamos(venv: Path, trace: Path, instances: int, rounds: int) -> float:
    """Requests a second, as its own report tells."""
    command = [str(venv / "bin/python"), "-c", DYNAMO, str(trace), str(instances), json.dumps(ENGINE)]
    found = []
    for _ in range(rounds):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"Dynamo: {done.stderr.strip().splitlines()[-1]}")
        found.append(float(done.stdout.splitlines()[-1]))
    return median(found)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    venv = in_venvs.venv_of("dynamo")
    if venv is None:
        print(in_venvs.how_to_get("dynamo"))
    print(f"{machine()}, {asked.requests:,} requests, medians of {asked.rounds} runs\n")
    rows = []
    for instances, router in ((1, "round_robin"), (10, "round_robin"), (10, "jsq")):
        workload = traffic(asked.requests, instances)
        rate = ours(workload, instances, router, asked.rounds)
        theirs: object = "has none" if venv else "not installed"
        if venv and router == "round_robin":
            with tempfile.TemporaryDirectory() as scratch:
                trace = Path(scratch) / "trace.jsonl"
                write([workload], trace, "mooncake:block_tokens=512", {})
                theirs = dynamos(venv, trace, instances, asked.rounds)
        ratio = f"{rate / theirs:.0f}" if isinstance(theirs, float) else ""
        rows.append((instances, router, f"{rate:,.0f}", theirs if isinstance(theirs, str) else f"{theirs:,.0f}", ratio))
    table(("instances", "router", "groundswell, requests/s", "Dynamo, requests/s", "ratio"), rows)


if __name__ == "__main__":
    main()
