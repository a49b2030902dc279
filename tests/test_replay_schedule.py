"""Which request is due when, at which worker, and what it waits for."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.errors import DataError, UsageError
from groundswell.prefix import with_blocks
from groundswell.replay import _pieces
from groundswell.replay import schedule as schedules
from groundswell.replay import source as sources
from groundswell.replay._columns import Columns
from groundswell.replay._turns import Open
from groundswell.replay.schedule import Schedule
from groundswell.replay.source import Source, held, opened
from groundswell.replay.wire import ALONE, Batch, column
from groundswell.table import COLUMNS, Workload
from workloads import everything, random_workload, talking

PLAIN = ("due_s", "talk", "think_s", "last", "input_tokens", "output_tokens")
LISTS = {"runs": ("run_count", 2), "images": ("image_count", 1), "audio": ("audio_count", 1)}


def requests_of(batch: Batch) -> dict[int, dict[str, Any]]:
    """Each request of a batch by its row, read one by one."""
    found: dict[int, dict[str, Any]] = {}
    at = dict.fromkeys(LISTS, 0)
    for i, row in enumerate(column(batch, "row").tolist()):
        found[row] = {name: column(batch, name)[i].item() for name in PLAIN}
        for name, (count, width) in LISTS.items():
            end = at[name] + width * int(column(batch, count)[i])
            found[row][name] = column(batch, name)[at[name] : end].tolist()
            at[name] = end
    assert all(at[name] == column(batch, name).size for name in LISTS)
    return found


def sent(schedule: Schedule) -> dict[int, dict[str, Any]]:
    """Every request of a schedule by its row, with its worker; each is there once."""
    found: dict[int, dict[str, Any]] = {}
    for _, batches in schedule:
        assert len(batches) == schedule.workers
        for worker, batch in enumerate(batches):
            if batch is not None:
                assert len(batch) > 0
                new = requests_of(batch)
                assert not found.keys() & new.keys()
                found |= {row: {**told, "worker": worker} for row, told in new.items()}
    return found


def same(a: Any, b: Any) -> bool:
    return a == b or (isinstance(a, float) and isinstance(b, float) and isnan(a) and isnan(b))


def alike(a: dict[int, dict[str, Any]], b: dict[int, dict[str, Any]], but: tuple[str, ...] = ()) -> bool:
    """Whether two schedules have the same requests, ``but`` for some of what is told of them."""
    return a.keys() == b.keys() and all(
        same(a[row][name], b[row][name]) for row in a for name in a[row] if name not in but
    )


def frame_of(**columns: Any) -> Workload:
    """A workload of some columns; lengths are 1 and clients all the same if they are not given."""
    n = len(columns["arrival_s"])
    whole = {"client": ["a"] * n, "input_tokens": [1] * n, "output_tokens": [1] * n, **columns}
    types = {name: COLUMNS[name] for name in whole} | {"client": pl.Enum(["a"])}
    return Workload(pl.DataFrame(whole, schema=types))


@pytest.fixture(params=[False, True], ids=["whole", "pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Workloads are read whole, or in pieces of seven rows that are handed out three at a time."""
    if request.param:
        monkeypatch.setattr(_pieces, "PIECE_ROWS", 7)
        monkeypatch.setattr(schedules, "BLOCK_ROWS", 3)
    return bool(request.param)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_request_is_sent_once_as_the_workload_says(workers: int, pieces: bool) -> None:
    workload = everything()
    found = sent(Schedule(held(workload), workers))
    assert sorted(found) == list(range(len(workload)))
    for row, told in enumerate(workload.frame.iter_rows(named=True)):
        assert found[row]["due_s"] == told["arrival_s"]
        assert found[row]["talk"] == told["conversation"]
        for ours, theirs in (("images", "image_tokens"), ("audio", "audio_tokens")):
            assert found[row][ours] == told[theirs]
        for name in ("input_tokens", "output_tokens"):
            assert found[row][name] == told[name]


@pytest.mark.parametrize("workers", [1, 3])
def test_each_step_has_what_arrives_up_to_its_time(workers: int, pieces: bool) -> None:
    latest_s = -inf
    for upto_s, batches in Schedule(held(random_workload(50)), workers):
        due = np.concatenate([column(batch, "due_s") for batch in batches if batch is not None])
        assert due.min() >= latest_s
        assert due.max() == upto_s
        for batch in batches:
            assert batch is None or (np.diff(column(batch, "due_s")) >= 0).all()
        latest_s = upto_s


def reference(workload: Workload, thinks: bool) -> dict[int, tuple[float, bool]]:
    """For each row how long it waits and whether it is its conversation's last, request by request."""
    before: dict[int, tuple[float, int]] = {}
    rows = list(enumerate(workload.frame.iter_rows(named=True)))
    final = {told["conversation"]: row for row, told in rows}
    found = {}
    for row, told in rows:
        talk, think_s = told["conversation"], nan
        if talk is not None and talk in before:
            arrival_s, output_tokens = before[talk]
            think_s = max(told["arrival_s"] - arrival_s - 0.5 - 0.02 * output_tokens, 0.0)
            if thinks and told["think_s"] is not None:
                think_s = told["think_s"]
        if talk is not None:
            before[talk] = told["arrival_s"], told["output_tokens"]
        found[row] = think_s, talk is not None and final[talk] == row
    return found


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("thinks", [True, False])
@pytest.mark.parametrize("make", [talking, lambda: talking(talks=7, seed=3, alone=40), everything])
def test_later_turns_wait_and_last_ones_are_marked(
    make: Callable[[], Workload], thinks: bool, workers: int, pieces: bool
) -> None:
    workload = make() if thinks else Workload(make().frame.drop("think_s"))
    expected = reference(workload, thinks)
    found = sent(Schedule(held(workload), workers))
    for row, (think_s, last) in expected.items():
        assert found[row]["think_s"] == pytest.approx(think_s, abs=1e-9, nan_ok=True)
        assert bool(found[row]["last"]) == last
    assert sum(not isnan(think_s) for think_s, _ in expected.values()) > 10


@given(
    st.lists(st.tuples(st.sampled_from([None, -1, 0, 1, 2, -(2**40)]), st.integers(0, 50)), min_size=1, max_size=40),
    st.integers(1, 6),
)
def test_turns_come_out_the_same_however_the_workload_is_cut(rows: list[tuple[int | None, int]], each: int) -> None:
    workload = frame_of(
        arrival_s=np.arange(len(rows)) * 0.7,
        conversation=[talk for talk, _ in rows],
        output_tokens=[tokens for _, tokens in rows],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pieces, "PIECE_ROWS", each)
        found = sent(Schedule(held(workload), 2))
    for row, (think_s, last) in reference(workload, thinks=False).items():
        assert found[row]["think_s"] == pytest.approx(think_s, abs=1e-9, nan_ok=True)
        assert bool(found[row]["last"]) == last
        assert (found[row]["talk"] == ALONE) == (rows[row][0] is None)


def test_only_conversations_that_go_on_are_remembered() -> None:
    workload = talking()
    last = np.array([last for _, last in reference(workload, thinks=True).values()])
    open_talks = Open()
    block = Columns.of(workload.frame.with_row_index("row"), "workload")
    open_talks.think_s(block, last)
    assert open_talks.talk.size == 0
    open_talks.think_s(block, np.zeros(len(workload), np.bool_))
    assert open_talks.talk.size == workload.frame["conversation"].drop_nulls().n_unique()


def test_open_turns_wait_for_nothing() -> None:
    closed, opened_ = (sent(Schedule(held(talking()), 2, turns)) for turns in ("closed", "open"))
    assert alike(closed, opened_, but=("think_s",))
    assert all(isnan(told["think_s"]) for told in opened_.values())


def test_a_turn_that_comes_before_its_reply_could_waits_no_negative_time() -> None:
    workload = frame_of(arrival_s=[0.0, 1.0, 2.0], conversation=[1, 1, 1], output_tokens=[1000, 1000, 10])
    found = sent(Schedule(held(workload), 1))
    assert [found[row]["think_s"] for row in (1, 2)] == [0.0, 0.0]


def test_a_pause_that_is_not_told_is_what_the_arrivals_leave() -> None:
    workload = frame_of(
        arrival_s=[0.0, 10.0, 30.0], conversation=[1, 1, 1], output_tokens=[100, 50, 1], think_s=[None, None, 3.0]
    )
    found = sent(Schedule(held(workload), 1))
    assert found[1]["think_s"] == pytest.approx(10 - 0.5 - 100 * 0.02)
    assert found[2]["think_s"] == 3.0


def test_a_conversation_has_one_worker_whatever_else_is_sent() -> None:
    workload = talking(talks=60, alone=30)
    whole = sent(Schedule(held(workload), 3))
    workers = defaultdict(set)
    for told in whole.values():
        if told["talk"] != ALONE:
            workers[told["talk"]].add(told["worker"])
    assert all(len(of) == 1 for of in workers.values())
    assert {told["worker"] for told in whole.values()} == {0, 1, 2}
    skip = np.random.default_rng(1).random(len(workload)) < 0.5
    part = sent(Schedule(held(workload), 3, skip=skip))
    assert all(told["worker"] == whole[row]["worker"] for row, told in part.items())


def test_requests_alone_go_to_the_workers_by_turns() -> None:
    found = sent(Schedule(held(random_workload(100)), 3))
    assert all(told["worker"] == row % 3 for row, told in found.items())


@pytest.mark.parametrize("step", [1, 4, 2**32])
def test_workers_have_as_many_conversations(step: int) -> None:
    """Five standard errors of a binomial count: false alarm one in a million."""
    n, workers = 20_000, 4
    worker = schedules.worker_of(np.arange(n), np.arange(n) * step, workers)
    count = np.bincount(worker, minlength=workers)
    assert abs(count - n / workers).max() < 5 * np.sqrt(n / workers * (1 - 1 / workers))


@given(st.lists(st.none() | st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=20), st.integers(1, 3))
def test_blocks_travel_as_runs(ids: list[list[int] | None], workers: int) -> None:
    workload = frame_of(arrival_s=np.arange(len(ids)) * 1.0, prefix_blocks=ids)
    found = sent(Schedule(held(workload), workers))
    for row, blocks in enumerate(ids):
        pairs = found[row]["runs"]
        runs = list(zip(pairs[::2], pairs[1::2], strict=True))
        assert [first + j for first, count in runs for j in range(count)] == (blocks or [])
        assert all(a + n != b for (a, n), (b, _) in pairwise(runs))


def test_runs_travel_as_they_are(pieces: bool) -> None:
    runs = [[7, 3, 40, 2], None, [], [5, 1]] * 6
    workload = frame_of(arrival_s=np.arange(24) * 1.0, prefix_runs=runs)
    found = sent(Schedule(held(workload), 2))
    assert [found[row]["runs"] for row in range(24)] == [of or [] for of in runs]
    blocks = sent(Schedule(held(with_blocks(workload)), 2))
    assert alike(found, blocks)


def test_a_step_has_no_more_numbers_in_lists_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "_BLOCK_VALUES", 10)
    sizes = [2, 2, 2, 30, 1, 1, 4, 4, 4, 4, 0]
    workload = frame_of(arrival_s=np.arange(11) * 1.0, image_tokens=[[5] * size for size in sizes])
    steps = [len(batches[0] or []) for _, batches in Schedule(held(workload), 1)]
    assert steps == [3, 1, 4, 3]
    found = sent(Schedule(held(workload), 1))
    assert [len(found[row]["images"]) for row in range(11)] == sizes


def test_long_lists_are_read_in_smaller_pieces() -> None:
    short = frame_of(arrival_s=np.arange(4000) * 1.0, prefix_blocks=[[1, 2]] * 4000)
    long = frame_of(arrival_s=np.arange(4000) * 1.0, prefix_blocks=[list(range(3000))] * 4000)
    assert [piece.rows for piece in held(short).pieces] == [4000]
    assert max(piece.rows for piece in held(long).pieces) < 2000
    assert held(long).requests == 4000


def test_what_is_skipped_is_not_sent_and_what_is_left_waits_anew(pieces: bool) -> None:
    workload = talking()
    skip = np.random.default_rng(4).random(len(workload)) < 0.4
    found = sent(Schedule(held(workload), 2, skip=skip))
    assert sorted(found) == np.flatnonzero(~skip).tolist()
    left = Workload(workload.frame.filter(~pl.Series(skip)))
    for row, (think_s, last) in zip(sorted(found), reference(left, thinks=True).values(), strict=True):
        assert found[row]["think_s"] == pytest.approx(think_s, nan_ok=True)
        assert bool(found[row]["last"]) == last


def test_skipping_may_end_before_the_workload() -> None:
    found = sent(Schedule(held(random_workload(20)), 2, skip=np.ones(5, np.bool_)))
    assert sorted(found) == list(range(5, 20))


def test_only_a_stretch_of_time_is_sent(pieces: bool) -> None:
    workload = talking()
    arrival_s = workload.arrival_s
    from_s, until_s = float(arrival_s[13]), float(arrival_s[70])  # 13 ends a piece
    found = sent(Schedule(held(workload), 2, from_s=from_s, until_s=until_s))
    assert sorted(found) == np.flatnonzero((arrival_s >= from_s) & (arrival_s < until_s)).tolist()
    part = Workload(workload.frame.filter(pl.col("arrival_s").is_between(from_s, until_s, closed="left")))
    for row, (_, last) in zip(sorted(found), reference(part, thinks=True).values(), strict=True):
        assert bool(found[row]["last"]) == last


def test_a_schedule_can_be_gone_through_again() -> None:
    schedule = Schedule(held(talking()), 3)
    assert alike(sent(schedule), sent(schedule))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"input_tokens": [1, -2, 3]}, "'input_tokens' is negative in row 1"),
        ({"output_tokens": [1, 2, None]}, "'output_tokens' is empty in row 2"),
        ({"think_s": [None, 1.0, -1.0], "conversation": [1, 1, 1]}, "'think_s' is negative in row 2"),
        ({"think_s": [None, inf, 1.0], "conversation": [1, 1, 1]}, "'think_s' is not finite in row 1"),
        ({"image_tokens": [[1], [2, -3], []]}, "'image_tokens' is negative in row 1"),
        ({"audio_tokens": [[1], [2], [4, None]]}, "'audio_tokens' has an empty entry in row 2"),
        ({"prefix_blocks": [[1], [None], [2]]}, "'prefix_blocks' has an empty entry in row 1"),
        ({"prefix_runs": [[1, 1], [1, 2, 3], None]}, "'prefix_runs' must hold a first id and .* in row 1"),
        ({"prefix_runs": [[1, 1], None, [1, 2, 3, 0]]}, "'prefix_runs' must hold a first id and .* in row 2"),
    ],
)
def test_what_cannot_be_meant_is_named_with_its_row(columns: dict[str, Any], words: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.parquet"
    frame_of(arrival_s=[0.0, 1.0, 2.0], **columns).write(file)
    with pytest.raises(DataError, match=f"^{file}: column {words}"):
        list(Schedule(opened(file), 1))


def test_the_row_that_is_named_counts_from_the_beginning(tmp_path: Path, pieces: bool) -> None:
    file = tmp_path / "bad.parquet"
    frame_of(arrival_s=np.arange(30) * 1.0, output_tokens=[1] * 23 + [-1] * 7).write(file)
    with pytest.raises(DataError, match=r"negative in row 23$"):
        list(Schedule(opened(file), 1))


def test_numbers_of_workers_and_turns_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(UsageError, match="0 workers: must be at least 1"):
        Schedule(held(random_workload(5)), 0)
    with pytest.raises(UsageError, match="'shut': must be closed or open"):
        Schedule(held(random_workload(5)), 1, "shut")  # type: ignore[arg-type]


def whole(source: Source) -> dict[int, dict[str, Any]]:
    return sent(Schedule(source, 2))


def test_our_parquet_is_read_as_what_is_in_memory(tmp_path: Path, pieces: bool) -> None:
    file = tmp_path / "workload.parquet"
    for workload in (everything(), random_workload(100), talking()):
        workload.write(file)
        with opened(file) as source:
            assert source.trace is None
            assert alike(whole(source), whole(held(workload)))


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_other_traces_are_read_by_their_readers(tmp_path: Path, ending: str, pieces: bool) -> None:
    from groundswell.formats import write

    workload = random_workload(100)
    workload = Workload(workload.frame.with_columns(pl.col("arrival_s") - workload.arrival_s[0]))
    file = tmp_path / f"trace.{ending}"
    write([workload], file)
    with opened(file) as source:
        assert source.trace is not None
        assert alike(whole(source), whole(held(workload)))


def test_rows_out_of_order_are_sorted_first(tmp_path: Path) -> None:
    workload = random_workload(50)
    file = tmp_path / "trace.parquet"
    shuffled = workload.frame.sample(fraction=1.0, shuffle=True, seed=1)
    shuffled.write_parquet(file)
    with opened(file) as source:
        found = whole(source)
        inputs = [found[row]["input_tokens"] for row in range(50)]
        names = pl.concat(source.named())["client"].cast(pl.String).to_list()
    assert inputs == workload.input_tokens.tolist()
    assert names == workload.frame["client"].cast(pl.String).to_list()


@pytest.mark.usefixtures("small_pieces")
def test_a_long_trace_that_turns_out_to_be_out_of_order_is_sorted_from_its_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pieces, "PIECE_ROWS", 7)
    order = [*range(40), *range(60, 100), *range(40, 60)]
    lines = [f"{i},c{i % 7},{i},{i}\n" for i in order]
    file = tmp_path / "t.csv"
    file.write_text("arrival_s,client,input_tokens,output_tokens\n" + "".join(lines))
    with opened(file) as source:
        frame = pl.concat(source.named())
    assert frame["input_tokens"].to_list() == list(range(100))
    assert frame["client"].cast(pl.String).to_list() == [f"c{i % 7}" for i in range(100)]


@pytest.mark.parametrize("order", [[*range(28), *range(40, 50), *range(28, 40)], [*range(28, 56), *range(28)]])
def test_a_file_whose_parts_are_in_order_and_the_whole_is_not_is_sorted(
    order: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pieces, "PIECE_ROWS", 7)  # order is looked at in 28 rows at a time
    file = tmp_path / "t.parquet"
    frame_of(arrival_s=[float(i) for i in order], input_tokens=order).write(file)
    with opened(file) as source:
        assert pl.concat(source.named())["input_tokens"].to_list() == sorted(order)


def test_times_before_the_begin_are_moved(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    frame_of(arrival_s=[-5.0, 1.0]).write(file)
    assert [told["due_s"] for told in whole(opened(file)).values()] == [0.0, 6.0]


def test_an_empty_entry_in_a_long_list_is_named_with_its_row(tmp_path: Path) -> None:
    row, n = 30_000, 40_000
    lists = pl.select(pl.int_ranges(0, pl.repeat(40, n))).to_series()
    lists = pl.concat([lists[:row], pl.Series([[1, None]], dtype=lists.dtype), lists[row + 1 :]])
    frame = frame_of(arrival_s=np.arange(n) * 1.0).frame.with_columns(lists.alias("prefix_blocks"))
    file = tmp_path / "t.parquet"
    Workload(frame).write(file)
    with pytest.raises(DataError, match=rf"'prefix_blocks' has an empty entry in row {row}$"):
        opened(file)


def test_long_blocks_in_a_file_become_runs(tmp_path: Path) -> None:
    file = tmp_path / "long.parquet"
    workload = frame_of(
        arrival_s=np.arange(3000) * 1.0,
        prefix_blocks=[list(range(i, i + 90)) for i in range(3000)],
        input_tokens=[1440] * 3000,
    )
    workload.write(file)
    with opened(file) as source:
        assert source.trace is None
        assert "prefix_runs" in source.columns
        assert (
            sum(piece.frame.select(pl.col("prefix_runs").list.len().sum()).collect().item() for piece in source.pieces)
            == 6000
        )
        assert alike(whole(source), whole(held(workload)))


def test_temporary_files_are_gone_when_the_source_is_closed_or_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, scratch = tmp_path / "t.csv", tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    file.write_text("arrival_s,client,input_tokens,output_tokens\n0,a,1,2\n1,b,3,4\n")
    source = opened(file)
    assert len(list(scratch.iterdir())) == 1
    source.close()
    assert not list(scratch.iterdir())
    source = opened(file)
    del source
    assert not list(scratch.iterdir())
    file.write_text("arrival_s,client,input_tokens,output_tokens\n0,a,1,2\n1,b,no,4\n")
    with pytest.raises(DataError, match="line 3"):
        opened(file)
    assert not list(scratch.iterdir())


def test_what_results_repeat_comes_in_order_with_all_clients(tmp_path: Path, pieces: bool) -> None:
    file = tmp_path / "t.csv"
    lines = [f"{i},c{i // 3},{i},{i}\n" for i in range(30)]
    file.write_text("arrival_s,client,input_tokens,output_tokens\n" + "".join(lines))
    with opened(file) as source:
        frames = list(source.named())
        frame = pl.concat(frames)
    assert sorted(frame.columns) == ["arrival_s", "client", "input_tokens", "output_tokens", "row"]
    assert frame["row"].to_list() == list(range(30))
    assert frame["client"].cast(pl.String).to_list() == [f"c{i // 3}" for i in range(30)]
    assert frame.schema["client"] == pl.Enum([f"c{i}" for i in range(10)])
    assert frame["input_tokens"].to_list() == list(range(30))


def test_results_repeat_conversations_and_models_where_there_are_any() -> None:
    workload = everything()
    frame = pl.concat(held(workload).named(until_s=300.0))
    expected = workload.frame.filter(pl.col("arrival_s") < 300).select("arrival_s", *sources.NAMED)
    assert frame.drop("row").equals(expected.select(frame.drop("row").columns))
    assert set(frame.columns) == {"row", "arrival_s", *sources.NAMED}


def test_a_file_that_is_not_there_or_no_trace_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        opened(tmp_path / "none.parquet")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        opened(broken)


def test_our_own_parquet_needs_no_compiler_and_no_readers(tmp_path: Path) -> None:
    talking().write(tmp_path / "w.parquet")
    program = (
        "import sys; from groundswell.replay.source import opened; from groundswell.replay.plan import survey\n"
        "from groundswell.replay.schedule import Schedule\n"
        "source = opened(sys.argv[1]); survey(source); list(Schedule(source, 2)); list(source.named())\n"
        "print([name for name in ('numba', 'scipy', 'groundswell.formats', 'rich') if name in sys.modules])"
    )
    run = [sys.executable, "-c", program, str(tmp_path / "w.parquet")]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == "[]"
