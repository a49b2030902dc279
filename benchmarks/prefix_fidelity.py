"""How like a trace the workload is that is generated from its fit: what a cache would hit, lengths, times of reuse.

``python benchmarks/prefix_fidelity.py TRACE [--seeds 3] [--min-requests 50] [--window 10m] [--conversations laws]
[--min-group 100]``: the share of blocks that a cache of each size hits (least recently used forgotten first), for the
trace and as the mean over seeds, and their greatest difference; the Kolmogorov–Smirnov distance of input and output
lengths; quantiles of the time to the last use.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import machine, table
from groundswell.characterize import _reuse
from groundswell.characterize._reuse import Requests, Reuse
from groundswell.characterize._stack import distance_edges, seconds_edges
from groundswell.compose import compose
from groundswell.fit import FitSetting, fit_pool
from groundswell.formats.reading import read
from groundswell.prefix import expanded, flat
from groundswell.table import Workload
from groundswell.units import parse_duration

SIZES = tuple(round(10 ** (e / 4)) for e in range(4, 29))  # 10 to 10 M blocks
_reuse.MOST = 2**26  # all blocks are followed: a sample of them would have noise of its own
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Seen:
    """What a workload is like."""

    requests: int
    turns: float
    hit: np.ndarray
    reuse_s: np.ndarray
    input_tokens: np.ndarray
    output_tokens: np.ndarray

    @classmethod
    def of(cls, blocks: Iterable[Workload]) -> Seen:
        """That of a workload's blocks."""
        reuse, given, replies, references, talks = Reuse(), [], [], 0, set[int]()
        for block in expanded(blocks):
            if not len(block):
                continue
            count, ids = (
                flat(block.frame["prefix_blocks"])
                if "prefix_blocks" in block.frame.columns
                else (np.zeros(len(block), np.int64), np.empty(0, np.int64))
            )
            n = len(block)
            reuse += Reuse.of(
                Requests(ids, np.cumsum(count), np.zeros(n, np.int32), block.arrival_s, np.zeros(n, np.uint64),
                         np.zeros(n, np.uint32))
            )  # fmt: skip
            references += ids.size
            given.append(block.input_tokens)
            replies.append(block.output_tokens)
            if "conversation" in block.frame.columns:
                talks.update(block.frame["conversation"].drop_nulls().to_list())
        below = np.append(0.0, np.cumsum(reuse.distances))
        hit = below[np.searchsorted(distance_edges(), SIZES)] / max(references, 1)
        share = np.cumsum(reuse.seconds) / max(reuse.seconds.sum(), 1.0)
        reuse_s = seconds_edges()[np.minimum(np.searchsorted(share, QUANTILES), share.size - 1)]
        lengths = np.concatenate(given), np.concatenate(replies)
        return cls(lengths[0].size, lengths[0].size / max(len(talks), 1), hit, reuse_s, *lengths)


def ks(a: np.ndarray, b: np.ndarray) -> float:
    """The Kolmogorov–Smirnov distance of two samples."""
    a, b = np.sort(a), np.sort(b)
    grid = np.concatenate([a, b])
    return float(np.abs(np.searchsorted(a, grid, "right") / a.size - np.searchsorted(b, grid, "right") / b.size).max())


def compared(trace: list[Workload], setting: FitSetting, seeds: int) -> tuple[float, float, float]:
    """Print trace and fit side by side: the greatest difference of hit rates (of means), and of lengths."""
    real = Seen.of(trace)
    began = time.perf_counter()
    fitted = fit_pool(trace, setting)
    took = time.perf_counter() - began
    pool = fitted.pool
    shared = 0 if pool.sessions is None else pool.sessions.shared_tokens.size
    talks = 0 if pool.sessions is None else len(pool.sessions)
    print(f"fit {real.requests / took:,.0f}/s; {len(pool)} senders, {talks} conversations, {shared} beginnings")
    made = [Seen.of(compose(pool, seed=seed)) for seed in range(seeds)]
    hit = np.mean([one.hit for one in made], axis=0)
    each = np.max([np.abs(one.hit - real.hit) for one in made])
    gap = float(np.abs(hit - real.hit).max())
    shown = np.unique(np.append(np.flatnonzero(np.diff(real.hit, prepend=-1) > 0.002), len(SIZES) - 1))
    table(["blocks", "trace", "generated"], [(SIZES[i], float(real.hit[i]), float(hit[i])) for i in shown])
    reuse = np.mean([one.reuse_s for one in made], axis=0)
    table(["reuse s", "trace", "generated"], zip(QUANTILES, map(float, real.reuse_s), map(float, reuse), strict=True))
    of = [np.mean([ks(getattr(one, f), getattr(real, f)) for one in made]) for f in ("input_tokens", "output_tokens")]
    sizes = [one.requests for one in made]
    print(
        f"hit rate off by {gap:.4f} at most (one seed: {each:.4f}); KS of input {of[0]:.4f}, output {of[1]:.4f}; "
        f"requests {real.requests} and {sizes}; a conversation {np.mean([one.turns for one in made]):.2f}\n"
    )
    return gap, float(of[0]), float(of[1])


def main() -> None:
    """Compare the traces that are named."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("trace", nargs="+", type=Path)
    ask.add_argument("--seeds", type=int, default=3)
    ask.add_argument("--min-requests", type=int, default=50)
    ask.add_argument("--window", default="10m")
    ask.add_argument("--min-group", type=int, default=1)
    ask.add_argument("--conversations", choices=["whole", "laws"], default="whole")
    ask.add_argument("--from", dest="format")
    ask.add_argument("--dequantise", action="store_true")
    asked = ask.parse_args()
    print(machine())
    setting = FitSetting(
        window_s=parse_duration(asked.window),
        min_requests=asked.min_requests,
        min_group=asked.min_group,
        conversations=asked.conversations,
    )
    for path in asked.trace:
        print(f"## {path.name}")
        compared(list(read(path, asked.format, dequantise=asked.dequantise)), setting, asked.seeds)


if __name__ == "__main__":
    main()
