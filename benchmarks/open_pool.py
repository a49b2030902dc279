"""How long a pool takes to open: ServeGen's folder and our own file, against plain Python on the same files.

    python benchmarks/open_pool.py

Each figure is from a process of its own, with the kernels compiled before and imports not counted. Cold means that the
files were first dropped from the page cache, warm that the same process had read them once. The reference reads a
trace with ``csv``, and a dataset with ``json`` and ``ast.literal_eval``; it reads a tenth of the files, scaled by size.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import POOLS, machine, pool_folder, table
from groundswell.clients.pool_file import write_pool
from groundswell.clients.servegen import read_servegen

_TIMED = """
import sys, time
from {module} import {function} as read
for _ in range(2):
    start = time.perf_counter()
    read(sys.argv[1])
    print(time.perf_counter() - start)
"""


def main() -> None:
    print(f"{machine()}; seconds\n")
    rows = []
    with tempfile.TemporaryDirectory() as made:
        for name in POOLS:
            folder, file = pool_folder(name), Path(made) / f"{name}.pool"
            write_pool(read_servegen(folder), file)
            drop_from_cache(list(folder.iterdir()))
            cold_s, warm_s = opened_s("groundswell.clients.servegen", "read_servegen", folder)
            file_s, file_again_s = opened_s("groundswell.clients.pool_file", "read_pool", file)
            reference_s = plain_python_s(folder)
            rows.append(
                [
                    name,
                    f"{sum(size_of(path) for path in folder.iterdir()) / 1e6:.1f} MB",
                    f"{cold_s:.3f}",
                    f"{warm_s:.3f}",
                    f"{size_of(file) / 1e6:.2f} MB",
                    f"{file_s:.3f}",
                    f"{file_again_s:.3f}",
                    f"{reference_s:.2f}",
                    f"{reference_s / cold_s:.0f} ×",
                    f"{reference_s / file_s:.0f} ×",
                ]
            )
    head = "pool, folder, cold, warm, own file, first, again, plain Python, folder cold, own file first"
    table(head.split(", "), rows)


def opened_s(module: str, function: str, path: Path) -> tuple[float, float]:
    """Seconds to open ``path`` in a fresh process, and again in the same process."""
    code = _TIMED.format(module=module, function=function)
    out = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    first_s, again_s = map(float, out.stdout.split())
    return first_s, again_s


def drop_from_cache(files: list[Path]) -> None:
    """Ask the system to forget the files' pages; it may keep them where it has no disk behind."""
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def plain_python_s(folder: Path) -> float:
    """Seconds that plain Python would take for the folder, from every tenth file of each kind."""
    total_s = 0.0
    for pattern, read in (("*-trace.csv", plain_trace), ("*-dataset.json", plain_dataset)):
        files = sorted(folder.glob(pattern), key=size_of)
        some = files[5::10]
        start_s = time.perf_counter()
        for path in some:
            read(path)
        total_s += (time.perf_counter() - start_s) * sum(map(size_of, files)) / sum(map(size_of, some))
    return total_s


def plain_trace(path: Path) -> list[list[object]]:
    with path.open(newline="") as file:
        return [
            [float(t), float(rate), float(cv), kind, float(a), float(b)] for t, rate, cv, kind, a, b in csv.reader(file)
        ]


def plain_dataset(path: Path) -> dict[str, dict[str, dict[float, float]]]:
    slots = json.loads(path.read_text())
    return {slot: {field: ast.literal_eval(text) for field, text in fields.items()} for slot, fields in slots.items()}


def size_of(path: Path) -> int:
    return path.stat().st_size


if __name__ == "__main__":
    main()
