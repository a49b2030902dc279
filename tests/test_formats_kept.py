"""What a format does not hold is what it says: a column is lost on the way through a file only if that is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from groundswell import formats
from groundswell.formats import FORMATS
from groundswell.formats.reading import read
from groundswell.table import Workload
from traces import rows_of
from workloads import WRITTEN

ROWS = 300
TOLD = {
    "dates": {"start_unix_s"},
    "dates and where it comes from": {"start_unix_s"},
    "clients": {"client"},
    "conversations": {"conversation", "turn", "think_s"},
    "numbers of turns": {"turn"},
    "times to think": {"think_s"},
    "models": {"model"},
    "failures": {"failed"},
    "reasoning": {"reason_tokens"},
    "which input tokens are images": {"image_tokens"},
    "audio or video": {"audio_tokens", "video_tokens"},
    "video": {"video_tokens"},
    "shared prefixes": {"prefix_blocks"},
}
"""What columns are lost where a format says that it does not hold this."""


def everything() -> Workload:
    rng = np.random.default_rng(5)
    i = np.arange(ROWS)
    clients = ["a", "ü", 'x"y,z']
    tokens = rng.integers(600, 3000, ROWS)
    return Workload(
        pl.DataFrame(
            {
                "arrival_s": np.sort(rng.uniform(0, 1000, ROWS)).round(6),
                "client": pl.Series([clients[k % 3] for k in i], dtype=pl.Enum(clients)),
                "input_tokens": pl.Series(tokens, dtype=pl.Int32),
                "output_tokens": pl.Series(rng.integers(2, 300, ROWS), dtype=pl.Int32),
                "reason_tokens": pl.Series(i % 3, dtype=pl.Int32),
                "image_tokens": pl.Series([[5] * (k % 2) for k in i], dtype=pl.List(pl.Int32)),
                "audio_tokens": pl.Series([[7] * (k % 2) for k in i], dtype=pl.List(pl.Int32)),
                "video_tokens": pl.Series([[9] * (k % 2) for k in i], dtype=pl.List(pl.Int32)),
                "conversation": i % 60,
                "turn": pl.Series(i // 60 + 1, dtype=pl.Int16),
                "think_s": np.full(ROWS, 1.5),
                "prefix_blocks": pl.Series([[k % 4, 10 + k % 9] for k in i], dtype=pl.List(pl.Int64)),
                "model": ["m", "k"] * (ROWS // 2),
                "failed": i % 25 == 0,
            }
        )
    )


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_format_does_not_hold_is_what_it_says(name: str, tmp_path: Path) -> None:
    w = everything()
    formats.write([w], tmp_path / "x", name, {"prefix_block_tokens": 512, "start_unix_s": 1.7e9})
    trace = read(tmp_path / "x")
    rows = rows_of(trace)
    assert trace.format == name
    kept = {"start_unix_s"} & set(trace.metadata)
    kept |= {column for column in w.frame.columns if column in rows.columns and same(w.frame[column], rows[column])}
    told = set().union(*(TOLD.get(words, set()) for words in FORMATS[name].lost.split(", ")))
    assert set().union(*TOLD.values()) - kept == told


def same(before: pl.Series, after: pl.Series) -> bool:
    """Whether what was the same in two rows still is, and what was not is not; of numbers, whether they are equal."""
    if before.name == "prefix_blocks":  # may be of another size, and lead the ids of the whole prompt
        return (
            pl.DataFrame({"b": before.list.head(1), "a": after.list.head(1)}).n_unique()
            == before.list.head(1).n_unique()
        )
    if before.name == "conversation":
        return pl.DataFrame({"b": before, "a": after}).n_unique() == before.n_unique() == after.n_unique()
    return before.cast(after.dtype).equals(after)
