"""Traffic with conversations for the tests of rescaling, and what they look at."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.table import Workload

Floats = NDArray[np.float64]


def talks(n: int = 2000, seed: int = 0, span_s: float = 3600.0, alone: float = 0.3, clients: int = 7) -> Workload:
    """``n`` conversations that begin evenly over a span, a geometric number of turns each with log-normal gaps, and
    requests without one; prompts that begin with a client's blocks and go on with the conversation's own.
    """
    rng = np.random.default_rng([seed, n])
    turns = rng.geometric(0.35, n)
    talk = np.repeat(np.arange(n), turns)
    turn = np.arange(talk.size) - np.repeat(np.cumsum(turns) - turns, turns) + 1
    gap_s = np.where(turn == 1, 0.0, rng.lognormal(3.0, 1.2, talk.size))
    since_s = np.cumsum(gap_s)
    since_s -= np.repeat(since_s[turn == 1], turns)
    arrival_s = rng.uniform(0.0, span_s, n)[talk] + since_s
    single = rng.random(n)[talk] < alone
    single &= turns[talk] == 1
    sender = rng.integers(0, clients, n)[talk]
    blocks = [
        [int(c) * 2 + j for j in range(2)] + [1000 + int(t) * 100 + j for j in range(int(k))]
        for c, t, k in zip(sender, talk, turn, strict=True)
    ]
    names = [f"client-{c}" for c in range(clients)]
    frame = pl.DataFrame(
        {
            "arrival_s": arrival_s,
            "client": pl.Series([names[c] for c in sender], dtype=pl.Enum(names)),
            "input_tokens": pl.Series([len(b) * 16 for b in blocks], dtype=pl.Int32),
            "output_tokens": pl.Series(rng.integers(1, 500, talk.size), dtype=pl.Int32),
            "conversation": talk,
            "turn": pl.Series(turn, dtype=pl.Int16),
            "think_s": gap_s * 0.6,
            "prefix_blocks": pl.Series(blocks, dtype=pl.List(pl.Int64)),
        }
    )
    none = pl.lit(pl.Series(single | (turn == 1)))
    frame = frame.with_columns(
        pl.when(~pl.lit(pl.Series(single))).then("conversation").alias("conversation"),
        pl.when(~pl.lit(pl.Series(single))).then("turn").alias("turn"),
        pl.when(~none).then("think_s").alias("think_s"),
    ).sort("arrival_s")
    return Workload(frame.with_columns(pl.col("arrival_s") - pl.col("arrival_s").min())).checked()


def whole(blocks: Iterable[Workload]) -> pl.DataFrame:
    """All rows, which are in order of time across the blocks; clients as text."""
    frames = [block.frame.with_columns(pl.col("client").cast(pl.String)) for block in blocks]
    frame = pl.concat(frames)
    assert (frame["arrival_s"].diff().drop_nulls() >= 0).all()
    return frame


def gaps_within(frame: pl.DataFrame) -> pl.DataFrame:
    """Each later turn of each conversation, and how long after the one before it comes."""
    return (
        frame.filter(pl.col("conversation").is_not_null())
        .sort("conversation", "turn")
        .with_columns(gap_s=pl.col("arrival_s").diff().over("conversation"))
        .filter(pl.col("gap_s").is_not_null())
    )


def starts(frame: pl.DataFrame) -> Floats:
    """When conversations begin, rising; a request without one is one."""
    alone = frame.filter(pl.col("conversation").is_null())["arrival_s"]
    begun = frame.drop_nulls("conversation").group_by("conversation").agg(pl.col("arrival_s").min())["arrival_s"]
    return np.sort(pl.concat([alone, begun]).to_numpy())


def rare_talk(gap_s: float) -> Workload:
    """A conversation of two turns that are far apart, and a request at the end."""
    return Workload(
        pl.DataFrame(
            {
                "arrival_s": [0.0, gap_s, 2 * gap_s],
                "client": pl.Series(["a"] * 3, dtype=pl.Enum(["a"])),
                "input_tokens": pl.Series([1] * 3, dtype=pl.Int32),
                "output_tokens": pl.Series([1] * 3, dtype=pl.Int32),
                "conversation": [7, 7, None],
                "turn": pl.Series([1, 2, None], dtype=pl.Int16),
            }
        )
    )
