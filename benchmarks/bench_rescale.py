"""How fast a trace with conversations is rescaled and mixed, against reading and writing it unchanged; and the memory.

    python benchmarks/bench_rescale.py [millions]

A Parquet file of five million requests, made by ``compose``; each run is a process of its own, with its imports.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import machine, table
from groundswell import formats
from groundswell.clients.client import Client, pool_of
from groundswell.compose import Talking, compose

LAWS = {
    "input_tokens": "lognormal:mean=1500,cv=1.2",
    "output_tokens": "exponential:mean=200",
    "turns": "empirical:values=(1,2,4,8),weights=(6,2,1,1)",
    "think_ms": "lognormal:mean=90000,cv=1.5",
    "new_tokens": "lognormal:mean=60,cv=1",
}
RATE_PER_S = 500.0
RUNS = {
    "unchanged (convert)": ("convert", "{trace}", "{out}"),
    "itt x4": ("rescale", "{trace}", "--to", "x4", "-o", "{out}"),
    "itt x0.3": ("rescale", "{trace}", "--to", "x0.3", "-o", "{out}"),
    "naive x4": ("rescale", "{trace}", "--to", "x4", "--method", "naive", "-o", "{out}"),
    "thin x0.5": ("rescale", "{trace}", "--to", "x0.5", "--method", "thin", "-o", "{out}"),
    "thin x2.5": ("rescale", "{trace}", "--to", "x2.5", "--method", "thin", "-o", "{out}"),
    "burstgpt x2": ("rescale", "{trace}", "--to", "x2", "--method", "burstgpt", "-o", "{out}"),
    "mix with itself, 0.5 : 0.5": ("mix", "{trace}:0.5", "{trace}:0.5", "--rate", f"{RATE_PER_S:g}", "-o", "{out}"),
}


def main() -> None:
    millions = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    span_s = millions * 1e6 / RATE_PER_S
    pool = pool_of([Client(f"client-{i}", RATE_PER_S / 50, "gamma:cv=2", LAWS) for i in range(50)], span_s)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        trace, out = Path(folder) / "trace.parquet", Path(folder) / "out.parquet"
        rows = formats.write(compose(pool, seed=1, talking=Talking(block_tokens=0)), trace)
        first = 0.0
        for name, words in RUNS.items():
            command = [word.format(trace=trace, out=out) for word in words]
            begin = time.perf_counter()
            timed = [sys.executable, "-c", PEAK, sys.executable, "-m", "groundswell.cli", *command]
            said = subprocess.run(timed, check=True, capture_output=True, text=True).stdout
            per_s = rows / (time.perf_counter() - begin)
            first = first or per_s
            lines.append((name, f"{per_s / 1e6:.2f}", per_s / first, round(int(said.split()[-1]) / 1024)))
    print(f"{rows:,} requests, {machine()}\n")
    table(("what", "M requests read/s", "ratio", "peak MB"), lines)


PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""

if __name__ == "__main__":
    main()
