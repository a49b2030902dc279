"""The table of clients and windows: right to the last gap, however the stream is cut, numbered or widened."""

from __future__ import annotations

import functools
import operator

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from characterizing import in_parts
from groundswell.characterize import _client_windows
from groundswell.characterize._client_windows import ClientWindows
from groundswell.errors import UsageError
from groundswell.table import Workload

WINDOW_S = 60.0


def trace(n: int, clients: int = 7, seed: int = 1, span_s: float = 900.0) -> Workload:
    """Requests of clients of unequal rates, some of them at the same instant."""
    random = np.random.default_rng(seed)
    at_s = np.sort(np.round(random.uniform(0, span_s, n), 1))
    code = (clients * random.uniform(size=n) ** 2).astype(np.uint32)
    tokens = random.integers(0, 5000, (2, n)).astype(np.int32)
    return Workload.from_columns(at_s, code, [f"c{i}" for i in range(clients)], tokens[0], tokens[1])


def named(table: ClientWindows) -> pl.DataFrame:
    """Its frame with the clients' names, sorted."""
    frame = table.frame
    return frame.with_columns(client=table.clients.gather(frame["client"])).sort("client", "window")


def by_hand(whole: Workload, width_s: float) -> pl.DataFrame:
    """The same by expressions over all rows."""
    gap = pl.col("arrival_s").diff().over("client", "window").fill_null(0.0)
    return (
        whole.frame.with_columns(pl.col("client").cast(pl.String), window=(pl.col("arrival_s") // width_s).cast(int))
        .with_columns(gap=gap, x=pl.col("input_tokens").cast(int), y=pl.col("output_tokens").cast(int))
        .group_by("client", "window")
        .agg(
            requests=pl.len().cast(int),
            gaps=pl.len().cast(int) - 1,
            gap_s=pl.col("gap").sum(),
            gap2_s2=(pl.col("gap") ** 2).sum(),
            first_s=pl.col("arrival_s").min(),
            last_s=pl.col("arrival_s").max(),
            input_tokens=pl.col("x").sum(),
            input2=(pl.col("x") ** 2).sum().cast(float),
            output_tokens=pl.col("y").sum(),
            output2=(pl.col("y") ** 2).sum().cast(float),
        )
        .sort("client", "window")
    )


def same(a: pl.DataFrame, b: pl.DataFrame) -> None:
    assert_frame_equal(a, b, rel_tol=1e-9, abs_tol=1e-7)


def test_the_table_is_what_a_query_over_all_rows_gives() -> None:
    whole = trace(3000)
    same(named(ClientWindows.of(whole, WINDOW_S)), by_hand(whole, WINDOW_S))


@given(st.integers(1, 120), st.lists(st.integers(0, 120), max_size=8), st.integers(0, 9))
def test_parts_add_up_to_the_whole_also_with_other_numbers_for_clients(n: int, cuts: list[int], seed: int) -> None:
    whole = trace(n, seed=seed)
    tables = [ClientWindows.of(block, WINDOW_S) for block in in_parts(whole, cuts)]
    same(named(functools.reduce(operator.add, tables, ClientWindows())), by_hand(whole, WINDOW_S))
    half = len(tables) // 2
    left = functools.reduce(operator.add, tables[:half], ClientWindows())
    right = functools.reduce(operator.add, tables[half:], ClientWindows())
    same(named(left + right), by_hand(whole, WINDOW_S))


def test_one_row_a_block_adds_up() -> None:
    whole = trace(400)
    tables = [ClientWindows.of(block, WINDOW_S) for block in in_parts(whole, range(400))]
    added = functools.reduce(operator.add, tables)
    same(named(added), by_hand(whole, WINDOW_S))
    assert len(added.parts) <= 64


def test_clients_that_are_numbered_otherwise_stay_themselves() -> None:
    whole = trace(500)
    names = [f"c{i}" for i in (3, 6, 0, 1, 5, 4, 2)]
    first, then = whole.frame[:250], whole.frame[250:]
    then = then.with_columns(then["client"].cast(pl.String).cast(pl.Enum(names)))
    added = ClientWindows.of(Workload(first), WINDOW_S) + ClientWindows.of(Workload(then), WINDOW_S)
    same(named(added), by_hand(whole, WINDOW_S))


def test_widened_windows_keep_the_gaps_that_crossed_their_bounds() -> None:
    whole = trace(2000)
    same(named(ClientWindows.of(whole, WINDOW_S).widened(3)), by_hand(whole, 3 * WINDOW_S))


@pytest.mark.parametrize("rows", [37, 500, 3000])
def test_with_too_many_pairs_windows_double_and_nothing_else_changes(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_client_windows, "MOST_PAIRS", 40)
    whole = trace(3000)
    tables = [ClientWindows.of(block, WINDOW_S) for block in in_parts(whole, range(rows, 3000, rows))]
    added = functools.reduce(operator.add, tables)
    assert added.width_s == 4 * WINDOW_S  # 15 windows of 7 clients; 8 are still too many
    assert len(added.pairs) <= 40
    same(named(added), by_hand(whole, 4 * WINDOW_S))


def test_an_empty_block_changes_nothing() -> None:
    whole = trace(50)
    empty = Workload(whole.frame[:0])
    table = ClientWindows.of(empty, WINDOW_S) + ClientWindows.of(whole, WINDOW_S) + ClientWindows.of(empty, WINDOW_S)
    same(named(table), by_hand(whole, WINDOW_S))
    assert len(ClientWindows().pairs) == 0


def test_windows_out_of_order_are_refused() -> None:
    whole = trace(500)
    first, last = in_parts(whole, [250])
    with pytest.raises(UsageError, match="cannot follow"):
        ClientWindows.of(last, WINDOW_S) + ClientWindows.of(first, WINDOW_S)
