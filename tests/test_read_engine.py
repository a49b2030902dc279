"""Reading whatever the file: order, pieces, ticks, units, and memory that does not grow."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell import formats
from groundswell.errors import DataError, OutputError, UsageError
from groundswell.formats.reading import OutOfOrderError, Trace, in_order, lines, order, read, roster
from groundswell.formats.reading.ahead import ahead, worked_ahead
from groundswell.formats.reading.lines import pieces, record_bounds
from groundswell.formats.reading.roster import NAMELESS, Roster
from groundswell.formats.reading.ticks import tick_of
from traces import HEADER, read_text, rows_of, saved
from workloads import WRITTEN, random_workload


def csv_of(times: np.ndarray, digits: int = 6) -> str:
    return HEADER + "".join(f"{t:.{digits}f},c{i % 3},{i + 1},{i + 2}\n" for i, t in enumerate(times))


# What every reading promises.


@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_reads_back_in_pieces_as_it_does_whole(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = random_workload(300, items=True)
    path = tmp_path / "w"
    formats.write([w], path, name)
    whole = rows_of(read(path))
    monkeypatch.setattr(lines, "PIECE_BYTES", 3000)
    monkeypatch.setattr(order, "FRAME_ROWS", 7)
    trace = read(path, block_rows=11)
    assert max(len(block) for block in trace) <= 11
    assert rows_of(trace).equals(whole)
    assert whole["output_tokens"].to_list() == w.output_tokens.tolist()


def test_a_trace_can_be_read_again_and_left_half_way(tmp_path: Path, small_pieces: None) -> None:
    trace = read(saved(tmp_path, csv_of(np.arange(500.0))), block_rows=10)
    for _ in range(2):
        next(iter(trace))
    assert sum(map(len, trace)) == sum(map(len, trace)) == 500
    assert trace.reading.rows == 500


def test_blocks_are_of_the_size_that_was_asked_for(tmp_path: Path) -> None:
    trace = read(saved(tmp_path, csv_of(np.arange(1000.0))), block_rows=300)
    assert [len(block) for block in trace] == [300, 300, 300, 100]


# Order.


def test_a_small_file_in_any_order_is_put_in_order(tmp_path: Path) -> None:
    times = np.random.default_rng(1).permutation(400).astype(float) + 10
    trace = read(saved(tmp_path, csv_of(times)))
    rows = pl.concat([block.frame for block in trace])
    assert rows["arrival_s"].to_list() == list(range(400))
    assert (rows["input_tokens"].to_numpy() - 1 == np.argsort(times)).all()
    assert any("put in order" in note for note in trace.reading.notes)


def test_disorder_within_reach_is_put_right_without_sorting_everything(tmp_path: Path, small_pieces: None) -> None:
    times = np.arange(600.0)
    times += np.random.default_rng(2).uniform(0, 3, 600)
    trace = read(saved(tmp_path, csv_of(times)))
    rows = pl.concat([block.frame for block in trace])
    assert rows["arrival_s"].is_sorted()
    assert sorted(rows["input_tokens"]) == list(range(1, 601))


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_far_disorder_is_sorted_through_files_that_go_away(
    name: str, tmp_path: Path, small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "_MARK_EVERY", 4)
    monkeypatch.setattr(order, "RUN_ROWS", 90)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    rng = np.random.default_rng(3)
    times = np.round(rng.permutation(rng.uniform(0, 100, 700)), 1)
    path = tmp_path / f"w.{name}"
    frame = pl.read_csv(csv_of(times).encode())
    getattr(frame, {"csv": "write_csv", "jsonl": "write_ndjson", "parquet": "write_parquet"}[name])(path)
    trace = read(path, block_rows=50)
    with pytest.raises(OutOfOrderError):
        list(trace)

    def twice(trace: Trace) -> pl.DataFrame:
        assert sum(map(len, trace)) == 700
        return pl.concat([block.frame.with_columns(pl.col("client").cast(pl.String)) for block in trace])

    rows = in_order(trace, twice)
    place = np.argsort(times, kind="stable")
    assert rows["input_tokens"].to_list() == (place + 1).tolist()
    assert rows["arrival_s"].to_numpy() == pytest.approx(times[place] - times.min())
    assert rows["client"].to_list() == [f"c{i % 3}" for i in place]
    assert any("far out of order" in note for note in trace.reading.notes)
    assert not list((tmp_path / "tmp").iterdir())


def test_a_disk_too_full_to_sort_on_is_told(
    tmp_path: Path, small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    path = saved(tmp_path, csv_of(np.random.default_rng(2).permutation(700)))
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        rows_of(read(path, block_rows=50))


def test_other_faults_are_not_taken_for_disorder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3"):
        in_order(read(saved(tmp_path, HEADER + "0,a,1,1\nx,a,1,1\n")), lambda trace: list(trace))


# Lines.


@given(st.lists(st.sampled_from(['"', "\n", ",", "a", '""', "\r\n", '"\n"']), max_size=60), st.integers(1, 9))
def test_pieces_are_the_file_cut_where_no_quotes_are_open(parts: list[str], size: int) -> None:
    import io

    data = "".join(parts).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "PIECE_BYTES", size)
        found = list(pieces(io.BytesIO(data), Path("x"), 5, quoted=True, header=b"h\n"))
    assert b"".join(piece.data for piece in found) == data
    line, seen = 5, b""
    for piece in found:
        assert piece.text.startswith(b"h\n")
        assert piece.line == line
        assert seen.count(b'"') % 2 == 0
        seen += piece.data
        line += piece.data.count(b"\n")


@given(st.lists(st.sampled_from(['"', "\n", ",", "a"]), min_size=1, max_size=60), st.booleans())
def test_records_are_the_lines_that_end_outside_quotes(parts: list[str], quoted: bool) -> None:
    data = "".join(parts).encode()
    start, end, before = record_bounds(data, quoted=quoted)
    assert [data[a:b] for a, b in zip(start, end, strict=True)] == _records(data, quoted)
    assert before.tolist() == [data[:a].count(b"\n") for a in start]


def _records(data: bytes, quoted: bool) -> list[bytes]:
    found, open_ = [b""], False
    for byte in data:
        found[-1] += bytes([byte])
        open_ ^= quoted and byte == ord('"')
        if byte == ord("\n") and not open_:
            found.append(b"")
    return [record for record in found if record]


def test_what_fails_while_reading_ahead_is_raised_in_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise DataError("three")

    got: list[int] = []
    with pytest.raises(DataError, match="three"):
        got.extend(ahead(items()))
    assert got == [1, 2]


def test_items_worked_on_ahead_come_in_order_however_long_each_takes() -> None:
    def slowly(item: int) -> int:
        time.sleep(0.01 if item % 3 == 0 else 0.0)
        return item * item

    assert list(worked_ahead(range(30), slowly)) == [(item, item * item) for item in range(30)]


@pytest.mark.parametrize("where", ["item", "work"])
def test_what_fails_while_working_ahead_is_raised_behind_what_came_before(where: str) -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        if where == "item":
            raise DataError("five")
        yield 5

    def work(item: int) -> int:
        if item == 5:
            raise DataError("five")
        return item

    got: list[tuple[int, int]] = []
    with pytest.raises(DataError, match="five"):
        got.extend(worked_ahead(items(), work))
    assert got == [(item, item) for item in range(5)]


def test_what_works_ahead_ends_when_it_is_closed() -> None:
    begun: list[int] = []
    working = worked_ahead(iter(range(1000)), begun.append)
    next(working)
    working.close()
    assert len(begun) < 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reading")]


def test_a_number_too_fine_is_told_in_the_same_words_wherever_pieces_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{i},a,{i},2" for i in range(200)]
    rows[20], rows[60], rows[199] = "20,a,20.0,2", "60,a,60.5,2", "199,a,199.25,2"
    path = saved(tmp_path, HEADER + "\n".join(rows) + "\n")
    said = set()
    for size in (2**22, 100, 150, 100, 150, 100):
        monkeypatch.setattr(lines, "PIECE_BYTES", size)
        trace = read(path, bad_rows="skip")
        assert len(rows_of(trace)) == 198
        assert [line for line, _ in trace.reading.first_skipped] == [62, 201]
        if size < 2**22:
            said.add(trace.reading.first_skipped)
    assert len(said) == 1


# Names.


def _numbered(names: list[str | None], parts: int) -> tuple[list[int], list[str], int]:
    """The numbers of names told in parts, what each number stands for, and how many rows had none."""
    book = Roster()
    size = -(-len(names) // parts)
    codes = pl.concat(
        [
            book.codes(pl.Series(part, dtype=pl.String), len(part))
            for part in (names[i : i + size] for i in range(0, len(names), size))
        ]
    )
    column = book.column(codes)
    assert column.cast(pl.String).to_list() == [NAMELESS if name is None else name for name in names]
    return codes.to_list(), list(cast(pl.Enum, column.dtype).categories), book.nameless


@pytest.mark.parametrize("hash_of", ["polars'", "one for all", "one of three"])
@given(st.lists(st.none() | st.text(max_size=3), min_size=1, max_size=40), st.integers(1, 4), st.integers(1, 9))
def test_names_are_numbered_as_they_turn_up_even_if_they_share_a_hash(
    hash_of: str, names: list[str | None], parts: int, rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roster, "_PART_ROWS", rows)
        if hash_of != "polars'":
            of = 1 if hash_of == "one for all" else 3
            patch.setattr(roster, "_hash_of", lambda names: names.str.len_bytes().cast(pl.UInt64).to_numpy() % of)
        codes, known, nameless = _numbered(names, parts)
    shown = [NAMELESS if name is None else name for name in names]
    assert [known[code] for code in codes] == shown
    assert sorted(known) == sorted(set(shown))
    assert nameless == names.count(None)
    if hash_of == "polars'":
        assert known == list(dict.fromkeys(shown))


def test_more_names_than_there_was_room_for_keep_their_numbers() -> None:
    names = [f"user-{i * i % 40_009}" for i in range(60_000)]
    codes, known, _ = _numbered([*names, *names], 7)
    assert known == list(dict.fromkeys(names))
    assert codes[:60_000] == codes[60_000:]


# Ticks.


def ticked(n: int, tick_s: float, rate_per_s: float, jitter_s: float = 0.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.floor(np.cumsum(rng.exponential(1 / rate_per_s, n)) / tick_s)
    told: np.ndarray = tick_s * time + jitter_s * rng.uniform(-1, 1, int(time[-1]) + 1)[time.astype(int)]
    return told


@pytest.mark.parametrize("rate_per_s", [0.4, 3.0, 40.0])
@pytest.mark.parametrize("tick_s", [1.0, 3.0, 60.0, 0.5])
def test_a_clock_too_coarse_for_its_arrivals_is_seen(tick_s: float, rate_per_s: float) -> None:
    for seed in range(5):
        rows = max(4000, int(50 * tick_s * rate_per_s))
        time = ticked(rows, tick_s, rate_per_s, seed=seed)
        assert tick_of(time) == tick_s
        assert tick_of(1.7e9 + time) == tick_s
        assert tick_of(np.sort(ticked(rows, tick_s, rate_per_s, 0.001 * tick_s, seed))) == pytest.approx(
            tick_s, rel=1e-3
        )


@pytest.mark.parametrize(
    "time",
    [
        ticked(20_000, 0.001, 20.0),
        np.cumsum(np.random.default_rng(4).exponential(1, 5000)),
        np.cumsum(np.random.default_rng(5).gamma(0.05, 20, 5000)),
        np.arange(5000.0),
        np.repeat(np.cumsum(np.random.default_rng(6).exponential(1, 2000)), 3),
        np.zeros(1000),
        np.round(np.cumsum(np.random.default_rng(7).gamma(0.1, 10, 5000)), 7),
        np.array([0.0, 1.0, 1.0]),
        np.array([]),
    ],
    ids=["1 ms", "Poisson", "bursty", "metronome", "in threes", "at once", "0.1 µs", "three rows", "none"],
)
def test_fine_clocks_and_ties_that_are_real_are_no_ticks(time: np.ndarray) -> None:
    assert tick_of(time) is None


def test_mooncakes_three_seconds_are_told(public_data: Path) -> None:
    trace = read(public_data / "mooncake" / "conversation_trace.jsonl")
    rows = rows_of(trace)
    assert len(rows) == 12_031
    assert trace.reading.tick_s == trace.metadata["tick_s"] == 3.0
    assert any("ticks of 3 s" in note for note in trace.reading.notes)
    assert "dequantised" not in trace.metadata


def test_rows_of_a_tick_are_spread_evenly_over_it_and_keep_their_order(tmp_path: Path) -> None:
    time = ticked(20_000, 2.0, 5.0)
    trace = read(saved(tmp_path, csv_of(time)), dequantise=True)
    rows = rows_of(trace)
    assert trace.metadata["dequantised"] is True
    assert rows["input_tokens"].to_list() == list(range(1, 20_001))
    # From where the clock stands the rows lie where a clock that ticks in 1e-9 s would have put them: uniformly.
    place = (rows["arrival_s"].to_numpy() + (time[0] % 2)) % 2.0
    away = rows["arrival_s"].to_numpy() - (time - time[0])
    assert away.min() > -2.0
    assert away.max() < 2.0
    from scipy.stats import kstest

    # The origin is the first row's own spread time, which turns the circle: uniform all the same.
    assert kstest(place / 2, "uniform").pvalue > 1e-6
    assert rows_of(read(saved(tmp_path, csv_of(time)), dequantise=True)).equals(rows)
    gaps = np.diff(rows["arrival_s"].to_numpy())
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.05)


def test_without_a_tick_there_is_nothing_to_spread(tmp_path: Path) -> None:
    time = np.cumsum(np.random.default_rng(8).exponential(1, 500))
    trace = read(saved(tmp_path, csv_of(time)), dequantise=True)
    assert rows_of(trace)["arrival_s"].to_numpy() == pytest.approx(np.round(time, 6) - round(time[0], 6))
    assert any("No tick" in note for note in trace.reading.notes)


# Units.


def test_milliseconds_taken_for_seconds_are_noticed(tmp_path: Path) -> None:
    text = csv_of(np.round(np.cumsum(np.random.default_rng(9).exponential(3000, 500))), 0)
    trace = read(saved(tmp_path, text))
    rows_of(trace)
    assert any(
        "If they are milliseconds, say so (--map arrival=arrival_s --time-unit ms)" in n for n in trace.reading.notes
    )
    sure = read(saved(tmp_path, text), columns={"arrival": "arrival_s"}, time_unit="ms")
    assert rows_of(sure)["arrival_s"][-1] == pytest.approx(1500, rel=0.2)
    assert sure.reading.notes == ()


def test_seconds_taken_for_milliseconds_are_noticed(tmp_path: Path) -> None:
    trace = read(saved(tmp_path, csv_of(np.arange(500.0))), columns={"arrival": "arrival_s"}, time_unit="us")
    rows_of(trace)
    assert trace.reading.notes == ()  # it was said
    fast = read(saved(tmp_path, csv_of(np.arange(500) * 1e-5)))
    rows_of(fast)
    assert any("100,000 requests a second" in note for note in fast.reading.notes)


def test_unix_milliseconds_in_a_column_of_seconds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"looks like Unix time in a smaller unit.*--time-unit ms"):
        read_text(tmp_path, csv_of(1.7e12 + np.arange(5.0)))


def test_rows_that_all_come_at_once_are_told(tmp_path: Path) -> None:
    trace = read(saved(tmp_path, csv_of(np.full(60, 7.0))))
    assert rows_of(trace)["arrival_s"].to_list() == [0.0] * 60
    assert any("have the same time" in note for note in trace.reading.notes)


# Memory.

PEAK = """
import resource, sys
from groundswell.formats.reading import in_order, read
def work(trace):
    return sum(len(block) for block in trace)
rows = in_order(read(sys.argv[1]), work)
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_kb(path: Path) -> tuple[int, int]:
    done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
    rows, peak = done.stdout.split()
    return int(rows), int(peak)


@pytest.mark.parametrize("name", ["csv", "parquet", "shuffled"])
def test_memory_does_not_grow_with_the_file(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    peaks = []
    for n in (800_000, 3_200_000):
        time = np.cumsum(rng.exponential(0.01, n))
        frame = pl.DataFrame(
            {
                "arrival_s": rng.permutation(time) if name == "shuffled" else time,
                "client": np.array(["a", "b", "c"])[rng.integers(0, 3, n)],
                "input_tokens": rng.integers(1, 5000, n).astype(np.int32),
                "output_tokens": rng.integers(1, 500, n).astype(np.int32),
            }
        )
        path = tmp_path / f"{n}"
        frame.write_csv(path) if name == "csv" else frame.write_parquet(path, row_group_size=2**18)
        del frame, time
        rows, peak = peak_kb(path)
        assert rows == n
        peaks.append(peak)
    assert peaks[1] < peaks[0] * 1.25 + 30_000, peaks


def test_a_line_without_end_is_refused_before_it_fills_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 2**22)
    monkeypatch.setattr(lines, "PIECE_BYTES", 2**18)
    path = saved(tmp_path, HEADER + "0,a,1,2\n1,b,")
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(b"1" * 2**24)
    with pytest.raises(DataError, match="line 3: is longer than 4 MB"):
        list(read(path))
    jsonl = saved(tmp_path, b'{"arrival_s":0,"input_tokens":1,"output_tokens":2}\n{"a":"' + b"x" * 2**24, "t.jsonl")
    with pytest.raises(DataError, match="line 2: is longer than 4 MB"):
        list(read(jsonl))
    with pytest.raises(DataError, match="line 1: is longer than 4 MB"):
        read(saved(tmp_path, b"a," * 2**23, "one"))


def test_ten_gigabytes_of_nothing_are_refused_at_once(tmp_path: Path) -> None:
    path = saved(tmp_path, HEADER + "0,a,1,2\n")
    with path.open("r+b") as file:
        file.truncate(10 * 2**30)
    with pytest.raises(DataError, match="NUL"):
        read(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with path.open("r+b") as file:
        file.write((HEADER + "0,a,1,2\n" * 200_000).encode())
    with pytest.raises(DataError, match="line 200002: is longer than 64 MB"):
        list(read(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000
