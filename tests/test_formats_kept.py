"""What a format keeps is what it says: a column is lost on the way through a file only if that is told."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from groundswell import formats
from groundswell.formats import FORMATS
from groundswell.formats._kept import EVERYTHING
from groundswell.formats.reading import read
from traces import rows_of
from workloads import READ_AS, WRITTEN, everything


@pytest.mark.parametrize("name", WRITTEN)
def test_what_comes_back_from_a_file_is_what_its_format_says_it_keeps(name: str, tmp_path: Path) -> None:
    w = everything()
    formats.write([w], tmp_path / "x", name, {"prefix_block_tokens": 512, "start_unix_s": 1.7e9})
    trace = read(tmp_path / "x")
    rows = rows_of(trace)
    assert trace.format == (READ_AS[name] if name == "guidellm" else name)
    kept = {"start_unix_s"} & set(trace.metadata)
    kept |= {column for column in w.frame.columns if column in rows.columns and same(w.frame[column], rows[column])}
    # AIPerf takes ids of what is new in a turn, so those of first turns are written for it; read back they would be of
    # half the prompts. WEKA's sessions share nothing with each other, unless `scope=global` says so.
    unread = {"prefix_blocks"} if name in ("aiperf", "weka") else set()
    assert kept & set(EVERYTHING) == set(FORMATS[name].keeps) - unread


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
