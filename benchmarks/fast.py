"""How fast and in how much memory a workload is composed. Prints tables; each measurement runs in a process of its own.

The reference is ServeGen's published method as we read it (benchmarks/common.py), in the same run.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from common import POOLS, machine, pool_folder, public_pool, published_method, table
from groundswell import formats
from groundswell.clients.pool_file import read_pool, write_pool
from groundswell.compose import compose

Work = Callable[[str, str, float, float], int]
opened = cache(read_pool)


def in_memory(pool: str, rate: str, duration_s: float, start_s: float) -> int:
    return sum(block.frame.height for block in compose(opened(pool), rate, duration_s, 1, start_s=start_s))


def into_parquet(pool: str, rate: str, duration_s: float, start_s: float) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return formats.write(compose(opened(pool), rate, duration_s, 1, start_s=start_s), Path(folder) / "w.parquet")


def best(
    work: Callable[[str, str, float, float], int], pool: str, rate: str, duration_s: float, start_s: float
) -> None:
    """Print rows, the least of three times in seconds, and the peak memory in MB, as JSON."""
    work(pool, rate, 600.0, start_s)  # the kernels are compiled, or loaded, before the clock starts
    times = []
    for _ in range(3 if duration_s < 10_000 else 1):
        begin = time.perf_counter()
        rows = work(pool, rate, duration_s, start_s)
        times.append(time.perf_counter() - begin)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "s": min(times), "peak_mb": peak_mb}))


def apart(what: str, *arguments: object) -> dict[str, float]:
    """Run one measurement in a process of its own: rows, seconds, peak memory."""
    command = [sys.executable, __file__, what, *map(str, arguments)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    print(machine() + "\n")
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name in POOLS:
            paths[name] = Path(folder) / f"{name}.pool"
            write_pool(public_pool(name), paths[name])
        rows = []
        for name in POOLS:
            pool = public_pool(name)
            begin = time.perf_counter()
            reference = len(published_method(pool, 100.0, 1)) / (time.perf_counter() - begin)
            start_s = 36_000.0
            memory = apart("in_memory", paths[name], "2000", 6000.0, start_s)
            disk = apart("into_parquet", paths[name], "2000", 6000.0, start_s)
            speed, disk_speed = memory["rows"] / memory["s"], disk["rows"] / disk["s"]
            rows.append(
                (
                    name,
                    f"{reference:,.0f}",
                    f"{speed / 1e6:.1f} M",
                    f"{speed / reference:.0f}×",
                    f"{disk_speed / 1e6:.1f} M",
                    f"{disk_speed / reference:.0f}×",
                )
            )
        print("Requests composed a second: 12 million at 2,000 req/s, the pool open; best of three\n")
        table(["pool", "published method", "in memory", "ratio", "into Parquet", "ratio"], rows)

        print("Peak memory of a process that writes Parquet from m-large\n")
        sizes = []
        for rate, duration_s in (("2000", 5000.0), ("2000", 50_000.0), ("20000", 5000.0)):
            one = apart("into_parquet", paths["m-large"], rate, duration_s, 0.0)
            sizes.append(
                (
                    f"{rate} req/s, {duration_s:g} s",
                    f"{one['rows'] / 1e6:.1f} M",
                    f"{one['rows'] / one['s'] / 1e6:.1f} M/s",
                    f"{one['peak_mb']:.0f} MB",
                )
            )
        table(["run", "requests", "speed", "peak memory"], sizes)

    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        path = Path(folder) / "all.parquet"
        command = [
            sys.executable,
            "-m",
            "groundswell.cli",
            "generate",
            str(pool_folder("m-large")),
            "--rate",
            "195.84",
            "-o",
            str(path),
        ]
        subprocess.run(command, check=True, capture_output=True)
        took_s, size_gb = time.perf_counter() - begin, path.stat().st_size / 1e9
        print(f"All 14 days of m-large at 195.84 req/s in one command: {took_s:.1f} s, {size_gb:.2f} GB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        what, pool, rate, duration_s, start_s = sys.argv[1:]
        work = {"in_memory": in_memory, "into_parquet": into_parquet}[what]
        best(work, pool, rate, float(duration_s), float(start_s))
    else:
        main()
