"""How fast a whole trace is characterized, every topic, against what polars alone takes to read it; and the memory.

    python benchmarks/bench_characterize.py [--millions 10 100]

Each run is a process of its own, so that its peak memory is its own. Traces are generated: m-large (147 clients), the
same as CSV and JSONL, deepseek-r1 with reasoning, mm-image with images. Run it alone on the machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from common import machine, public_pool, table
from groundswell import formats
from groundswell.compose import compose

RATE_PER_S = 1_000.0
ALONE: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": pl.read_parquet,
    ".csv": pl.read_csv,
    ".jsonl": pl.read_ndjson,
}


def alone(path: Path) -> int:
    """Rows that polars reads."""
    return len(ALONE[path.suffix](path))


def whole(path: Path) -> int:
    """Rows that are characterized."""
    from groundswell.characterize.engine import characterize
    from groundswell.formats.reading import read

    return characterize(read(path)).summary.requests


def run_apart(what: str, path: Path) -> dict[str, float]:
    """One of the two in a process of its own."""
    words = [sys.executable, __file__, "--run", what, "--path", str(path)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def one_run(what: str, path: Path) -> None:
    begun_s = time.perf_counter()
    rows = {"alone": alone, "whole": whole}[what](path)
    took_s = time.perf_counter() - begun_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "s": took_s, "peak_mb": peak_mb}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[10, 100])
    parser.add_argument("--run", choices=["alone", "whole"])
    parser.add_argument("--path", type=Path)
    asked = parser.parse_args()
    if asked.run:
        one_run(asked.run, asked.path)
        return
    least, most = min(asked.millions), max(asked.millions)
    cases = [("m-large", ".parquet", millions) for millions in asked.millions]
    cases += [("m-large", ".csv", least), ("m-large", ".jsonl", least)]
    cases += [("deepseek-r1", ".parquet", least), ("mm-image", ".parquet", least)]
    rows = []
    print(f"{machine()}\n")
    with tempfile.TemporaryDirectory() as folder:
        for name, ending, millions in cases:
            path = Path(folder) / f"trace{ending}"
            formats.write(compose(public_pool(name), RATE_PER_S, millions * 1e6 / RATE_PER_S, 1), path)
            theirs = run_apart("alone", path) if millions < most or least == most or ending != ".parquet" else None
            ours = run_apart("whole", path)
            speed = ours["rows"] / ours["s"]
            row = [f"{name}, {ending[1:]}", f"{ours['rows'] / 1e6:.1f} M", f"{speed / 1e6:.2f} M/s"]
            row += (
                [f"{theirs['rows'] / theirs['s'] / 1e6:.2f} M/s", f"{theirs['s'] / ours['s']:.2f}"]
                if theirs
                else ["–"] * 2
            )
            rows.append([*row, f"{ours['peak_mb']:.0f} MB"])
            path.unlink()
    table(["trace", "requests", "characterized", "polars reads alone", "ratio", "peak memory"], rows)


if __name__ == "__main__":
    main()
