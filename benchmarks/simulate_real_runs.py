"""Runs of vLLM against their simulation by embedded profiles, none of whose figures saw a run but the default overhead.

LLMServingSim (casys-kaist/LLMServingSim, MIT) publishes when each of 300 requests came, had its first token and ended,
on two cards. Printed is by how much the simulation's means and P99 of TTFT differ from the run's, for some overheads.

    GROUNDSWELL_DATA=... python benchmarks/simulate_real_runs.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from common import data_folder, table
from groundswell.simulate.cost import profile_of
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Fleet, Pool
from groundswell.table import Workload

RUNS = {"RTX4090_Llama-3.1-8B": ("rtx4090", 256), "RTXPRO6000_Llama-3.1-8B": ("rtxpro6000", 128)}
"""Card, and how many requests may run."""
OVERHEADS_S = (0.0, 1e-3, 2e-3)

Floats = NDArray[np.float64]


def read(folder: Path) -> pl.DataFrame:
    """A run's requests in the order in which they came."""
    return pl.read_ndjson(folder / "requests.jsonl").sort("queued_ts")


def asked(run: pl.DataFrame) -> Workload:
    """The run's requests as a workload."""
    client = pl.lit("run").cast(pl.Enum(["run"])).alias("client")
    arrival = (pl.col("queued_ts") - pl.col("queued_ts").min()).alias("arrival_s")
    lengths = [pl.col(f"{of}_toks").cast(pl.Int32).alias(f"{of}_tokens") for of in ("input", "output")]
    return Workload(run.select(arrival, client, *lengths), {})


def figures(came_s: Floats, first_s: Floats, done_s: Floats, tokens: Floats) -> Floats:
    """Mean TPOT, mean latency, mean TTFT and its P99, in seconds."""
    ttft_s, tpot_s = first_s - came_s, (done_s - first_s) / np.maximum(1, tokens - 1)
    return np.array([tpot_s.mean(), (done_s - came_s).mean(), ttft_s.mean(), np.quantile(ttft_s, 0.99)])


def main() -> None:
    rows = []
    for name, (gpu, most_running) in RUNS.items():
        run = read(data_folder() / "vllm_runs" / name)
        tokens = run["output_toks"].to_numpy()
        came_s, first_s, done_s = (run[f"{what}_ts"].to_numpy() for what in ("queued", "first_token", "last_token"))
        real = figures(came_s, first_s, done_s, tokens)
        for overhead_s in OVERHEADS_S:
            engine = profile_of("llama-3.1-8b", gpu).with_overhead(overhead_s).configured(most_running=most_running)
            got = simulate(asked(run), Fleet((Pool(engine, 1),))).frame
            came_s, first_s, done_s = (got[f"{what}_s"].to_numpy() for what in ("due", "first_token", "done"))
            ours = figures(came_s, first_s, done_s, tokens)
            off = [f"{x:+.1%}" for x in ours / real - 1]
            rows.append([gpu, engine.blocks, f"{1e3 * overhead_s:g}", *off])
    table(["card", "blocks", "overhead, ms", "mean TPOT", "mean latency", "mean TTFT", "P99 TTFT"], rows)


if __name__ == "__main__":
    main()
