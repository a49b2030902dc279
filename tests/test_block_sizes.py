"""Ids of blocks of one size as those of another: what was shared stays shared, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell import formats
from groundswell.cli import run
from groundswell.errors import UsageError
from groundswell.formats._block_sizes import resized
from groundswell.formats.reading import read
from groundswell.table import Workload
from traces import rows_of
from workloads import random_workload

PROMPTS = st.lists(st.tuples(st.integers(0, 100), st.lists(st.integers(-1, 2), max_size=12)), min_size=1, max_size=12)


def lists_of(prompts: list[tuple[int, list[int]]], size: int, to: int) -> list[list[int]]:
    count = np.array([len(ids) for _, ids in prompts])
    flat = np.array([i for _, ids in prompts for i in ids], np.int64)
    kept, ids = resized(flat, count, np.array([tokens for tokens, _ in prompts]), size, to)
    assert ids.size == kept.sum()
    assert not ids.size or 0 <= ids.min() <= ids.max() < 2**62
    return [part.tolist() for part in np.split(ids, np.cumsum(kept)[:-1])]


@given(prompts=PROMPTS, part=st.integers(1, 5), to=st.integers(1, 9))
@settings(deadline=None)
def test_finer_blocks_are_places_in_the_coarser(prompts: list[tuple[int, list[int]]], part: int, to: int) -> None:
    size = part * to
    finer = lists_of(prompts, size, to)
    meaning: dict[int, tuple[int, int]] = {}
    for (tokens, ids), found in zip(prompts, finer, strict=True):
        assert len(found) == min(-(-tokens // to), len(ids) * part)
        for i, new in enumerate(found):
            place = (ids[i // part], i % part)
            assert meaning.setdefault(new, place) == place
    assert len(set(meaning.values())) == len(meaning)


@given(prompts=PROMPTS, run_=st.integers(2, 5), size=st.integers(1, 9))
@settings(deadline=None)
def test_coarser_blocks_are_shared_where_all_their_finer_are(
    prompts: list[tuple[int, list[int]]], run_: int, size: int
) -> None:
    coarser = lists_of(prompts, size, run_ * size)
    meaning: dict[int, tuple[int, ...]] = {}
    for (tokens, ids), found in zip(prompts, coarser, strict=True):
        blocks = -(-tokens // size)
        runs = [tuple(ids[:blocks][i : i + run_]) for i in range(0, min(len(ids), blocks), run_)]
        if len(ids) < blocks and runs and len(runs[-1]) < run_:
            runs.pop()  # what stands behind the ids is not known
        assert len(found) == len(runs)
        for new, ours in zip(found, runs, strict=True):
            assert meaning.setdefault(new, ours) == ours
    assert len(set(meaning.values())) == len(meaning)


def shared(ids: pl.Series) -> list[list[int]]:
    """The lists with each id as the number of the place where it was first seen."""
    seen: dict[int, int] = {}
    return [[seen.setdefault(i, len(seen)) for i in row] for row in ids.to_list()]


def test_mooncakes_trace_has_the_same_shared_blocks_after_going_through_vllms_and_back(
    public_data: Path, tmp_path: Path
) -> None:
    first = public_data / "mooncake" / "conversation_trace.jsonl"
    assert run(["convert", str(first), str(tmp_path / "fine"), "--to", "vllm"]) == 0
    assert run(["convert", str(tmp_path / "fine"), str(tmp_path / "back"), "--to", "mooncake"]) == 0
    assert read(tmp_path / "fine").metadata["prefix_block_tokens"] == 16
    before, after = (rows_of(read(path)) for path in (first, tmp_path / "back"))
    assert before.drop("prefix_blocks", "client").equals(after.drop("prefix_blocks", "client"))
    assert shared(before["prefix_blocks"]) == shared(after["prefix_blocks"])


@pytest.mark.parametrize("name", ["jsonl", "parquet", "bailian", "vllm"])
def test_no_way_round_loses_what_is_shared(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    w = random_workload(200)
    tokens = np.repeat([512 * 4], 200)
    ids = [
        [int(a), 10 + int(b), 100 * (a + 1) + i % 7, 1000 + i] for i, (a, b) in enumerate(rng.integers(0, 4, (200, 2)))
    ]
    frame = w.frame.drop("input_tokens").with_columns(
        pl.Series("input_tokens", tokens, pl.Int32), pl.Series("prefix_blocks", ids, pl.List(pl.Int64))
    )
    formats.write([Workload(frame)], tmp_path / "a", "mooncake", {"prefix_block_tokens": 512})
    for source, target, to in (("a", "b", name), ("b", "c", "mooncake")):
        assert run(["convert", str(tmp_path / source), str(tmp_path / target), "--to", to]) == 0
    assert shared(rows_of(read(tmp_path / "c"))["prefix_blocks"]) == shared(frame["prefix_blocks"])


def test_sizes_that_do_not_fit_and_sizes_that_are_not_known_are_refused(tmp_path: Path) -> None:
    frame = random_workload(3).frame.with_columns(pl.Series("prefix_blocks", [[1], [1], []], pl.List(pl.Int64)))
    with pytest.raises(UsageError, match="of 24 tokens, of which blocks of 16 cannot be made; say block_tokens=24"):
        formats.write([Workload(frame)], tmp_path / "x", "vllm", {"prefix_block_tokens": 24})
    with pytest.raises(UsageError, match="does not say how many tokens"):
        formats.write([Workload(frame)], tmp_path / "x", "vllm")
