"""Pool files: every array back bit for bit, damage told from content, nothing half-written."""

from __future__ import annotations

import dataclasses
import io
import json
import resource
import signal
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.clients.pool import ClientPool
from groundswell.clients.pool_file import read_pool, write_pool
from groundswell.clients.servegen import read_servegen
from groundswell.clients.views import without_unused_lengths
from groundswell.errors import DataError, OutputError, UsageError
from pools import recorded_pool
from servegen_folder import QUIET, Written, write_servegen


def bits(pool: ClientPool) -> dict[str, Any]:
    """All that a pool holds, in a form that ``==`` compares bit by bit."""
    held = {field.name: getattr(pool, field.name) for field in dataclasses.fields(pool)}
    held |= {f"lengths.{name}": getattr(pool.lengths, name) for name in ("first", "value", "threshold")}
    del held["lengths"]
    return {k: (v.dtype, v.shape, v.tobytes()) if isinstance(v, np.ndarray) else v for k, v in held.items()}


@pytest.fixture
def pool(tmp_path: Path) -> ClientPool:
    return read_servegen(write_servegen(tmp_path / "folder"))


rates = st.integers(10, 10**6).map(lambda requests: requests / 600)
windows = st.one_of(
    st.just(QUIET), st.tuples(rates, st.floats(0, 142), st.sampled_from(["Gamma", "Weibull"]), st.floats(0, 9), rates)
)
counts = st.dictionaries(st.integers(0, 2**24), st.integers(1, 1000), min_size=1, max_size=20)
ratios = st.dictionaries(st.integers(0, 500).map(lambda i: i / 500), st.integers(1, 9), min_size=1, max_size=9)


def shares(table: Any) -> dict[float, float]:
    return {value: count / sum(table.values()) for value, count in table.items()}


@st.composite
def folders(draw: st.DrawFn) -> dict[str, Written]:
    """Clients of a folder: some without a dataset, some with empty slots or fields."""
    span = draw(st.integers(1, 8))
    fields = {"input_tokens": counts, "output_tokens": counts, "reason_ratio": ratios}
    tables = st.fixed_dictionaries({}, optional={f: st.just({}) | t.map(shares) for f, t in fields.items()})
    datasets = st.none() | st.fixed_dictionaries({}, optional={1200 * slot: tables for slot in range(span // 2 + 1)})
    names = draw(st.sets(st.integers(0, 2000), min_size=1, max_size=5))
    column = st.lists(windows, min_size=span, max_size=span)
    return {f"chunk-{n}": Written(draw(column), draw(datasets)) for n in names}


@settings(max_examples=100, deadline=None)
@given(clients=folders())
def test_a_folder_and_its_pool_file_are_the_same_pool(
    tmp_path_factory: pytest.TempPathFactory, clients: dict[str, Written]
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    pool = read_servegen(write_servegen(folder, clients))
    for c, name in enumerate(pool.names):
        written = clients[name]
        assert pool.rate_per_s[c].tolist() == [window[0] for window in written.windows]
        for slot, tables in (written.slots or {}).items():
            for field, table in tables.items():
                inside = table and slot // pool.slot_s < pool.slot_count
                d = pool.table[c, int(slot // pool.slot_s), pool.fields.index(field)] if inside else -1
                values, probabilities = pool.lengths.table(d) if d >= 0 else (np.empty(0), np.empty(0))
                expected = sorted(table.items()) if inside else []
                assert values.tolist() == [float(np.float32(value)) for value, _ in expected]
                assert probabilities == pytest.approx([share for _, share in expected], abs=1e-9)
    write_pool(pool, folder / "one.pool")
    assert bits(read_pool(folder / "one.pool")) == bits(without_unused_lengths(pool))


def test_stated_and_shifted_pools_come_back_too(pool: ClientPool, tmp_path: Path) -> None:
    odd = dataclasses.replace(
        pool.between(600, 1800).renamed(lambda name: f"{name} é"),
        stated=np.array([True, False]),
        families=("onoff", "gamma", "weibull"),
        cv=np.array([[np.nan, 3], [0, 7]], np.float32),
        origin={"kind": "clients", "nested": {"a": [1, None]}},
    )
    write_pool(odd, tmp_path / "odd.pool")
    assert bits(read_pool(tmp_path / "odd.pool")) == bits(without_unused_lengths(odd))


def test_the_same_pool_gives_the_same_bytes(pool: ClientPool, tmp_path: Path) -> None:
    for name in ("a.pool", "b.pool"):
        write_pool(pool, tmp_path / name)
    assert (tmp_path / "a.pool").read_bytes() == (tmp_path / "b.pool").read_bytes()


def test_what_is_no_pool_file_is_said_in_a_line(pool: ClientPool, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read_pool(tmp_path / "nowhere.pool")
    with pytest.raises(UsageError, match="cannot be read"):
        read_pool(tmp_path)
    for content in (
        b"",
        b"0,1,2\n",
        b"PK\x03\x04 and then nothing",
        zipped({"a.txt": b"hello"}),
        zipped({"pool.json": b"[]"}),
    ):
        (tmp_path / "x.pool").write_bytes(content)
        with pytest.raises(DataError, match=r"x\.pool: not a pool file, or a damaged one"):
            read_pool(tmp_path / "x.pool")


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def test_a_later_version_is_refused_by_its_number(pool: ClientPool, tmp_path: Path) -> None:
    write_pool(pool, tmp_path / "x.pool")
    with zipfile.ZipFile(tmp_path / "x.pool") as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["pool.json"] = json.dumps(json.loads(members["pool.json"]) | {"version": 9}).encode()
    (tmp_path / "x.pool").write_bytes(zipped(members))
    with pytest.raises(DataError, match=r"holds groundswell\.pool version 9; this version reads"):
        read_pool(tmp_path / "x.pool")


@pytest.mark.parametrize(
    "change",
    [
        {"windows": 2},
        {"windows": -1},
        {"windows": 10**18},
        {"slots": 0},
        {"slots": "two"},
        {"names": ["a", "a"]},
        {"names": ["a"]},
        {"fields": ["input_tokens", "colour", "reason_ratio"]},
        {"families": []},
        {"stated": [True]},
        {"slot_s": 0},
        {"start_s": "NaN"},
        {"origin": None},
    ],
)
def test_a_head_that_does_not_fit_is_refused(pool: ClientPool, tmp_path: Path, change: dict[str, Any]) -> None:
    write_pool(pool, tmp_path / "x.pool")
    with zipfile.ZipFile(tmp_path / "x.pool") as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["pool.json"] = json.dumps(json.loads(members["pool.json"]) | change).encode()
    (tmp_path / "x.pool").write_bytes(zipped(members))
    with pytest.raises(DataError, match="not a pool file, or a damaged one"):
        read_pool(tmp_path / "x.pool")


def test_tables_that_drawing_would_run_out_of_are_refused(pool: ClientPool, tmp_path: Path) -> None:
    """A distribution whose last threshold is not the top has no value for the highest words."""
    write_pool(pool, tmp_path / "x.pool")
    with zipfile.ZipFile(tmp_path / "x.pool") as file:
        members = {name: file.read(name) for name in file.namelist()}
    out = io.BytesIO()
    atoms = pl.read_parquet(members["atoms.parquet"])
    atoms.with_columns(pl.col("threshold") - pl.Series([0] * (len(atoms) - 1) + [1], dtype=pl.UInt32)).write_parquet(
        out
    )
    (tmp_path / "x.pool").write_bytes(zipped(members | {"atoms.parquet": out.getvalue()}))
    with pytest.raises(DataError, match="distributions that do not end"):
        read_pool(tmp_path / "x.pool")


def test_a_file_cut_at_any_byte_is_refused(pool: ClientPool, tmp_path: Path) -> None:
    write_pool(pool, tmp_path / "x.pool")
    whole = (tmp_path / "x.pool").read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / "x.pool").write_bytes(whole[:size])
        with pytest.raises(DataError):
            read_pool(tmp_path / "x.pool")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_the_same_pool(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    pool = read_servegen(write_servegen(folder / "pair"))
    write_pool(pool, folder / "x.pool")
    raw = bytearray((folder / "x.pool").read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    (folder / "x.pool").write_bytes(raw)
    try:
        again = read_pool(folder / "x.pool")
    except DataError:
        return
    assert bits(again) == bits(pool)  # the damage was in what a zip repeats, or keeps for others


def test_a_full_disk_leaves_nothing_behind_and_the_old_file_alone(pool: ClientPool, tmp_path: Path) -> None:
    write_pool(pool, tmp_path / "x.pool")
    before = (tmp_path / "x.pool").read_bytes()
    files = sorted(tmp_path.iterdir())
    old_limit, old_action = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old_limit[1]))
        with pytest.raises(OutputError, match=r"x\.pool: cannot be written: File too large"):
            write_pool(pool, tmp_path / "x.pool")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_action)
    assert sorted(tmp_path.iterdir()) == files
    assert (tmp_path / "x.pool").read_bytes() == before
    with pytest.raises(UsageError, match="there is no folder"):
        write_pool(pool, tmp_path / "nowhere" / "x.pool")


def test_a_public_pool_takes_a_tenth_of_its_folder(public_data: Path, tmp_path: Path) -> None:
    folder = public_data / "servegen" / "data" / "reason" / "deepseek-r1"
    pool = read_servegen(folder)
    write_pool(pool, tmp_path / "r1.pool")
    assert bits(read_pool(tmp_path / "r1.pool")) == bits(pool)
    assert (tmp_path / "r1.pool").stat().st_size < 0.1 * sum(file.stat().st_size for file in folder.iterdir())


def test_a_view_takes_only_its_own_clients_lengths_along(tmp_path: Path) -> None:
    tables = [([10], [1]), ([1], [1]), ([1000], [1]), ([100], [1])]
    pool = recorded_pool([[30.0], [10.0]], lengths=tables)
    pool.table[1, 0] = [2, 3]
    write_pool(pool.clients(["client-1"]), tmp_path / "one.pool")
    back = read_pool(tmp_path / "one.pool")
    assert back.lengths.value.tolist() == [1000, 100]
    assert back.mean_length("input_tokens").tolist() == [1000]
