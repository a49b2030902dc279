"""How near the replies of a simulated server are to what is simulated: ``python benchmarks/simulate_serve.py``.

A workload is sent to the server over loopback. Then the same requests are simulated, with the arrivals that the server
saw, and the difference to each request's simulated time to first token and to its end is told: by the server's own log,
and as the client reports it, whose sending counts from when it sent. Client and server share the machine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundswell.replay.launch import replay
from groundswell.replay.options import Options
from groundswell.replay.plan import survey
from groundswell.replay.source import held
from groundswell.results import Results
from groundswell.simulate.spec import FleetSpec, PoolSpec, Stated
from groundswell.table import Workload

MODEL, GPU, TP = "qwen2.5-14b", "a100", 2
LOADS = ((10.0, 1), (20.0, 2), (50.0, 4))
"""Requests a second, and instances."""


def workload(rate_per_s: float, seconds: float) -> Workload:
    """Prompts of 500 tokens on average, replies of 60."""
    random, n = np.random.default_rng(1), round(rate_per_s * seconds)
    arrival_s = np.cumsum(random.exponential(1 / rate_per_s, n))
    prompt = np.clip(random.lognormal(5.7, 1.0, n), 16, 8000).astype(np.int32)
    output = np.clip(random.lognormal(3.6, 1.0, n), 1, 500).astype(np.int32)
    return Workload.from_columns(arrival_s, np.zeros(n, np.uint32), ("c",), prompt, output)


def tried(rate_per_s: float, instances: int, seconds: float) -> str:
    """A row of the table."""
    asked = workload(rate_per_s, seconds)
    pool = PoolSpec(model=MODEL, gpu=GPU, tp=TP, instances=instances, prefix_caching=False)
    fleet = Stated.of(FleetSpec(pool=(pool,)))
    options = ["--model", MODEL, "--gpu", GPU, "--tp", str(TP), "--instances", str(instances), "--no-prefix-cache"]
    command = [sys.executable, "-m", "groundswell.cli", "simulate", "--serve", "127.0.0.1:0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder, held(asked) as source:
            sent = Options(url, model=MODEL, probe=False, metrics=False)
            results = Results.read(replay(source, survey(source), sent, Path(folder) / "results.parquet").results)
        process.terminate()
    due_s = results.floats("sent_s")
    order = np.argsort(due_s, kind="stable")
    came = Workload.from_columns(
        due_s[order], np.zeros(due_s.size, np.uint32), ("c",), asked.input_tokens[order], asked.output_tokens[order]
    )
    said = fleet.simulate(came)
    cells = [f"{rate_per_s:g}/s on {instances}"]
    for name in ("first_token_s", "done_s"):
        true_s = said.floats(name) - said.floats("due_s")
        seen_s = (results.floats(name) - due_s)[order]
        cells += [f"{1e3 * np.median(true_s):,.1f}", f"{1e3 * np.median(seen_s):,.1f}", spread(seen_s - true_s)]
    return " | ".join(cells)


def spread(late_s: NDArray[np.float64]) -> str:
    """The median and the 90th percentile of how much later, in ms."""
    median, far = np.percentile(late_s * 1e3, (50, 90))
    return f"{median:.1f}, {far:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    seconds = parser.parse_args().seconds
    print("load | TTFT simulated, ms | seen | later, p50 and p90 | to the end simulated | seen | later, p50 and p90")
    for rate_per_s, instances in LOADS:
        print(tried(rate_per_s, instances, seconds), flush=True)


if __name__ == "__main__":
    main()
