"""Servers that misbehave, and workers that do: every due request ends as one row that says what it ended of, nothing
hangs, and what is not about the server says so."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from fault_request import Request
from fault_server import FaultServer
from faults import BEHAVIOURS
from groundswell.errors import DataError, GroundswellError
from groundswell.judge import judge
from groundswell.replay import clock
from groundswell.replay import run as run_module
from groundswell.replay.call import Sent
from groundswell.replay.journal import Journal
from groundswell.replay.nowhere import Nowhere
from groundswell.replay.schedule import Schedule
from groundswell.replay.sender import Sender
from groundswell.replay.source import held
from groundswell.replay.transport import Call
from groundswell.replay.vocabulary import vocabulary_of
from groundswell.replay.wire import Setup, Tls
from groundswell.results import Results
from replay_command import children
from replaying import run, workload

EXPECTED: dict[str, set[str | None]] = {
    "well": {None},
    "slow": {None},
    "late": {None},
    "in_one_piece": {None},
    "closes": {None},
    "says_close": {None},
    "says_close_and_stays": {None},
    "until_close": {None},
    "http_1_0": {None},
    "interim": {None},
    "trailers": {None},
    "dies_when_reused": {None},
    "resets_after": {None},
    "reset_until_close": {"reset"},
    "answered_in_its_midst": {"status"},
    "echo": {"protocol"},
    "more_than_asked": {"cut off"},  # it has no type: a stream, then, and one without an end
    "reset": {"reset"},
    "hang_up": {"reset"},
    "reset_in_head": {"reset"},
    "reset_in_stream": {"reset"},
    "hang_up_in_stream": {"reset"},
    "short": {"reset"},
    "stall": {"timeout"},
    "stall_in_stream": {"timeout"},
    "stream_without_end": {"cut off"},
    "error_in_stream": {"server"},
    "status_429": {"status"},
    "status_500": {"status"},
    "status_503": {"status"},
    "status_401": {"status"},
    "refused_in_its_midst": {"status"},
    "garbage": {"protocol"},
    "garbage_in_stream": {"protocol"},
    "half_json": {"protocol"},
    "endless": {"timeout", "too large"},  # as fast as the machine is
    "endless_head": {"too large"},
    "long_line": {"too large"},
}
"""How a request ends that is answered so; None is well."""
NAMES = tuple(EXPECTED)
ROUNDS, FIRST_LENGTH = 3, 8
REASONS = {"status_429": "too many requests", "status_500": "Internal", "error_in_stream": "out of <b>memory</b>"}


def by_length(request: Request) -> bool:
    """Each in its way: the length that is asked for says which."""
    return BEHAVIOURS[NAMES[request.tokens - FIRST_LENGTH]](request)


@pytest.fixture(scope="module")
def all_at_once(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """The results of a run in which a server does everything it can, mixed."""
    chosen = np.tile(np.arange(len(NAMES)), ROUNDS)
    np.random.default_rng(5).shuffle(chosen)
    given = workload(np.linspace(0, 2, chosen.size))
    given.frame.replace_column(3, pl.Series("output_tokens", chosen + FIRST_LENGTH, dtype=pl.Int32()))
    BEHAVIOURS["by_length"] = by_length
    try:
        with FaultServer("by_length") as server:
            results, _ = run(given, server.url, tmp_path_factory.mktemp("all"), timeout_s=3.0, event_times=True)
    finally:
        del BEHAVIOURS["by_length"]
    return results.checked().frame.with_columns(pl.Series("name", [NAMES[i] for i in chosen]))


def test_all_that_a_server_can_do_is_expected_somehow() -> None:
    assert set(EXPECTED) == set(BEHAVIOURS)


@pytest.mark.parametrize("name", NAMES)
def test_each_request_ends_as_one_row_that_says_what_of(all_at_once: pl.DataFrame, name: str) -> None:
    mine = all_at_once.filter(pl.col("name") == name)
    assert mine.height == ROUNDS
    assert set(mine["error"].to_list()) <= EXPECTED[name]
    assert (mine["done_s"] >= mine["sent_s"]).all()
    assert (mine["done_s"] - mine["sent_s"]).max() < 3.0 + 5.0  # type: ignore[operator]
    if name in REASONS:
        assert set(mine["words"].to_list()) == {REASONS[name]}
    if name.startswith("status_"):
        assert set(mine["status"].to_list()) == {int(name.removeprefix("status_"))}


def test_no_request_is_there_twice_or_missing(all_at_once: pl.DataFrame) -> None:
    assert all_at_once["row"].to_list() == list(range(ROUNDS * len(NAMES)))


@pytest.mark.parametrize("name", ["refused_in_its_midst", "endless", "closes", "dies_when_reused"])
def test_a_server_that_always_does_that_ends_every_request_alike(tmp_path: Path, name: str) -> None:
    with FaultServer(name) as server:
        results, _ = run(workload(np.linspace(0, 0.5, 12), inputs=4000), server.url, tmp_path, timeout_s=1.0)
    assert len(results) == 12
    assert set(results.frame["error"].to_list()) <= EXPECTED[name]


def test_where_nobody_listens_every_request_is_refused(tmp_path: Path) -> None:
    with FaultServer() as server:
        url = server.url
    results, _ = run(workload(np.linspace(0, 0.5, 40)), url, tmp_path)
    assert results.frame["error"].to_list() == ["refused"] * 40
    assert results.frame["sent_s"].null_count() == 40


def test_a_run_goes_on_with_a_server_that_was_restarted(tmp_path: Path) -> None:
    given = workload(np.arange(0, 4, 0.02))
    with FaultServer("slow") as server:

        def restart() -> None:
            server.stop()
            time.sleep(1.0)
            server.start()

        restarted = when(lambda: server.requests >= 60, restart)
        results, _ = run(given, server.url, tmp_path)
        restarted.join()
    frame = results.frame
    assert frame["row"].to_list() == list(range(200))
    assert set(frame["error"].to_list()) == {None, "refused", "reset"}
    assert frame.filter(pl.col("due_s") < 0.3)["error"].null_count() == 15
    assert frame["error"].to_list()[-30:] == [None] * 30


def test_what_cannot_be_counted_in_a_record_is_not_counted(tmp_path: Path) -> None:
    """Usage of any size and kind, text that is no text, and JSON nested deeper than can be read."""
    events = [
        b'{"choices": [{"index": 0, "delta": {"content": "a"}}]}',
        b'{"choices": [], "usage": {"prompt_tokens": 99999999999999, "completion_tokens": -7}}',
        b'{"choices": [{"index": 0, "delta": {"content": "\\ud800"}}]}',
        b'{"choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": "stop"}], "usage": 1e999}',
        b'{"choices": [], "usage": {"prompt_tokens": 1e400, "completion_tokens": NaN}}',
    ]
    deep = b'{"choices": ' + b"[" * 100_000

    def odd(request: Request) -> bool:
        request.stream_head()
        for data in events:
            request.chunk(b"data: " + data + b"\n\n")
        request.chunk(b"")
        return True

    def nested(request: Request) -> bool:
        request.stream_head()
        request.chunk(b"data: " + deep + b"\n\n")
        request.chunk(b"")
        return True

    BEHAVIOURS.update(odd=odd, nested=nested)
    try:
        with FaultServer() as server:
            server.script.extend(["odd", "nested", "well"])
            results, _ = run(workload([0.0, 0.3, 0.6]), server.url, tmp_path, timeout_s=5.0)
    finally:
        del BEHAVIOURS["odd"], BEHAVIOURS["nested"]
    assert results.frame["error"].to_list() == [None, "protocol", None]
    assert results.frame["events"].to_list()[0] == 3


def test_requests_held_back_until_the_end_and_those_that_time_out_are_rows(tmp_path: Path) -> None:
    given = workload(np.linspace(0, 0.2, 30))
    with FaultServer("stall") as server:
        results, _ = run(given, server.url, tmp_path, most_open=10, timeout_s=0.4, workers=2)
        assert server.requests == 30
    assert results.frame["error"].to_list() == ["timeout"] * 30
    assert results.frame["held"].sum() == 20


def when(ready: Callable[[], object], then: Callable[[], object]) -> threading.Thread:
    """Do ``then`` in a thread as soon as ``ready``."""

    def go() -> None:
        until_s = time.monotonic() + 30
        while not ready() and time.monotonic() < until_s:
            time.sleep(0.005)
        then()

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    return thread


def workers() -> list[int]:
    return [pid for pid in children(os.getpid()) if b"groundswell.replay.worker" in cmdline(pid)]


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def recorded(folder: Path) -> bool:
    return any(path.stat().st_size for path in (folder / "results.parquet.run").glob("*.rows"))


@pytest.mark.parametrize("how", ["killed", "stuck"])
def test_what_a_lost_worker_had_is_lost_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """With much still to be told: a full pipe to one worker must not keep another waiting."""
    monkeypatch.setattr(run_module, "QUIET_S", 2.0)
    monkeypatch.setattr(run_module, "LEAD_S", 1.0)
    monkeypatch.setattr("groundswell.replay.launch.LEAD_S", 1.0)
    given = workload(np.arange(0, 6, 0.001))
    number = {"killed": signal.SIGKILL, "stuck": signal.SIGSTOP}[how]
    lost = when(lambda: recorded(tmp_path), lambda: os.kill(workers()[0], number))
    results, outcome = run(given, "http://localhost", tmp_path, target="null", workers=2)
    lost.join()
    frame = results.checked().frame
    assert frame["row"].to_list() == list(range(6000))
    assert set(frame["error"].to_list()) == {None, "worker lost"}
    other = frame.group_by(pl.col("row") % 2).agg(pl.col("error").is_null().all().alias("well"))
    assert sorted(other["well"].to_list()) == [False, True]
    assert outcome.ended.lost == 1
    found = judge(results)
    assert found.verdict == "invalid"
    assert "lost with a worker that died" in " ".join(reason.text for reason in found.invalid)
    assert not workers()


def test_a_run_whose_workers_all_died_is_broken_off_and_can_go_on(tmp_path: Path) -> None:
    given = workload(np.arange(0, 4, 0.01))

    def kill_all() -> None:
        for pid in workers():
            os.kill(pid, signal.SIGKILL)

    lost = when(lambda: recorded(tmp_path), kill_all)
    with pytest.raises(GroundswellError, match=r"all workers died .*SIGKILL.*--resume"):
        run(given, "http://localhost", tmp_path, target="null", workers=2)
    lost.join()
    frame = Results.read(tmp_path / "results.parquet").frame
    assert set(frame["error"].to_list()) == {None, "worker lost"}
    assert frame["row"].to_list() == list(range(len(frame)))
    results, _ = run(given, "http://localhost", tmp_path, target="null", workers=2, resume=True)
    assert results.frame["row"].to_list() == list(range(400))
    assert results.frame["error"].null_count() == 400


def test_workers_that_cannot_begin_end_the_run_before_it_sends_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer() as server:
        with pytest.raises(GroundswellError, match="no-such-file"):
            run(workload([0.0]), "https://localhost:1", tmp_path, tls=Tls("/no-such-file"))
        monkeypatch.setenv("PYTHONPATH", str(_package(tmp_path, _DIES)))
        with pytest.raises(GroundswellError, match="died before the run began: exit code 7"):
            run(workload([0.0]), server.url, tmp_path)
        assert server.requests == 0
    assert not (tmp_path / "results.parquet.run").exists()


_DIES = """
import os, sys
if "groundswell.replay.worker" in sys.orig_argv:
    os._exit(7)
"""


def _package(folder: Path, program: str) -> Path:
    """A folder for PYTHONPATH whose ``program`` runs in each Python that starts."""
    place = folder / "path"
    place.mkdir()
    (place / "sitecustomize.py").write_text(program)
    return place


class Faulty:
    """A schedule that breaks off."""

    def __init__(self, schedule: Schedule, after: int) -> None:
        self._schedule, self._after = schedule, after

    def __iter__(self) -> Iterator[Any]:
        for number, block in enumerate(self._schedule):
            if number == self._after:
                raise DataError("the workload: row 7 is broken")
            yield block


@pytest.mark.parametrize("after", [0, 3])
def test_a_fault_in_the_workload_ends_the_run_before_its_start_or_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    def faulty(*given: Any, **more: Any) -> Faulty:
        return Faulty(Schedule(*given, **more), after)

    monkeypatch.setattr("groundswell.replay.launch.Schedule", faulty)
    monkeypatch.setattr("groundswell.replay.schedule.BLOCK_ROWS", 50)
    monkeypatch.setattr(run_module, "LEAD_S", 0.1)
    monkeypatch.setattr("groundswell.replay.launch.LEAD_S", 0.1)
    with pytest.raises(GroundswellError, match="row 7 is broken"):
        run(workload(np.arange(0, 2, 0.01)), "http://localhost", tmp_path, target="null")
    assert (tmp_path / "results.parquet").exists() == bool(after)
    assert not workers()


_BREAKS = """
import sys
if "groundswell.replay.worker" in sys.orig_argv:
    from groundswell.replay import maker
    make = maker.Maker.make
    def breaks(self, slice_):
        if any(row.row >= 50 for _, row, _ in slice_):
            raise ZeroDivisionError("by a mistake of ours")
        return make(self, slice_)
    maker.Maker.make = breaks
"""


def test_a_worker_that_breaks_says_so_and_what_it_had_recorded_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    given = workload(np.arange(0, 1.5, 0.01))
    with FaultServer() as server:
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", str(_package(tmp_path, _BREAKS)))
            with pytest.raises(GroundswellError, match=r"ZeroDivisionError: by a mistake of ours; .*--resume"):
                run(given, server.url, tmp_path)
        assert "Traceback" in capfd.readouterr().err
        frame = Results.read(tmp_path / "results.parquet").frame
        assert 10 < frame.filter(pl.col("error").is_null()).height <= 50
        results, _ = run(given, server.url, tmp_path, resume=True)
    assert results.frame["row"].to_list() == list(range(150))
    assert results.frame["error"].null_count() == 150
    assert not workers()


def test_where_no_process_can_be_started_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    with pytest.raises(GroundswellError, match=r"no worker process can be started: No such file"):
        run(workload([0.0]), "http://localhost", tmp_path, target="null")
    assert not list(tmp_path.iterdir())


class Held(Nowhere):
    """Nowhere, where the first request gets no answer."""

    first: Call | None = None

    def send(self, call: Call) -> None:
        if self.first is None:
            self.first = call
            call.on_sent(clock.now_ns())
        else:
            super().send(call)

    def give_up(self, call: Call, kind: str, words: str) -> None:
        call.on_failed(kind, words, clock.now_ns())


def test_a_request_that_takes_long_keeps_none_of_those_after_it_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do requests wait behind one another for their time to be over."""
    monkeypatch.setattr("groundswell.replay.sender.Nowhere", Held)
    n = 3000
    given = workload(np.zeros(n))
    batch = next(iter(Schedule(held(given), 1)))[1][0]
    assert batch is not None
    words = msgspec.msgpack.encode(vocabulary_of(None, ids=False))
    setup = Setup(0, str(tmp_path), "http://localhost", "null", "m", 0, 0, words, timeout_s=600.0)

    async def go() -> tuple[int, int]:
        journal = Journal(tmp_path, 0)
        sender = Sender(asyncio.get_running_loop(), setup, journal)
        sender.add(batch)
        sender.told_all = True
        sender.start(clock.now_ns())
        while sender.state()[1] < n - 1:
            sender.look_after()
            await asyncio.sleep(0.01)
        gc.collect()
        alive = sum(isinstance(each, Sent) for each in gc.get_objects())
        sender.stop(clock.now_ns())
        sender.look_after()
        assert sender.done
        sender.add(batch)  # was on its way when it was stopped: nothing is to wait for that
        assert sender.done
        journal.close()
        return alive, sender.state()[1]

    assert asyncio.run(go()) == (1, n)
