"""A run that is stopped, killed, or out of room ends at once and cleanly, and --resume makes it whole: in the end every
request has one row."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fault_server import FaultServer
from groundswell.errors import DataError, OutputError
from groundswell.replay.asked_to_stop import AskedToStop
from groundswell.replay.collect import write_results
from groundswell.replay.folder import Folder
from groundswell.replay.journal import RECORD, Journal
from groundswell.results import Results
from groundswell.table import Workload
from replay_command import LONGEST_S, QUIET, is_gone, replaying
from replaying import run, workload

RATE = 150.0
N = 300
"""2 s of requests."""


def talking(n: int = N) -> Workload:
    """Half of them in conversations of three turns, which think for 0.1 s."""
    conversation = [i // 30 * 5 + i % 5 if i % 10 < 5 else None for i in range(n)]
    turn = [None if c is None else 1 + conversation[:i].count(c) for i, c in enumerate(conversation)]
    think_s = [None if t is None or t == 1 else 0.1 for t in turn]
    tokens = [40 if t is None else 40 * t for t in turn]
    return workload(
        np.arange(n) / RATE, conversation=conversation, turn=turn, think_s=think_s, input_tokens=tokens, outputs=4
    )


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "workload.parquet"
    talking().write(path)
    return path


def whole(path: Path, n: int = N) -> pl.DataFrame:
    """The results, which have each of ``n`` requests once, well."""
    frame = Results.read(path).frame
    assert frame["row"].to_list() == list(range(n))
    assert frame["error"].null_count() == n, frame["error"].value_counts()
    return frame


def until_whole(given: Path, url: str, output: Path, *more: str) -> pl.DataFrame:
    """Resume until nothing is left."""
    with replaying(given, url, output, *QUIET, "--resume", *more) as command:
        code, _, said = command.ended()
    assert code in (0, 1), said  # 1: late on a busy machine
    assert not command.folder.exists()
    return whole(output)


def one_line(said: str) -> str:
    """What was said, without the lines of the view: one line, and no trace of where in the code."""
    assert "Traceback" not in said, said
    lines = [line for line in said.splitlines() if line.startswith("groundswell: ")]
    assert len(lines) == 1, said
    return lines[0]


@pytest.mark.parametrize(
    ("number", "alone"), [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGHUP, False)]
)
def test_a_run_that_is_stopped_is_made_whole_by_resume(tmp_path: Path, given: Path, number: int, alone: bool) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer("slow") as server:
        with replaying(given, server.url, output, *QUIET, "--workers", "2") as command:
            command.wait_for(command.recorded)
            command.ctrl_c(number, alone=alone)
            code, _, said = command.ended()
        assert code == 130
        assert one_line(said) == "groundswell: interrupted"
        assert "--resume" in said
        stopped = Results.read(output)
        assert 0 < len(stopped) < N
        assert stopped.frame["error"].null_count() == len(stopped)  # what was open was waited for
        assert stopped.run["interrupted"]
        assert stopped.run["remaining"] == N - len(stopped)
        frame = until_whole(given, server.url, output, "--workers", "1")
        assert server.requests == N
    # Nothing is due before it was at first, nor, of what was left, before the run was stopped.
    left = ~frame["row"].is_in(stopped.frame["row"].implode()).to_numpy()
    due_s = frame["due_s"].to_numpy()
    alone_ = frame["conversation"].is_null().to_numpy()
    arrival_s = np.arange(N) / RATE
    assert (due_s[left] >= stopped.run["cut_s"] - 1e-6).all()
    assert np.allclose(due_s[alone_], np.maximum(arrival_s, np.where(left, stopped.run["cut_s"], 0))[alone_], atol=1e-6)


def test_what_is_open_is_given_up_when_it_is_asked_twice(tmp_path: Path, given: Path) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer("stall_in_stream") as server:
        with replaying(given, server.url, output, *QUIET, "--workers", "2") as command:
            command.wait_for(lambda: server.requests > 20)
            command.ctrl_c()
            time.sleep(0.4)  # it waits for what is open
            assert command.process.poll() is None
            command.ctrl_c()
            code, _, said = command.ended()
        assert code == 130
        one_line(said)
        stopped = Results.read(output).frame
        assert set(stopped["error"].to_list()) == {"interrupted"}
        server.behaviour = "well"
        until_whole(given, server.url, output)


def test_a_worker_that_is_stuck_does_not_keep_a_run_from_being_stopped(tmp_path: Path, given: Path) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer("slow") as server:
        with replaying(given, server.url, output, *QUIET, "--workers", "2") as command:
            command.wait_for(lambda: server.requests > 40)
            os.kill(command.workers()[0], signal.SIGSTOP)
            command.ctrl_c()
            time.sleep(0.4)
            command.ctrl_c()
            code, _, said = command.ended()
        assert code == 130
        one_line(said)
        stopped = Results.read(output).frame
        assert stopped.filter(pl.col("error") == "worker lost").height > 0
        until_whole(given, server.url, output)


def test_held_back_requests_are_rows_of_a_run_that_is_stopped(tmp_path: Path, given: Path) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer("stall") as server:
        with replaying(given, server.url, output, *QUIET, "--max-open", "2") as command:
            command.wait_for(lambda: server.requests == 2)
            time.sleep(0.5)
            command.ctrl_c()
            time.sleep(0.4)
            command.ctrl_c()
            code, out, _ = command.ended()
        assert code == 130
        stopped = Results.read(output)
        counts = dict(stopped.frame["error"].value_counts().iter_rows())
        assert counts["interrupted"] == 2
        assert counts["unsent"] > 10
        assert stopped.frame["due_s"].max() <= stopped.run["cut_s"] + 0.3
        assert "INVALID" in out
        server.behaviour = "well"
        until_whole(given, server.url, output)


@pytest.mark.parametrize("stage", ["starting", "probing", "begun"])
def test_before_anything_is_sent_nothing_is_left_of_a_run_that_is_stopped(
    tmp_path: Path, given: Path, stage: str
) -> None:
    output = tmp_path / "results.parquet"
    asks = () if stage == "probing" else QUIET
    with FaultServer("stall") as server, replaying(given, server.url, output, *asks, "--workers", "2") as command:
        if stage == "probing":
            command.wait_for(lambda: server.requests)
        elif stage == "begun":
            command.wait_for(command.folder.exists)
        else:
            command.wait_for(command.workers)
            time.sleep(0.1)  # they import what they need
        command.ctrl_c()
        code, _, said = command.ended()
        if stage != "probing" and server.requests:
            return  # the machine was quicker than we are
        assert code == 130
        assert one_line(said).startswith("groundswell: interrupted")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["workload.parquet"]


def test_reading_a_workload_can_be_stopped(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    line = '{"timestamp": %d, "input_length": 10, "output_length": 5, "hash_ids": [1]}\n'
    path.write_text("".join(line % i for i in range(400_000)))
    with replaying(path, "http://127.0.0.1:9", tmp_path / "results.parquet", *QUIET) as command:
        time.sleep(1.0)
        command.ctrl_c()
        code, _, said = command.ended()
    assert code == 130, said
    assert one_line(said).startswith("groundswell: interrupted")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trace.jsonl"]


@pytest.mark.parametrize("who", ["command", "group"])
def test_a_run_that_was_killed_loses_less_than_a_second_and_its_workers_go_with_it(
    tmp_path: Path, given: Path, who: str
) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer("slow") as server:
        with replaying(given, server.url, output, *QUIET, "--workers", "2") as command:
            command.wait_for(lambda: server.requests > 120)
            workers = command.workers()
            assert len(workers) == 2
            answered = server.seen["slow"]
            command.ctrl_c(signal.SIGKILL, alone=who == "command")
            command.process.wait()
            command_gone_s = time.monotonic()
            while not all(map(is_gone, workers)):
                assert time.monotonic() < command_gone_s + 5, "a worker outlives its command"
                time.sleep(0.01)
        kept = sum(path.stat().st_size for path in command.folder.glob("*.rows")) // RECORD.itemsize
        assert kept >= answered - RATE * 1.0
        assert not output.exists()
        frame = until_whole(given, server.url, output)
        assert server.requests <= N + RATE * 1.0
    # The run goes on where it was cut, not at its begin: what was open then is due anew.
    single = frame.filter(pl.col("conversation").is_null())
    late_s = single["due_s"] - single["row"] / RATE
    anew = single.filter(late_s > 1e-6)["due_s"]
    assert anew.len() >= 1
    assert anew.n_unique() == 1
    assert 100 / RATE < anew[0] < N / RATE
    assert (late_s >= -1e-6).all()


def test_another_run_is_not_taken_for_the_one_that_was_interrupted(tmp_path: Path, given: Path) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer("slow") as server:
        with replaying(given, server.url, output, *QUIET) as command:
            command.wait_for(command.recorded)
            command.ctrl_c()
            command.ended()
        other = tmp_path / "other.parquet"
        workload(np.arange(N) / RATE, inputs=41).write(other)
        for path, more, what in [(other, (), "workload"), (given, ("--seed", "8"), "seed 0, not 8")]:
            with replaying(path, server.url, output, *QUIET, "--resume", *more) as command:
                code, _, said = command.ended()
            assert code == 2
            assert what in one_line(said)
            assert "the interrupted run had" in said
        until_whole(given, server.url, output)


def test_a_run_that_still_goes_on_is_nobody_elses(tmp_path: Path, given: Path) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer("slow") as server, replaying(given, server.url, output, *QUIET) as first:
        first.wait_for(first.recorded)
        with replaying(given, server.url, output, *QUIET, "--resume") as second:
            code, _, said = second.ended()
        assert code == 2
        assert "still goes on" in one_line(said)
        first.ended()
        whole(output)


@pytest.mark.parametrize("text", ["", "{}", '{"asked": {}, "cut_s": "x", "next_worker": 0}', '{"asked": 3}'])
def test_what_an_interrupted_run_did_not_leave_is_refused(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "results.parquet.run"
    folder.mkdir()
    (folder / "run.json").write_text(text)
    with (
        pytest.raises(DataError, match=r"run\.json: is not what an interrupted run leaves"),
        Folder(tmp_path / "results.parquet") as mine,
    ):
        mine.again({})


def test_a_record_that_was_cut_off_is_sent_again(tmp_path: Path, given: Path) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer() as server:
        with replaying(given, server.url, output, *QUIET, "--event-times") as command:
            command.wait_for(lambda: command.recorded() > 50 * RECORD.itemsize)
            command.ctrl_c(signal.SIGKILL)
            command.process.wait()
        for kind, cut in (("rows", 30), ("times", 3), ("gaps", 1), ("state", 5)):
            file = command.folder / f"0.{kind}"
            os.truncate(file, max(file.stat().st_size - cut, 0))
        frame = until_whole(given, server.url, output, "--event-times")
    last = frame["event_s"].list.last()
    assert ((last - frame["done_s"]).abs() < 1.0).sum() >= N - 1


# A disk that is full: a file may not grow beyond a limit, which all processes of the command have.

_LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from groundswell.cli import main
main()
"""


@contextlib.contextmanager
def with_little_room(limit: int, given: Path, url: str, output: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _LIMITED, str(limit), "replay", str(given), "--url", url, "-o", str(output)]
    with subprocess.Popen([*command, *QUIET, *more], stdout=-1, stderr=-1, text=True, process_group=0) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_journals_without_room_are_one_line_and_resume_goes_on_when_there_is_some(tmp_path: Path, given: Path) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer() as server:
        with with_little_room(8000, given, server.url, output) as process:
            _, said = process.communicate(timeout=LONGEST_S)
        assert process.returncode == 1, said
        assert one_line(said) == (
            f"groundswell: the run was broken off: the journal cannot be written: {os.strerror(errno.EFBIG)}; what was "
            f"recorded is in {output}.run, and --resume goes on from there"
        )
        until_whole(given, server.url, output)


def test_results_without_room_can_be_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = workload(np.arange(0, 0.5, 0.01))

    def full(*_: object) -> None:
        raise OutputError("results.parquet: cannot be written: No space left on device")

    with FaultServer() as server:
        with monkeypatch.context() as patch:
            patch.setattr("groundswell.replay.launch.write_results", full)
            with pytest.raises(OutputError, match="--resume goes on from there"):
                run(given, server.url, tmp_path)
        results, _ = run(given, server.url, tmp_path, resume=True)
        assert server.requests == 50
    assert results.frame["error"].null_count() == 50


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_a_file_system_without_room_is_one_line_and_resume_goes_on(tmp_path: Path, given: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(f"mount -t tmpfs -o size=64k none {place}".split(), capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        output = place / "results.parquet"
        with FaultServer() as server:
            with replaying(given, server.url, output, *QUIET, "--event-times") as command:
                code, _, said = command.ended()
            assert code == 1, said
            assert "No space left on device" in one_line(said)
            assert "--resume goes on from there" in said
            subprocess.run(f"mount -o remount,size=4m {place}".split(), check=True)
            until_whole(given, server.url, output, "--event-times")
    finally:
        subprocess.run(f"umount -l {place}".split(), check=True)


def test_a_folder_that_cannot_be_begun_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Folder(tmp_path / "results.parquet") as folder:
        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(OutputError, match=r"run\.json: cannot be written: No space left on device"):
            folder.begin({})
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_stopped_while_its_results_are_written_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*given: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        write_results(*given)

    monkeypatch.setattr("groundswell.replay.launch.write_results", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(workload([0.0, 0.1]), "http://localhost", tmp_path, target="null")
    assert [path.name for path in tmp_path.iterdir()] == ["results.parquet"]
    whole(tmp_path / "results.parquet", 2)


def test_signals_are_counted_and_handlers_put_back() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with AskedToStop() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        assert asked.times == 2
    assert {number: signal.getsignal(number) for number in before} == before
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    try:
        with AskedToStop() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert asked.times == 0
    finally:
        signal.signal(signal.SIGHUP, before[signal.SIGHUP])


def test_what_servers_say_again_and_again_is_kept_once_and_not_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, 0)
    assert [journal.add_words(text) for text in ("full", "busy", "full")] == [0, 6, 0]
    monkeypatch.setattr("groundswell.replay.journal.MOST_WORDS_BYTES", 10)
    assert [journal.add_words(text) for text in ("else", "busy")] == [-1, 6]
    journal.close()
