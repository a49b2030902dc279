"""Small workloads for the tests, and ways to cut them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from groundswell.formats import FORMATS
from groundswell.service import TPOT_S, TTFT_S
from groundswell.table import COLUMNS, Workload

WRITTEN = tuple(name for name in FORMATS if hasattr(FORMATS[name], "layout") and name != "wildchat")
"""The formats that are both written and read."""
READ_AS = {"guidellm": "vllm", "dynamo": "mooncake"}
"""What a file without conversations is taken for, where that is another format than it was written in."""

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


def everything() -> Workload:
    """300 requests with every column there is: 60 conversations whose turns hold what was said before, and come 400 s
    after the end of the reply before, at the nominal speed."""
    turns, talks = 5, 60
    rng = np.random.default_rng(5)
    clients = ["a", "ü", 'x"y,z']
    shape = (turns, talks)
    output, new = rng.integers(2, 300, shape), rng.integers(600, 3000, shape)
    apart_s = TTFT_S + TPOT_S * output + 400
    begin_s = np.sort(rng.uniform(0, 300, talks)).round(3)
    i = np.arange(turns * talks)
    images = 21 * (i % 2).reshape(shape)  # items are part of what is said
    text = (new + output + images).cumsum(0) - output - images
    frame = pl.DataFrame(
        {
            "arrival_s": (begin_s + apart_s.cumsum(0) - apart_s).round(6).ravel(),
            "client": pl.Series([clients[k % 3] for k in i], dtype=pl.Enum(clients)),
            "input_tokens": pl.Series(text.ravel(), dtype=pl.Int32),
            "output_tokens": pl.Series(output.ravel(), dtype=pl.Int32),
            "reason_tokens": pl.Series(i % 3, dtype=pl.Int32),
            "image_tokens": pl.Series([[5] * (k % 2) for k in i], dtype=pl.List(pl.Int32)),
            "audio_tokens": pl.Series([[7] * (k % 2) for k in i], dtype=pl.List(pl.Int32)),
            "video_tokens": pl.Series([[9] * (k % 2) for k in i], dtype=pl.List(pl.Int32)),
            "conversation": i % talks,
            "turn": pl.Series(i // talks + 1, dtype=pl.Int16),
            "think_s": [None if k < talks else 400.0 for k in i],
            "prefix_blocks": pl.Series([[k % 4, 10 + k % 9] for k in i], dtype=pl.List(pl.Int64)),
            "model": ["m", "k"] * (turns * talks // 2),
            "failed": i % 25 == 0,
        }
    )
    return Workload(frame.sort("arrival_s"))


def talking(talks: int = 40, seed: int = 0, block: int = 16, alone: int = 10) -> Workload:
    """Conversations whose prompts begin with one of three shared texts and grow by all that is said, and ``alone``
    requests of none; at the nominal speed, with times of whole milliseconds."""
    rng = np.random.default_rng([seed, talks, block])
    shared = rng.integers(1, 100, 3) * 8
    rows: list[dict[str, object]] = []
    unique = itertools.count(10**9)
    for c in range(talks + alone):
        kind = int(rng.integers(3))
        at_s, said = float(rng.integers(0, 100_000)) / 1000, int(shared[kind])
        for turn in range(1, 1 + (int(rng.integers(1, 6)) if c < talks else 1)):
            said += int(rng.integers(1, 300))
            whole = said // block
            ids = [kind * 10**6 + j if (j + 1) * block <= shared[kind] else (c + 10) * 10**6 + j for j in range(whole)]
            think_s = float(rng.integers(0, 60_000)) / 1000 if turn > 1 else None
            at_s += think_s or 0.0
            reply = int(rng.integers(1, 200))
            rows.append(
                {
                    "arrival_s": round(at_s, 6),
                    "client": f"c{c % 4}",
                    "input_tokens": said,
                    "output_tokens": reply,
                    "conversation": c if c < talks else None,
                    "turn": turn if c < talks else None,
                    "think_s": think_s,
                    "prefix_blocks": [*ids, *([next(unique)] if said % block else [])],
                }
            )
            at_s += TTFT_S + TPOT_S * reply
            said += reply
    types = {name: COLUMNS[name] for name in rows[0]} | {"client": pl.Enum([f"c{k}" for k in range(4)])}
    frame = pl.DataFrame(rows, schema=types).sort("arrival_s", maintain_order=True)
    return Workload(frame, {"prefix_block_tokens": block})


def cut(workload: Workload, places: Sequence[int]) -> list[Workload]:
    """``workload`` cut before the given rows, into blocks of which some may be empty."""
    edges = [0, *sorted(min(place, len(workload)) for place in places), len(workload)]
    return [Workload(workload.frame[low:high], workload.metadata) for low, high in pairwise(edges)]
