"""Small workloads for the tests, and ways to cut them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from groundswell.formats import FORMATS
from groundswell.table import Workload

WRITTEN = tuple(name for name in FORMATS if name != "wildchat")
"""The formats that are not read only."""

CLIENTS = ("alice", "bob", 'c,"d"', "élan", "idle")


def random_workload(n: int, seed: int = 0, *, reason: bool = False, items: bool = False) -> Workload:
    """``n`` requests at 5 req/s of all clients but the last, from 0 s on."""
    rng = np.random.default_rng([seed, n])
    count = rng.poisson(0.7, n)
    output = rng.geometric(0.004, n).astype(np.int32)
    return Workload.from_columns(
        np.cumsum(rng.exponential(0.2, n)),
        rng.choice(4, n, p=[0.6, 0.3, 0.08, 0.02]).astype(np.uint32),
        CLIENTS,
        np.ceil(rng.lognormal(6, 1.2, n)).astype(np.int32),
        output,
        reason_tokens=(output * 0.6).astype(np.int32) if reason else None,
        items={"image_tokens": (count, rng.integers(1, 1500, count.sum()).astype(np.int32))} if items else None,
        metadata={"seed": seed, "duration_s": 0.2 * n},
    )


def cut(workload: Workload, places: Sequence[int]) -> list[Workload]:
    """``workload`` cut before the given rows, into blocks of which some may be empty."""
    edges = [0, *sorted(min(place, len(workload)) for place in places), len(workload)]
    return [Workload(workload.frame[low:high], workload.metadata) for low, high in pairwise(edges)]
