"""Compile every kernel once, into the cache beside the code, so that no later run has to wait seconds for it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from groundswell.arrivals import ARRIVALS
from groundswell.characterize.engine import characterize
from groundswell.clients.client import Client, pool_of
from groundswell.clients.servegen import read_servegen
from groundswell.compose import compose
from groundswell.errors import GroundswellError
from groundswell.fidelity import compare
from groundswell.fit import FitSetting, fit_pool
from groundswell.formats import write
from groundswell.formats.reading import read
from groundswell.population import Population
from groundswell.prefix import with_blocks
from groundswell.rescale import rescale
from groundswell.routing import ROUTING
from groundswell.simulate.fleet import simulate
from groundswell.simulate.live import warm_up
from groundswell.simulate.parts import Engine, Fleet, Outage, Pool, StepCost
from groundswell.summary import Summary
from groundswell.table import BLOCK_SIZE_KEY, Workload

LENGTHS = {
    "input_tokens": "lognormal:mean=800,cv=1.5",
    "output_tokens": "exponential:mean=200",
    "reason_ratio": "empirical:values=(0.2,0.8)",
    "image_count": "zipf:exponent=2,most=8",
    "image_tokens": "lognormal:mean=500,cv=0.5",
}
TALK: dict[str, str | float] = {
    **LENGTHS,
    "turns": "empirical:values=(1,3)",
    "think_ms": 10_000,
    "new_tokens": 20,
    "kept_ratio": "empirical:values=(0.5,1)",
    "regenerate": "empirical:values=(0,1)",
    "shared_tokens": "templates:count=2,tokens=400",
}


def warm() -> None:
    """Compile the simulator's kernels in a process of their own, as they take as long as all others, which are compiled
    here.

    Both write whole files into the cache on disk, so that either may come first. Raises GroundswellError where the
    other process fails.
    """
    with subprocess.Popen([sys.executable, "-m", "groundswell.warm"]) as simulator:
        _use_all_but_the_simulator()
    if simulator.returncode:
        raise GroundswellError(f"the simulator's kernels were not compiled: exit code {simulator.returncode}")


def _use_all_but_the_simulator() -> None:
    """Read a tiny folder, compose requests of every arrival process in each way there is, and look at them in each."""
    with TemporaryDirectory() as folder:
        _read(Path(folder))
    pool = pool_of([Client(name, 3.0, name, LENGTHS) for name in ARRIVALS], span_s=600)
    for counts in ("measured", "renewal"):
        for joint in ("independent", "rank:0.3", "comonotone"):
            for block in compose(pool, counts=counts, joint=joint, block_rows=1_000):  # parts of a window, too
                Summary.of(block)
    whole = everything()
    with TemporaryDirectory() as folder:
        _read_back(whole, Path(folder))
    halves = [Workload(whole.frame[:500]), Workload(whole.frame[500:])]
    characterize(halves)
    no_names, no_prefixes = (
        [Workload(half.frame.drop(column)) for half in halves] for column in ("conversation", "prefix_blocks")
    )
    characterize(no_names)  # conversations are found by their prefixes then
    compare(halves, {"itself": halves})
    for method in ("itt", "thin", "burstgpt"):
        list(rescale(halves, 2.0, method))
    for alike in (halves, no_names, no_prefixes):
        fit_pool(alike, FitSetting(conversations="laws"))
    fitted = fit_pool(halves).pool
    for conversing in (
        fitted,
        pool_of([Client("c", 1.0, "poisson", TALK)], 600),
        Population.load("agent").sample(1, 0),
    ):
        for block in compose(conversing, duration_s=600.0):
            with_blocks(block)


def _use_the_simulator() -> None:
    """Serve requests behind the usual routers, with an instance that fails, and as a server does; other
    routers are compiled when they are used."""
    named = Workload(everything().frame, {BLOCK_SIZE_KEY: 16})
    pool = Pool(Engine(StepCost(0.01, 1e-5), blocks=1_000), 2)
    for name in ("jsq", "round_robin"):
        simulate(named, Fleet((pool,), ROUTING.build(name), outages=(Outage(5.0, 0, 1.0),)))
    warm_up(Fleet((pool,)))


def everything() -> Workload:
    """A thousand requests with every column a trace can have."""
    n, random = 1_000, np.random.default_rng(0)
    tokens = random.integers(1, 1_000, (4, n)).astype(np.int32)
    base = Workload.from_columns(
        np.cumsum(random.exponential(3.0, n)), random.integers(0, 5, n).astype(np.uint32), tuple("abcde"), *tokens[:3]
    )
    blocks = [[i % 7, 100 + i % 50, 1_000 + i] for i in range(n)]
    return Workload(
        base.frame.with_columns(
            output_tokens=pl.col("output_tokens") + pl.col("reason_tokens"),
            image_tokens=pl.Series([[500] * (i % 3) for i in range(n)], dtype=pl.List(pl.Int32)),
            conversation=pl.Series(np.arange(n) // 3 % 200),
            think_s=pl.lit(1.0),
            prefix_blocks=pl.Series(blocks, dtype=pl.List(pl.Int64)),
            failed=pl.Series(tokens[3] % 10 == 0),
        )
    )


def _read_back(workload: Workload, folder: Path) -> None:
    """Write requests, told in ticks and with blocks made smaller and larger, and read them: dates, ids, line ends."""
    ticked = workload.frame.with_columns((pl.col("arrival_s") / 10.0).floor() * 10.0)
    told, metadata = Workload(ticked), {BLOCK_SIZE_KEY: 512}
    for name in ("csv", "azure", "aiperf", "mooncake:block_tokens=256", "mooncake:block_tokens=1024"):
        write([told], folder / "trace", name, metadata)
        list(read(folder / "trace", name.partition(":")[0], dequantise=True))


def _read(folder: Path) -> None:
    """Read a pool of one client and one window."""
    (folder / "chunk-0-trace.csv").write_text("0,1.0,1.5,Gamma,0.44,2.25\n", encoding="utf-8")
    slot = {"input_tokens": "{10: 0.5, 20: 0.5}", "output_tokens": "{5: 1.0}"}
    (folder / "chunk-0-dataset.json").write_text(json.dumps({"0": slot}), encoding="utf-8")
    read_servegen(folder)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches both processes; the other one tells of it
    _use_the_simulator()
