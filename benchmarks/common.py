"""What the benchmarks share: where the public data lies, tables, and ServeGen's published method as a reference."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from groundswell.clients import ClientPool
from groundswell.clients.servegen import read_servegen

POOLS = {
    "m-large": "language/m-large",
    "m-small": "language/m-small",
    "deepseek-r1": "reason/deepseek-r1",
    "mm-image": "multimodal/mm-image",
}


def data_folder() -> Path:
    """Where the public data lies; the benchmark ends with a line where there is none."""
    folder = Path(os.environ.get("GROUNDSWELL_DATA", Path(__file__).parents[1] / "../shared/data")).resolve()
    if not (folder / "servegen").is_dir():
        sys.exit("no public pools here: set GROUNDSWELL_DATA to a folder that holds servegen/data")
    return folder


def pool_folder(name: str) -> Path:
    return data_folder() / "servegen" / "data" / POOLS[name]


def public_pool(name: str) -> ClientPool:
    return read_servegen(pool_folder(name))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(f"{x:.3g}" if isinstance(x, float) else str(x) for x in row) + " |", flush=True)
    print(flush=True)


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def published_method(pool: ClientPool, rate_per_s: float, windows: int, seed: int = 0) -> list[tuple[float, int, int]]:
    """ServeGen's published way, as we read it, in plain Python over NumPy: the reference for speed.

    For each client and window: ceil(rate × window) gaps, stretched to fill the window; for each request one uniform
    that drives every field through that client's cumulative distribution; one object a request; one sort at the end.
    """
    rng = np.random.default_rng(seed)
    requests: list[tuple[float, int, int]] = []
    for w in range(windows):
        factor = rate_per_s / pool.total_rate_per_s[w]
        slot = pool.slot_of_window[w]
        for c in range(len(pool)):
            rate = pool.rate_per_s[c, w] * factor
            held = pool.nearest_slot[c, slot]
            if rate <= 0 or held < 0:
                continue
            n = int(np.ceil(rate * pool.window_s))
            gaps = rng.gamma(max(pool.cv[c, w], 1e-3) ** -2.0, 1.0, n)
            arrivals = w * pool.window_s + np.cumsum(gaps) / gaps.sum() * pool.window_s
            columns = [pool.fields.index(f) for f in ("input_tokens", "output_tokens")]
            tables = [pool.lengths.table(int(pool.table[c, held, f])) for f in columns]
            cumulative = [np.cumsum(p) for _, p in tables]
            for arrival in arrivals[:-1]:
                u = rng.random()
                lengths = [
                    int(values[min(int(np.searchsorted(below, u)), values.size - 1)])
                    for (values, _), below in zip(tables, cumulative, strict=True)
                ]
                requests.append((float(arrival), lengths[0], lengths[1]))
    requests.sort(key=lambda request: request[0])
    return requests
