"""Comparisons for tests of how they are told: plain workloads, and names that try to get out of their place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundswell.fidelity import Comparison, compare
from groundswell.table import Workload

NASTY = (
    "<script>alert(1)</script>" * 9,
    "/a/" + "very-long-name" * 40 + "/t.csv",
    "/b/</script><img src=x>",
    "'\"&\x1b",
)


def poisson(seed: int, n: int = 6_000, rate_per_s: float = 5.0, median_tokens: float = 400.0) -> Workload:
    """Requests of a Poisson process with log-normal inputs and exponential outputs."""
    random = np.random.default_rng(seed)
    return Workload.from_columns(
        np.cumsum(random.exponential(1 / rate_per_s, n)),
        np.zeros(n, np.uint32),
        ("all",),
        (median_tokens * random.lognormal(0, 1, n)).astype(np.int32),
        random.exponential(200, n).astype(np.int32),
    )


def few() -> Workload:
    """Two requests."""
    return poisson(1, 2)


def comparison(
    names: Sequence[str] = ("/data/same.csv", "/data/other.csv"), reference: str = "/data/a.csv"
) -> Comparison:
    """A reference, a second draw of it, a candidate with higher rate and longer inputs, and more of those."""
    others = {name: [poisson(2 + i, rate_per_s=5.0 + i, median_tokens=400.0 * (1 + i))] for i, name in enumerate(names)}
    return compare([poisson(1)], others, reference)
