"""The table of what came of a workload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from groundswell.errors import DataError, OutputError, UsageError
from groundswell.gap_buckets import LEAST_GAP_S, PER_DOUBLING, gap_buckets, gap_of
from groundswell.results import COLUMNS, Gaps, Results
from groundswell.table import Workload
from runs import failing, run_of


def whole() -> Results:
    """Every column, with nulls where a request did not come so far."""
    return run_of(
        [0.0, 1.0],
        [0.5, np.nan],
        {"run": {"seed": 1}, "totals": {"requests": 2}, "series": {"at_s": [0.0]}},
        client=["x", "y"],
        done_s=[0.75, 1.25],
        error=failing(2, [1], "status"),
        status=[200, 503],
        words=[None, "busy"],
        event_s=[[0.5, 0.75], None],
        sent_s=[0.001, 1.001],
        stage_s=[[0.001, 0.0011], None],
        ready_s=[0.0012, np.nan],
        admitted_s=[0.0015, np.nan],
        head_s=[0.002, 1.25],
        first_answer_s=[0.6, np.nan],
        longest_gap_s=[0.25, np.nan],
        **{key: [False, True] for key in ("retried", "held", "fresh")},
        **{key: [3, None] for key in ("conversation", "turn", "prompt_tokens", "output_tokens")},
        **{key: [0, None] for key in ("made_tokens", "reason_tokens", "cached_tokens", "events")},
        **{key: [1, None] for key in ("instance", "preempted")},
        model=["m", "m"],
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    results, path = whole(), tmp_path / "r.parquet"
    assert set(results.frame.columns) == set(COLUMNS)
    results.write(path)
    again = Results.read(path)
    assert again.frame.equals(results.frame)
    assert (again.run, again.totals, again.series) == ({"seed": 1}, {"requests": 2}, {"at_s": [0.0]})
    assert again.clients == ("x", "y")
    assert again.failed.tolist() == [False, True]
    assert "event_s" not in Results.read(path, leave_out={"event_s"})


def test_what_is_not_there_is_nan_or_empty() -> None:
    results = run_of([0.0, 1.0], [0.5, 0.5])
    assert np.isnan(results.floats("sent_s")).all()
    assert (results.run, results.series, results.totals, results.gaps) == ({}, {}, {}, None)
    assert len(run_of([], [])) == 0


def test_numbers_of_other_widths_and_names_as_text_are_converted(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    frame = run_of([0, 1], [1, 1]).frame.with_columns(
        pl.col("input_tokens").cast(pl.Int64),
        pl.col("due_s").cast(pl.Float32),
        pl.col("client").cast(pl.String),
        pl.lit(1).alias("mine"),
        pl.lit(None).alias("words"),
    )
    frame.write_parquet(path)
    results = Results.read(path)
    assert results.frame["input_tokens"].dtype == pl.Int32()
    assert results.frame["due_s"].dtype == pl.Float64()
    assert results.clients == ("a",)
    assert "mine" not in results.frame.columns


@pytest.mark.parametrize(
    ("column", "values", "fault"),
    [
        ("due_s", [0.0, np.inf], "column 'due_s' is not finite in row 1"),
        ("due_s", [-1.0, 0.0], "column 'due_s' is negative in row 0"),
        ("row", [3, 3], "column 'row' does not rise in row 1"),
        ("done_s", [5.0, np.nan], "there is neither an end nor an error in row 1"),
        ("done_s", [0.5, 5.0], "column 'done_s' is before 'first_token_s' in row 0"),
        ("asked_tokens", [1, None], "column 'asked_tokens' is empty in row 1"),
        ("prompt_tokens", [1, -1], "column 'prompt_tokens' is negative in row 1"),
        ("sent_s", [0.0, 9.0], "column 'first_token_s' is before 'sent_s' in row 1"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(column: str, values: Any, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    run_of([0.0, 1.0], [1.0, 1.0], None, **{column: values}).write(path)
    with pytest.raises(DataError) as caught:
        Results.read(path)
    assert str(caught.value) == f"{path}: {fault}"


def test_columns_that_are_missing_or_of_another_kind_are_refused(tmp_path: Path) -> None:
    frame = run_of([0.0], [1.0]).frame
    with pytest.raises(DataError, match=r"column 'done_s' is missing; it has row, client"):
        Results(frame.drop("done_s"))
    with pytest.raises(DataError, match=r"column 'mine' is none of results': row, client"):
        Results(frame.with_columns(mine=1))
    with pytest.raises(DataError, match=r"column 'due_s' is String, not Float64"):
        Results(frame.with_columns(pl.col("due_s").cast(pl.String)))
    path = tmp_path / "r.parquet"
    frame.with_columns(pl.lit(2**40).alias("input_tokens")).write_parquet(path)
    with pytest.raises(DataError, match=r"r.parquet: column 'input_tokens' holds numbers that do not fit Int32"):
        Results.read(path)


def test_a_file_that_is_something_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.parquet: no such file"):
        Results.read(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("due_s\n1\n")
    with pytest.raises(DataError, match=r"text.parquet: not a readable Parquet file"):
        Results.read(tmp_path / "text.parquet")
    one = np.ones(1, np.int32)
    Workload.from_columns(np.zeros(1), one.astype(np.uint32) * 0, ["a"], one, one).write(tmp_path / "w.parquet")
    with pytest.raises(DataError, match=r"w.parquet: is a workload, not the results of one"):
        Results.read(tmp_path / "w.parquet")


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    with pytest.raises((OutputError, UsageError)):
        run_of([0.0], [1.0]).write(tmp_path / "no" / "r.parquet")
    assert not list(tmp_path.iterdir())


def test_gaps_mean_what_workers_counted() -> None:
    seen = np.array([1e-7, 0.0123, 0.04, 0.04, 7.5])
    bucket, count = np.unique(gap_buckets(seen), return_counts=True)
    noted = {"width_s": 2.0, "first": 3, "stretches": [[], np.column_stack((bucket, count)).tolist()]}
    gaps = run_of([0.0], [1.0], {"gaps": noted}).gaps
    assert gaps is not None
    assert (gaps.first_s, gaps.width_s, gaps.count.sum(axis=1).tolist()) == (6.0, 2.0, [0.0, 5.0])
    assert np.array_equal(gaps.gap_s, gap_of(gaps.bucket))
    assert (Gaps.least_s, Gaps.per_doubling) == (LEAST_GAP_S, PER_DOUBLING)


@pytest.mark.parametrize(
    "noted",
    [
        {"width_s": 1.0},
        {"width_s": "x", "first": 0, "stretches": []},
        {"width_s": 1.0, "first": 0, "stretches": [[1, 2, 3]]},
        {"width_s": 0.0, "first": 0, "stretches": []},
        {"width_s": 1.0, "first": 0, "stretches": [[[1, -2]]]},
    ],
)
def test_gaps_that_cannot_be_meant_are_refused(noted: dict[str, object]) -> None:
    with pytest.raises(DataError, match="'gaps'"):
        _ = run_of([0.0], [1.0], {"gaps": noted}).gaps
