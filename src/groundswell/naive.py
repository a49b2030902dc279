"""The workload everyone uses: one arrival process, and lengths from one shuffled bag.

This is the baseline that client-by-client generation is to be judged against, so it is a strong one: window by window
it has the rate, the aggregate CV and the pooled rows (input and output together) of the workload that it imitates.
What it lacks is clients: rate and lengths know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.arrivals import ARRIVALS
from groundswell.chance import stream_key
from groundswell.errors import UsageError
from groundswell.table import Workload

Floats = NDArray[np.float64]

KINDS = ("gamma", "poisson")
BETWEEN_REQUESTS = ("conversation", "turn", "think_s", "prefix_blocks", "prefix_runs")
"""Columns that say what requests have to do with each other."""
NAME = "naive"


def naive(
    blocks: Iterable[Workload], duration_s: float, seed: int = 0, kind: str = "gamma", window_s: float = 600.0
) -> Iterator[Workload]:
    """The naive imitation of a workload: a block per window of ``window_s`` seconds, from one client called ``naive``.

    ``gamma`` keeps each window's count and the CV of its inter-arrival times; ``poisson`` keeps its rate alone. Rows
    are drawn with replacement from the window's own, each by itself: there are no conversations in what comes out, and
    no shared prefixes. One window of the original is held at a time.
    """
    if kind not in KINDS:
        raise UsageError(f"naive {kind!r} is none of {', '.join(KINDS)}")
    if not (np.isfinite(window_s) and window_s > 0):
        raise UsageError(f"a window of {window_s:g} s: must be above 0")
    for w, frame in _windows(blocks, duration_s, window_s):
        begin, end = w * window_s, min((w + 1) * window_s, duration_s)
        rng = np.random.default_rng([seed, w])
        arrival_s = frame["arrival_s"].to_numpy()
        if kind == "poisson":
            share = np.sort(rng.random(rng.poisson(arrival_s.size)))
        else:
            share = _bridge(arrival_s.size, _cv(arrival_s), stream_key(seed, NAME, w), rng.random())
        rows = rng.integers(0, arrival_s.size, share.size)
        time = np.minimum(begin + share * (end - begin), np.nextafter(end, begin))
        dtype = pl.Enum([NAME])
        yield Workload(
            frame.drop(BETWEEN_REQUESTS, strict=False)[rows].with_columns(
                pl.Series("arrival_s", time), pl.repeat(NAME, share.size, dtype=dtype, eager=True).alias("client")
            )
        )


def _bridge(n: int, cv: float, key: int, phase: float) -> Floats:
    """``n`` sorted places in [0, 1) on a circle whose gaps are Gamma with coefficient of variation ``cv``."""
    gamma = ARRIVALS["gamma"]
    a, b = gamma.shapes(np.array([cv]), np.zeros(1), np.zeros(1), np.array([float(n)]))
    gaps = np.empty(n)
    gamma.fill(gaps, np.array([0, n]), np.array([key], np.uint64), np.zeros(1, np.int64), a, b)
    total = gaps.sum()
    places = np.cumsum(gaps) / total if total > 0 else np.zeros(n)
    return np.sort((places + phase) % 1.0)


def _cv(arrival_s: Floats) -> float:
    """The coefficient of variation of the gaps between arrivals, 1 where there are too few to tell."""
    gaps = np.diff(arrival_s)
    return float(gaps.std() / gaps.mean()) if gaps.size > 1 and gaps.mean() > 0 else 1.0


def _windows(blocks: Iterable[Workload], duration_s: float, window_s: float) -> Iterator[tuple[int, pl.DataFrame]]:
    """The workload's rows by window; windows without any are left out."""
    held: list[pl.DataFrame] = []
    current = 0
    for block in blocks:
        number = np.floor(block.arrival_s / window_s).astype(np.int64)
        cuts = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1, [number.size]]) if number.size else [0]
        for low, high in pairwise(cuts):
            w = int(number[low])
            if w != current and held:
                yield current, pl.concat(held)
                held = []
            current = w
            held.append(block.frame[int(low) : int(high)])
    if held:
        yield current, pl.concat(held)
