"""What it costs to read a row, against what polars alone takes to read the same file: ns of wall and processor time.

Run it alone on the machine: ``python benchmarks/bench_reading.py [rows]``. The rows are those of 147 clients; polars
reads them whole, with the types it finds, and checks nothing.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from common import machine, public_pool, table
from groundswell import formats
from groundswell.compose import compose
from groundswell.formats.reading import read

ROWS = 4_000_000
REPEATS = 5
ALONE: dict[str, Callable[[Path], object]] = {
    "csv": pl.read_csv,
    "azure": pl.read_csv,
    "azure, dates": lambda path: pl.read_csv(path, try_parse_dates=True),
    "burstgpt": pl.read_csv,
    "jsonl": pl.read_ndjson,
    "mooncake": pl.read_ndjson,
    "parquet": pl.read_parquet,
}


def main() -> None:
    """Print the table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    pool = public_pool("m-large").top(147)
    composition = compose(pool, rate=1000.0, duration_s=rows / 1000, seed=1)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for name, alone in ALONE.items():
            form = name.partition(",")[0]
            path = Path(folder) / f"trace{formats.FORMATS[form].ending}"
            n = formats.write(composition, path, form)
            lines.append([name, *measured(path, n, alone)])
            path.unlink()
    print(f"{rows:,} rows, {machine()}\n")
    table(["file", "polars: wall", "processor", "groundswell: wall", "processor", "speed, wall", "processor"], lines)


def measured(path: Path, rows: int, alone: Callable[[Path], object]) -> list[float]:
    """The best of some runs of each, in turn, and how the two compare."""
    theirs, ours = [], []
    for _ in range(REPEATS):
        theirs.append(timed(lambda: alone(path)))
        ours.append(timed(lambda: sum(map(len, read(path)))))
    best = [min(run[i] for run in runs) / rows * 1e9 for runs in (theirs, ours) for i in (0, 1)]
    return [*best, best[0] / best[2], best[1] / best[3]]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall and of processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
