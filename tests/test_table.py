"""What a Workload promises of its columns, and of the Parquet file that keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from groundswell._version import __version__
from groundswell.errors import DataError, OutputError, UsageError
from groundswell.table import METADATA_KEY, Workload, client_column, list_column
from workloads import CLIENTS, cut, random_workload


def test_columns_share_the_arrays_they_were_made_of() -> None:
    arrival_s, tokens = np.arange(4.0), np.arange(4, dtype=np.int32)
    w = Workload.from_columns(arrival_s, np.zeros(4, np.uint32), ["a"], tokens, tokens)
    assert np.shares_memory(w.arrival_s, arrival_s)
    assert np.shares_memory(w.output_tokens, tokens)
    assert w.frame.schema["input_tokens"] == pl.Int32()


@pytest.mark.parametrize("clients", [1, 200, 300, 70_000])
def test_clients_are_named_by_their_number(clients: int) -> None:
    names = tuple(f"client-{i}" for i in range(clients))
    code = np.random.default_rng(clients).integers(0, clients, 1000).astype(np.uint32)
    w = Workload.from_columns(np.arange(1000.0), code, names, code.astype(np.int32), code.astype(np.int32))
    assert w.frame["client"].to_list() == [names[c] for c in code]
    assert (w.client_code == code).all()
    assert w.clients == names


def test_lists_hold_what_counts_and_values_say() -> None:
    rng = np.random.default_rng(1)
    count = rng.poisson(0.8, 5000)
    value = rng.integers(0, 999, count.sum()).astype(np.int32)
    column = list_column("image_tokens", count, value)
    expected = [part.tolist() for part in np.split(value, np.cumsum(count)[:-1])]
    assert column.dtype == pl.List(pl.Int32)
    assert column.to_list() == expected


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_lists_without_any_value_are_empty_and_not_null(rows: int) -> None:
    column = list_column("image_tokens", np.zeros(rows, np.int64), np.empty(0, np.int32))
    assert column.dtype == pl.List(pl.Int32)
    assert column.to_list() == [[]] * rows


def test_blocks_join_to_the_workload_they_were_cut_from() -> None:
    whole = random_workload(500, items=True)
    joined = Workload.concat(cut(whole, [0, 100, 100, 499]))
    assert joined.frame.equals(whole.frame)
    assert joined.metadata == whole.metadata
    with pytest.raises(DataError, match="differ"):
        Workload.concat([whole, random_workload(5)])
    with pytest.raises(UsageError):
        Workload.concat([])


def test_parquet_gives_back_what_was_written(tmp_path: Path) -> None:
    w = random_workload(3000, reason=True, items=True)
    w.write(tmp_path / "w.parquet")
    back = Workload.read(tmp_path / "w.parquet")
    assert back.frame.equals(w.frame)
    assert back.frame.schema == w.frame.schema
    assert back.clients == CLIENTS
    assert back.metadata == {**w.metadata, "version": __version__}
    assert [p.name for p in tmp_path.iterdir()] == ["w.parquet"]


def test_where_from_is_json_under_one_key(tmp_path: Path) -> None:
    Workload(random_workload(5).frame, {"sources": [{"path": "a", "blake2b": "00"}]}).write(tmp_path / "w.parquet")
    noted = json.loads(pl.read_parquet_metadata(tmp_path / "w.parquet")[METADATA_KEY])
    assert noted["sources"] == [{"path": "a", "blake2b": "00"}]


def test_other_widths_and_names_as_text_are_converted(tmp_path: Path) -> None:
    w = random_workload(50, items=True)
    other = w.frame.with_columns(
        pl.col("client").cast(pl.String),
        pl.col("input_tokens").cast(pl.Int64),
        pl.col("image_tokens").cast(pl.List(pl.UInt64)),
    ).with_columns(pl.lit(1).alias("a_column_of_the_user"))
    other.write_parquet(tmp_path / "o.parquet")
    back = Workload.read(tmp_path / "o.parquet")
    assert back.frame["client"].to_list() == w.frame["client"].to_list()
    assert back.frame.drop("client").equals(w.frame.drop("client"))
    assert back.metadata == {}


FRAME = random_workload(20, items=True).frame
FAULTS = {
    "missing": (FRAME.drop("output_tokens"), "column 'output_tokens' is missing"),
    "text": (FRAME.with_columns(pl.lit("x").alias("input_tokens")), "column 'input_tokens' is String, not Int32"),
    "seconds": (FRAME.with_columns(pl.col("arrival_s").cast(pl.Float32)), "column 'arrival_s' is Float32, not Float64"),
    "wide": (FRAME.with_columns(pl.lit(2**40).alias("input_tokens")), "'input_tokens' holds numbers that do not fit"),
    "unsorted": (FRAME[[0, 2, 1, 3]], "column 'arrival_s' is not sorted: row 2"),
    "nan": (FRAME.with_columns(pl.lit(np.nan).alias("arrival_s")), "column 'arrival_s' is not finite in row 0"),
    "early": (FRAME.with_columns(pl.col("arrival_s") - 1e6), "column 'arrival_s' is negative in row 0"),
    "negative": (
        FRAME.with_columns(pl.Series("output_tokens", [1] * 7 + [-1] + [1] * 12, pl.Int32)),
        "column 'output_tokens' is negative in row 7",
    ),
    "item": (
        FRAME.with_columns(pl.Series("image_tokens", [[], [3, -3]] * 10, pl.List(pl.Int32))),
        "column 'image_tokens' is negative in row 1",
    ),
    "null": (
        FRAME.with_columns(pl.Series("input_tokens", [1, None] * 10, pl.Int32)),
        "column 'input_tokens' is empty in row 1",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_no_workload_is_told_by_file_and_column(fault: str, tmp_path: Path) -> None:
    frame, told = FAULTS[fault]
    path = tmp_path / "x.parquet"
    frame.write_parquet(path)
    with pytest.raises(DataError) as caught:
        Workload.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"arrival_s,client\n0,a\n", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_broken_file_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a readable Parquet file") as caught:
        Workload.read(path)
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    random_workload(2000).write(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError):
        Workload.read(path)


def test_paths_that_cannot_be_meant_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        Workload.read(tmp_path / "none.parquet")
    with pytest.raises(UsageError, match="no folder"):
        random_workload(5).write(tmp_path / "none" / "w.parquet")
    with pytest.raises(UsageError, match="is a folder"):
        random_workload(5).write(tmp_path)
    with pytest.raises(OutputError, match=r"^/dev/full: cannot be written: No space left on device$"):
        random_workload(5).write("/dev/full")


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(DataError, match="'colour' is none of a workload's"):
        Workload(FRAME.with_columns(pl.lit(1).alias("colour")))


def test_a_number_beyond_the_clients_is_refused() -> None:
    with pytest.raises(pl.exceptions.OutOfBoundsError):
        client_column(np.array([2], np.uint32), ["a", "b"])
