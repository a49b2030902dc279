"""Ids of blocks of one size as those of another: what was shared stays shared, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell import formats
from groundswell.cli import execute as run
from groundswell.errors import DataError, UsageError
from groundswell.formats._block_sizes import resized, too_many
from groundswell.formats.reading import read
from groundswell.table import Workload
from traces import rows_of, saved
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


# The size that a person states for a table's blocks. Ids are of whole blocks of 64 tokens, as in Weka's traces.

IDS = [[1, 2, 3], [1, 2, 4, 5], [], [1]]
TOKENS = [200, 300, 10, 64]
COLUMNS = {"arrival": "t", "input_tokens": "in", "output_tokens": "out", "prefix_blocks": "hash_ids"}
MAP = [f"--map={ours}={theirs}" for ours, theirs in COLUMNS.items()]


def table(folder: Path, kind: str, ids: list[list[int]] = IDS) -> Path:
    path = folder / f"table.{kind}"
    frame = pl.DataFrame(
        {"t": [0.0, 1.5, 2.0, 4.0], "in": TOKENS, "out": [1, 2, 3, 4], "hash_ids": ids},
        schema_overrides={"hash_ids": pl.List(pl.Int64)},
    )
    if kind == "csv":
        frame.with_columns(pl.Series("hash_ids", [str(row) for row in ids])).write_csv(path)
    else:
        frame.write_ndjson(path) if kind == "jsonl" else frame.write_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_the_size_of_a_tables_blocks_can_be_stated(kind: str, tmp_path: Path) -> None:
    path = table(tmp_path, kind)
    assert read(path, columns=COLUMNS).metadata.get("prefix_block_tokens") is None  # whole blocks alone do not tell
    trace = read(path, columns=COLUMNS, block_tokens=64)
    assert trace.metadata["prefix_block_tokens"] == 64
    assert rows_of(trace)["prefix_blocks"].to_list() == IDS


def test_blocks_of_a_stated_size_go_into_other_formats(tmp_path: Path) -> None:
    arguments = ["convert", str(table(tmp_path, "jsonl")), str(tmp_path / "out"), "--to", "vllm", *MAP]
    assert run([*arguments, "--block-tokens", "64"]) == 0
    ids = rows_of(read(tmp_path / "out"))["prefix_blocks"].to_list()
    assert [len(row) for row in ids] == [-(-tokens // 16) for tokens in TOKENS]
    assert ids[0][:8] == ids[1][:8]
    assert not set(ids[0][8:]) & set(ids[1][8:])
    assert ids[3] == ids[0][:4]


@given(count=st.integers(0, 40), tokens=st.integers(0, 400), size=st.integers(1, 90))
@settings(deadline=None)
def test_a_prompt_has_as_many_blocks_as_it_takes_and_no_more(count: int, tokens: int, size: int) -> None:
    assert pl.select(too_many(pl.lit(count), pl.lit(tokens), size)).item() == (count > -(-tokens // size))


@pytest.mark.parametrize(("kind", "place"), [("csv", "line 3"), ("jsonl", "line 2"), ("parquet", "row 2")])
def test_more_ids_than_a_prompt_has_blocks_cannot_be_meant(kind: str, place: str, tmp_path: Path) -> None:
    path = table(tmp_path, kind, [[1, 2, 3, 4], [1, 2, 4, 5, 6, 7], [8], []])  # the first is just right
    said = f"{place}: column 'hash_ids' has 6 ids, more than there are blocks of 64 tokens in a prompt of 300"
    with pytest.raises(DataError, match=said):
        rows_of(read(path, columns=COLUMNS, block_tokens=64))
    trace = read(path, columns=COLUMNS, block_tokens=64, bad_rows="skip")
    assert rows_of(trace)["input_tokens"].to_list() == [200, 10, 64]
    assert [number for number, _ in trace.reading.first_skipped] == [int(place.split()[1])]


@pytest.mark.parametrize("size", [0, -64, 2.5])
def test_a_size_of_blocks_is_a_whole_number(size: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must be a whole number of at least 1"):
        read(table(tmp_path, "jsonl"), columns=COLUMNS, block_tokens=size)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "how", "said"),
    [
        ('{"arrival_s":0,"input_tokens":1,"output_tokens":1}\n', {}, "which column has prefix blocks of 64 tokens"),
        (
            '{"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1]}\n',
            {},
            "is mooncake; say mooncake:block_tokens=64",
        ),
        (
            '{"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1]}\n',
            {"format": "vllm"},
            "is vllm; say vllm:block_tokens=64",
        ),
    ],
)
def test_a_size_is_stated_of_blocks_that_are_there(text: str, how: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        read(saved(tmp_path, text), block_tokens=64, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", ["0", "-3", "2.5", "many"])
def test_a_verb_refuses_what_is_no_size(size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["convert", str(table(tmp_path, "jsonl")), str(tmp_path / "out.csv"), *MAP, "--block-tokens", size]
    assert run(asked) == 2
    err = capsys.readouterr().err
    assert "--block-tokens" in err
    assert err.count("\n") == 1
