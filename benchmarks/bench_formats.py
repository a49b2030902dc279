"""What it costs to make, sum up and write a row: ns of wall and of processor time, and bytes, for every format.

Run it alone on the machine: ``python benchmarks/bench_formats.py [rows]``. The rows are those of 147 clients.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from groundswell import formats, table
from groundswell.formats import FORMATS
from groundswell.summary import Summary
from groundswell.table import Workload

BLOCK_ROWS = 262_144
CLIENTS = tuple(f"client-{i}" for i in range(147))
COMPRESSIONS: tuple[dict[str, Any], ...] = (
    {"compression": "uncompressed"},
    {"compression": "snappy"},
    {"compression": "lz4"},
    {"compression": "zstd", "compression_level": 1},
    {"compression": "zstd", "compression_level": 3},
)


def columns(block: int, images: bool) -> Callable[[], Workload]:
    """What makes block number ``block`` of a workload of 200 req/s, from arrays that are already there."""
    rng = np.random.default_rng(block)
    share = rng.dirichlet(np.full(len(CLIENTS), 0.3))
    arrival_s = block * BLOCK_ROWS / 200 + np.sort(rng.random(BLOCK_ROWS)) * BLOCK_ROWS / 200
    code = rng.choice(len(CLIENTS), BLOCK_ROWS, p=share).astype(np.uint32)
    lengths = [np.ceil(rng.lognormal(mu, 1.2, BLOCK_ROWS)).astype(np.int32) for mu in (6.0, 5.0)]
    count = rng.poisson(0.7, BLOCK_ROWS)
    items = {"image_tokens": (count, rng.integers(64, 1500, count.sum()).astype(np.int32))} if images else None
    return lambda: Workload.from_columns(arrival_s, code, CLIENTS, lengths[0], lengths[1], items=items)


@contextmanager
def timed(label: str, rows: int, path: Path | None = None) -> Iterator[None]:
    """Print what the lines inside cost a row."""
    wall, busy = time.perf_counter(), time.process_time()
    yield
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    size = f"{path.stat().st_size / rows:10.1f}" if path is not None else " " * 10
    print(f"{label:<32}{wall / rows * 1e9:10.1f}{busy / rows * 1e9:10.1f}{size}{rows / wall / 1e6:10.1f}")


def main(rows: int) -> None:
    """Print the table."""
    print(f"{'':<32}{'ns':>10}{'core ns':>10}{'bytes':>10}{'M rows/s':>10}")
    for images in (False, True):
        makers = [columns(k, images) for k in range(max(rows // BLOCK_ROWS, 1))]
        made = [make() for make in makers]
        total = len(made) * BLOCK_ROWS
        kind = "text and images" if images else "text"
        with timed(f"{kind}: from columns", total):
            for make in makers:
                make()
        Summary.of(made[0])
        with timed(f"{kind}: summary", total):
            sum((Summary.of(block) for block in made), Summary())
        with tempfile.TemporaryDirectory() as folder:
            write_all(kind, made, Path(folder))


def write_all(kind: str, made: Sequence[Workload], folder: Path) -> None:
    """Time every format, and the choices there are for Parquet."""
    chosen = dict(table.PARQUET)
    for how in COMPRESSIONS:
        table.PARQUET.pop("compression_level", None)
        table.PARQUET.update(how)
        label = " ".join(str(value) for value in how.values())
        write_one(f"{kind}: parquet {label}", "parquet", made, folder / "trace")
    table.PARQUET.clear()
    table.PARQUET.update(chosen)
    for name in FORMATS:
        if name != "parquet":
            write_one(f"{kind}: {name}", name, made[:4] if name == "vllm" else made, folder / "trace")


def write_one(label: str, name: str, made: Sequence[Workload], path: Path) -> None:
    """Time one format."""
    formats.write(made[:1], path, name)
    with timed(label, sum(map(len, made)), path):
        formats.write(made, path, name)


if __name__ == "__main__":
    main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 4_000_000)
