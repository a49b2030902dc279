"""A run that is stopped, killed, or out of room ends at once and cleanly, and --resume makes it whole: in the end every
request has one row."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fault_server import FaultServer
from groundswell.cli import execute
from groundswell.errors import DataError
from groundswell.replay.asked_to_stop import AskedToStop
from groundswell.replay.collect import write_results
from groundswell.replay.folder import Folder
from groundswell.replay.journal import RECORD, Journal
from groundswell.results import Results
from replay_command import QUIET, is_gone, replaying
from replaying import run, workload
from resuming import RATE, N, one_line, talking, until_whole, whole


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "workload.parquet"
    talking().write(path)
    return path


def skip_under_nohup() -> None:
    """Where a hang-up is ignored, as nohup has it, it is left so."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        pytest.skip("the tests run under nohup")


@pytest.mark.parametrize(
    ("number", "alone"), [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGHUP, False)]
)
def test_a_run_that_is_stopped_is_made_whole_by_resume(tmp_path: Path, given: Path, number: int, alone: bool) -> None:
    if number == signal.SIGHUP:
        skip_under_nohup()
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


def test_another_run_is_not_taken_for_the_one_that_was_interrupted(
    tmp_path: Path, given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer("slow") as server:
        with replaying(given, server.url, output, *QUIET) as command:
            command.wait_for(command.recorded)
            command.ctrl_c()
            command.ended()
        other = tmp_path / "other.parquet"
        workload(np.arange(N) / RATE, inputs=41).write(other)
        for path, more, what in [(other, (), "workload"), (given, ("--seed", "8"), "seed 0, not 8")]:
            capsys.readouterr()
            assert (
                execute(["replay", str(path), "--url", server.url, "-o", str(output), *QUIET, "--resume", *more]) == 2
            )
            said = capsys.readouterr().err
            assert what in one_line(said)
            assert "the interrupted run had" in said
        until_whole(given, server.url, output)


def test_a_run_that_still_goes_on_is_nobody_elses(
    tmp_path: Path, given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer("slow") as server, replaying(given, server.url, output, *QUIET) as first:
        first.wait_for(first.recorded)
        # In this process, which need not start first: on a busy machine the run could be over meanwhile.
        assert execute(["replay", str(given), "--url", server.url, "-o", str(output), *QUIET, "--resume"]) == 2
        assert "still goes on" in one_line(capsys.readouterr().err)
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
    skip_under_nohup()
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
