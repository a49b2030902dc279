"""``groundswell replay`` as a user types it."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from groundswell.cli import execute as run
from groundswell.results import Results
from groundswell.serve.control import running_mock
from replaying import workload

NOBODY = "http://127.0.0.1:9"
AFAR = "http://192.0.2.1:8000"
"""An address that is nobody's (RFC 5737): no test may send there."""

Refused = Callable[..., str]


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.parquet"
    workload(np.arange(40) / 20.0, outputs=4).write(path)
    return str(path)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that must fail as usage, and gives the last line on stderr; nothing is on stdout."""

    def go(*given: str) -> str:
        assert run(["replay", *given]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        last = shown.err.splitlines()[-1]
        assert last.startswith("groundswell: ")
        return last

    return go


def test_a_workload_is_sent_and_judged(small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "results.parquet"
    with running_mock(ttft_s=0.2, gap_s=0.01) as mock:
        code = run(["replay", small, "--url", mock.url, "-o", str(place), "--slo", "ttft:p50<60s"])
        assert len(mock.log()) == 42  # the two of the probe with them
    shown = capsys.readouterr()
    assert f"wrote {place}: 40 requests" in shown.out
    assert "ttft:p50<60s" in shown.out
    assert "no --tokenizer" in shown.err
    results = Results.read(place)
    assert results.frame["output_tokens"].to_list() == [4] * 40
    assert results.run["model"] == "mock"
    assert code == (1 if "INVALID" in shown.out else 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.parquet", "small.parquet"]


def test_the_options_reach_the_server(small: str, tmp_path: Path) -> None:
    with running_mock(ttft_s=0.05) as mock:
        given = ["--url", mock.url, "--no-probe", "--no-metrics", "--model", "other", "--workers", "2", "--seed", "7"]
        given += ["--target", "openai_completions", "--header", "X-Team: a", "--extra-body", '{"max_tokens": 2}']
        run(["replay", small, *given, "-o", str(tmp_path / "r.parquet")])
        assert len(mock.log()) == 40
    results = Results.read(tmp_path / "r.parquet")
    assert results.frame["output_tokens"].to_list() == [2] * 40
    assert (results.run["model"], results.run["seed"], results.run["target"]) == ("other", 7, "openai_completions")


def test_a_plan_needs_no_server_and_sends_nothing(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", small, "--plan"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("40 requests from 1 client in 1.95s")
    assert shown.err == ""


def test_nothing_is_sent_to_the_null_target(small: str, tmp_path: Path) -> None:
    run(["replay", small, "--target", "null", "-o", str(tmp_path / "r.parquet")])
    assert len(Results.read(tmp_path / "r.parquet")) == 40


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "--url URL -o results.parquet"),
        (["--url", NOBODY], "-o results.parquet"),
        (["-o", "FILE"], "--url URL"),
        (["--url", "ftp://here", "-o", "FILE"], "ftp://here"),
        (["--url", "localhost:8000", "-o", "FILE"], "http"),
        (["--url", "http://me:secret@here", "-o", "FILE"], "--api-key-env"),
        (["--url", NOBODY, "-o", "FILE", "--header", "no colon"], "--header: say 'NAME: VALUE'"),
        (["--url", NOBODY, "-o", "FILE", "--header", "a b: c"], "is no header's name"),
        (["--url", NOBODY, "-o", "FILE", "--header", "Content-Length: 3"], "ours to set"),
        (["--url", NOBODY, "-o", "FILE", "--header", "X-Key: a\nb"], "the header X-Key has a character"),
        (["--url", NOBODY, "-o", "FILE", "--extra-body", "{'a': 1}"], "--extra-body: is no JSON"),
        (["--url", NOBODY, "-o", "FILE", "--extra-body", '{"a": NaN}'], "NaN is no number of JSON's"),
        (["--url", NOBODY, "-o", "FILE", "--extra-body", "[1]"], "must be a JSON object"),
        (["--url", NOBODY, "-o", "FILE", "--target", "openai"], "openai_chat, openai_completions"),
        (["--url", NOBODY, "-o", "FILE", "--api-key-env", "GROUNDSWELL_NONE"], "has no GROUNDSWELL_NONE"),
        (["--url", NOBODY, "-o", "none/r.parquet"], "there is no folder none"),
        (["--url", NOBODY, "-o", "FOLDER"], "is a folder"),
        (["--url", NOBODY, "-o", "FILE", "--ca-file", "none.pem"], "none.pem: no such file"),
        (["--url", NOBODY, "-o", "FILE", "--slo", "speed:p99<1s"], "there is no metric 'speed'"),
        (["--url", NOBODY, "-o", "FILE", "--timeout", "0s"], "--timeout 0s: must be above 0"),
        (["--url", NOBODY, "-o", "FILE", "--timeout", "soon"], "'soon' is no duration"),
        (["--url", NOBODY, "-o", "FILE", "--no-probe"], "give --model, too"),
        (["--url", NOBODY, "-o", "FILE", "--workers", "0"], "--workers"),
        (["--url", NOBODY, "-o", "FILE", "--turns", "shut"], "--turns"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    given: list[str], words: str, small: str, tmp_path: Path, refused: Refused
) -> None:
    places = {"FILE": str(tmp_path / "r.parquet"), "FOLDER": str(tmp_path)}
    last = refused(small, *(places.get(word, word) for word in given))
    assert words in last
    assert "secret" not in last
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.parquet"]


def test_without_a_workload_it_is_asked_for(refused: Refused) -> None:
    assert "say what to send: groundswell replay WORKLOAD" in refused("--url", NOBODY)


def test_a_workload_without_requests_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.parquet"
    workload(np.empty(0)).write(path)
    assert run(["replay", str(path), "--url", NOBODY, "-o", str(tmp_path / "r.parquet")]) == 1
    assert capsys.readouterr().err == f"groundswell: {path}: holds no rows\n"


def test_there_is_nothing_to_resume_where_nothing_was_interrupted(small: str, tmp_path: Path, refused: Refused) -> None:
    given = ["--target", "null", "-o", str(tmp_path / "r.parquet"), "--resume"]
    assert "no interrupted run is there; leave --resume out" in refused(small, *given)


def test_many_requests_go_to_another_machine_only_when_somebody_agreed(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "many.parquet"
    workload(np.arange(10_001) / 100.0).write(path)
    last = refused(str(path), "--url", AFAR, "-o", str(tmp_path / "r.parquet"))
    assert last == f"groundswell: 10,001 requests to {AFAR}: say --yes to send so many to another machine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["many.parquet"]


@pytest.mark.parametrize(("typed", "code"), [(b"n\n", 1), (b"\n", 1), (b"\x04", 1), (b"\x03", 130)])
def test_on_a_terminal_it_is_asked_and_anything_but_yes_sends_nothing(tmp_path: Path, typed: bytes, code: int) -> None:
    path = tmp_path / "many.parquet"
    workload(np.arange(10_001) / 100.0).write(path)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "groundswell.cli", "replay", str(path), "--url", AFAR, "-o", str(tmp_path / "r")]

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C on it is a signal

    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=take_terminal
    )
    os.close(theirs)
    shown = b""
    try:
        while b"[y/N]" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, typed)
        assert process.wait(timeout=60) == code
    finally:
        process.kill()
        os.close(ours)
    assert b"10 k requests from 1 client" in shown
    assert sorted(each.name for each in tmp_path.iterdir()) == ["many.parquet"]


def test_a_server_that_is_not_there_is_one_line_and_leaves_nothing(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["replay", small, "--url", NOBODY, "-o", str(tmp_path / "r.parquet")]) == 1
    assert "is the server running" in capsys.readouterr().err.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.parquet"]


def test_a_key_is_nowhere_but_in_the_requests(
    small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDSWELL_TEST_KEY", "sk-verysecret")
    place = tmp_path / "r.parquet"
    with running_mock(ttft_s=0.05) as mock:
        run(["replay", small, "--url", mock.url, "-o", str(place), "--api-key-env", "GROUNDSWELL_TEST_KEY"])
    shown = capsys.readouterr()
    assert "verysecret" not in shown.out + shown.err
    assert "verysecret" not in str(Results.read(place).metadata)
    assert b"verysecret" not in place.read_bytes()
