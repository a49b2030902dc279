"""Pools whose rates are of a part of their windows: what is counted, viewed, joined and sent is of that part."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from groundswell import read_pool, write_pool
from groundswell.cli import execute as run
from groundswell.clients.cdf import rate_weighted_cdfs
from groundswell.clients.join import concat
from groundswell.clients.pool import ClientPool
from groundswell.compose import compose
from groundswell.compose.shapes import Shapes
from groundswell.errors import DataError, UsageError
from pools import recorded_pool

BEGIN_S, END_S = 450.0, 1950.0


@pytest.fixture
def pool() -> ClientPool:
    """Two clients over four windows, of which the first is covered by a quarter and the last by another."""
    whole = recorded_pool([[4.0, 1.0, 1.0, 8.0], [0.4, 0.8, 0.4, 0.4]], names=("a", "b"))
    return dataclasses.replace(whole, origin={"kind": "fit", "covered_s": [BEGIN_S, END_S]})


def test_what_is_counted_is_what_the_covered_time_holds(pool: ClientPool) -> None:
    assert pool.covered_s == (BEGIN_S, END_S)
    assert pool.covered_part.tolist() == [0.25, 1, 1, 0.25]
    held = np.array([4 * 150 + 600 + 600 + 8 * 150, 0.4 * 150 + 480 + 240 + 0.4 * 150])
    np.testing.assert_allclose(pool.mean_rate_per_s * 1500, held)
    np.testing.assert_allclose(pool.slot_rate.sum(axis=1) * 600, held)
    rates = rate_weighted_cdfs(pool).filter(quantity="rate_per_s")
    assert rates.filter(value=8.0)["cdf"].min() == pytest.approx(1, abs=0.006)
    assert rates.filter(value=4.0)["cdf"].max() == pytest.approx(1 - 1200 / held.sum(), abs=0.006)


def test_a_pool_that_says_nothing_is_covered_whole() -> None:
    whole = recorded_pool([[1.0, 2.0]])
    assert whole.covered_s == (0, 1200)
    assert whole.covered_part.tolist() == [1, 1]
    assert whole.sent_per_s is whole.rate_per_s
    assert dataclasses.replace(whole, start_s=0.3).covered_part.tolist() == [1, 1]


def test_views_of_clients_are_covered_as_the_pool_is(pool: ClientPool) -> None:
    for view in (
        pool.take([1]),
        pool.top(1),
        pool.sample(1, 2),
        pool.scaled(3),
        pool.renamed(str.upper),
        pool.with_cv(0, 9),
    ):
        assert view.origin == pool.origin
    assert pool.scaled(3).mean_rate_per_s == pytest.approx(3 * pool.mean_rate_per_s)


@pytest.mark.parametrize(
    ("view", "covered"),
    [((0, 2400), [BEGIN_S, END_S]), ((0, 1000), [BEGIN_S, 1200]), ((700, 2400), [600, END_S]), ((600, 1800), None)],
)
def test_a_view_of_a_time_is_covered_where_the_pool_was(
    pool: ClientPool, view: tuple[float, float], covered: list[float] | None
) -> None:
    cut = pool.between(*view)
    assert cut.origin.get("covered_s") == covered
    assert cut.covered_s == (tuple(covered) if covered else view)


def test_joined_pools_are_covered_where_all_are(pool: ClientPool) -> None:
    whole = recorded_pool([[2.0] * 4], names=("c",))
    joined = concat([pool, whole])
    assert joined.origin["covered_s"] == [BEGIN_S, END_S]
    finer = recorded_pool([[2.0] * 12], names=("c",), window_s=200.0)
    joined = concat([pool, dataclasses.replace(finer, slot_s=2400.0)])
    assert (joined.start_s, joined.end_s) == (400, 2000)
    assert joined.covered_s == (BEGIN_S, END_S)
    np.testing.assert_allclose(joined.mean_rate_per_s[:2], pool.mean_rate_per_s)
    assert "covered_s" not in concat([whole, whole.renamed(str.upper)]).origin
    apart = dataclasses.replace(whole, origin={"covered_s": [2000.0, 2400.0]})
    with pytest.raises(UsageError, match="share no time: they hold 450 to 1950 s, 2000 to 2400 s"):
        concat([pool, apart])


def test_a_run_covers_what_the_pool_does_unless_told_otherwise(pool: ClientPool) -> None:
    made = compose(pool)
    assert (made.metadata["start_s"], made.duration_s) == (BEGIN_S, END_S - BEGIN_S)
    assert made.expected_requests == pytest.approx(pool.mean_rate_per_s.sum() * 1500)
    counts = np.bincount(made.collect().client_code)
    assert (np.abs(counts - pool.mean_rate_per_s * 1500) < 1).all()
    assert compose(pool, start_s=0).duration_s == END_S
    assert compose(pool, start_s=2000).duration_s == 400
    assert compose(pool, duration_s=300).metadata["start_s"] == BEGIN_S
    everything = compose(pool, start_s=0, duration_s=2400)
    assert everything.expected_requests == pytest.approx(pool.rate_per_s.sum() * 600)


def test_few_requests_in_the_covered_part_do_not_say_that_a_client_was_away() -> None:
    """Four requests of CV 1.5 span less than their window by chance; 240, as a whole window has, would not."""
    cv, rate_per_s = 1.5, 0.4
    mean_gap_s = 0.6 / rate_per_s
    pool = recorded_pool([[rate_per_s, rate_per_s]], cv=cv, parameters=(1 / cv**2, mean_gap_s * cv**2))
    pool = dataclasses.replace(pool, origin={"covered_s": [590.0, 1200.0]})
    share = Shapes(pool, False, True).active_share(np.zeros(2, np.int64), np.zeros(2, np.int64), np.arange(2))
    np.testing.assert_allclose(share, [1.0, 0.6], rtol=1e-6)


def test_the_command_covers_what_python_does(pool: ClientPool, tmp_path: Path) -> None:
    write_pool(pool, tmp_path / "a.pool")
    assert run(["generate", str(tmp_path / "a.pool"), "-o", str(tmp_path / "a.parquet"), "--seed", "4"]) == 0
    own = compose(pool, seed=4).collect()
    written = pl.read_parquet(tmp_path / "a.parquet")["arrival_s"]
    np.testing.assert_array_equal(written, own.arrival_s)


def test_what_is_covered_survives_the_file(pool: ClientPool, tmp_path: Path) -> None:
    odd = dataclasses.replace(pool, origin={"kind": "fit", "covered_s": [1 / 3, 2000 * np.pi / 3]})
    write_pool(odd, tmp_path / "a.pool")
    assert read_pool(tmp_path / "a.pool").origin == odd.origin


@pytest.mark.parametrize("said", [[5], "all", [9, 3], [3000, 4000], [float("nan"), 9], [None, 9], {"from": 0}])
def test_what_cannot_be_covered_is_refused(pool: ClientPool, tmp_path: Path, said: Any) -> None:
    with pytest.raises(UsageError, match="covered_s are two times within its 0 s to 2400 s"):
        dataclasses.replace(pool, origin={"covered_s": said})
    write_pool(pool, tmp_path / "a.pool")
    with zipfile.ZipFile(tmp_path / "a.pool") as file:
        members = {name: file.read(name) for name in file.namelist()}
    head = json.loads(members["pool.json"]) | {"origin": {"covered_s": said}}
    with zipfile.ZipFile(tmp_path / "b.pool", "w") as file:
        for name, content in {**members, "pool.json": json.dumps(head).encode()}.items():
            file.writestr(name, content)
    with pytest.raises(DataError, match="not a pool file, or a damaged one"):
        read_pool(tmp_path / "b.pool")


def test_show_says_what_is_covered(pool: ClientPool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pool(pool, tmp_path / "a.pool")
    assert run(["pool", "show", str(tmp_path / "a.pool")]) == 0
    said = capsys.readouterr().out
    assert "covered      25m from 7m30s" in said
    assert "requests     3,840" in said
    assert "2.56/s mean" in said
    write_pool(recorded_pool([[1.0, 1.0], [1.0, 1.0]]), tmp_path / "b.pool")
    assert run(["pool", "show", str(tmp_path / "b.pool")]) == 0
    assert "covered" not in capsys.readouterr().out


def test_show_of_one_client_has_no_empty_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pool(recorded_pool([[1.0, 1.0]]), tmp_path / "a.pool")
    assert run(["pool", "show", str(tmp_path / "a.pool")]) == 0
    said = capsys.readouterr().out
    assert "top clients" not in said
    assert all(len(line.split()) > 1 for line in said.splitlines() if line)
