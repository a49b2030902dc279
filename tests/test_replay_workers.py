"""Workers that die, get stuck, break, or cannot begin: what they had is said to be lost, nothing hangs, and what was
sent is kept."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from fault_server import FaultServer
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
from replay_command import children, when
from replaying import run, workload


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
        if any(row.row >= 200 for _, row, _ in slice_):
            raise ZeroDivisionError("by a mistake of ours")
        return make(self, slice_)
    maker.Maker.make = breaks
"""


def test_a_worker_that_breaks_says_so_and_what_it_had_recorded_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    given = workload(np.arange(0, 3, 0.01))
    with FaultServer() as server:
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", str(_package(tmp_path, _BREAKS)))
            with pytest.raises(GroundswellError, match=r"ZeroDivisionError: by a mistake of ours; .*--resume"):
                run(given, server.url, tmp_path)
        assert "Traceback" in capfd.readouterr().err
        frame = Results.read(tmp_path / "results.parquet").frame
        assert 10 < frame.filter(pl.col("error").is_null()).height <= 200
        results, _ = run(given, server.url, tmp_path, resume=True)
    assert results.frame["row"].to_list() == list(range(300))
    assert results.frame["error"].null_count() == 300
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
