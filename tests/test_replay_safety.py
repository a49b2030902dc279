"""What must never happen: a key that is seen, a certificate that is not looked at, a flood that nobody agreed to."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from certificate import self_signed
from fault_request import Request
from fault_server import FaultServer
from faults import BEHAVIOURS
from groundswell.cli import execute
from groundswell.replay.hidden import Hidden
from groundswell.results import Results
from replay_command import LONGEST_S, QUIET, Command, replaying
from replaying import workload

KEY = "sk-proj-9fZ2Wq7Lr4Tx8Vb1Nc6Ym3"
ELSE = "abcdef0123456789-my-other-secret"


def _key(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


def in_json(request: Request) -> bool:
    body = f'{{"error": {{"message": "Incorrect API key provided: {_key(request)}. You can find yours at x"}}}}'
    request.whole("401 Unauthorized", "application/json", body.encode())
    return True


def cut_short(request: Request) -> bool:
    """So that a message of 300 letters ends in its midst."""
    request.whole("403 Forbidden", "text/plain", b"x" * 285 + _key(request).encode())
    return True


def in_html(request: Request) -> bool:
    request.whole("500 Error", "text/html", f"<title>{request.headers}</title>".encode())
    return True


def in_stream(request: Request) -> bool:
    request.stream_head()
    request.chunk(f'data: {{"error": {{"message": "bad token {_key(request)}"}}}}\n\n'.encode())
    request.chunk(b"")
    return True


def in_no_json(request: Request) -> bool:
    request.stream_head()
    request.chunk(f"data: {{{_key(request)} and {request.headers.get('x-api-key')}\n\n".encode())
    request.chunk(b"")
    return True


def in_the_end_of_no_json(request: Request) -> bool:
    """Of which 80 letters are shown."""
    request.stream_head()
    request.chunk(b"data: " + b"y" * 60 + _key(request).encode() + b"\n\n")
    request.chunk(b"")
    return True


def in_head(request: Request) -> bool:
    request.send(f"{_key(request)} 200 OK\r\n\r\n".encode())
    return False


def in_reason(request: Request) -> bool:
    request.send(
        f"HTTP/1.1 500 {_key(request)}\r\nWWW-Authenticate: {_key(request)}\r\nContent-Length: 0\r\n\r\n".encode()
    )
    return True


def in_finish(request: Request) -> bool:
    request.stream_head()
    request.chunk(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}], ')
    request.chunk(f'"error": "{_key(request)}"}}\n\n'.encode())
    request.chunk(b"")
    return True


LEAKS: tuple[Callable[[Request], bool], ...] = (
    in_json, cut_short, in_html, in_stream, in_no_json, in_the_end_of_no_json, in_head, in_reason, in_finish
)  # fmt: skip


@pytest.fixture
def leaking() -> Iterator[FaultServer]:
    """A server that repeats the key in whatever it says."""
    BEHAVIOURS.update({leak.__name__: leak for leak in LEAKS})
    try:
        with FaultServer() as server:
            yield server
    finally:
        for leak in LEAKS:
            del BEHAVIOURS[leak.__name__]


def shows(text: str | bytes) -> bool:
    """Whether a key, or as much of it as tells it, is in ``text``."""
    data = text.encode() if isinstance(text, str) else text
    return KEY[:8].encode() in data or ELSE[:8].encode() in data


def command_lines(command: Command) -> bytes:
    found = b""
    for pid in (command.process.pid, *command.workers()):
        try:
            found += Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
    return found


def test_a_key_that_the_server_repeats_is_in_nothing_that_we_write_or_say(tmp_path: Path, leaking: FaultServer) -> None:
    given, output = tmp_path / "workload.parquet", tmp_path / "results.parquet"
    n = 5 * len(LEAKS)
    workload(np.linspace(0, 2, n)).write(given)
    leaking.script.extend([leak.__name__ for leak in LEAKS] * 5)
    options = (*QUIET, "--api-key-env", "MY_KEY", "--header", "X-Fault: in_json", "--workers", "2")
    with replaying(given, leaking.url, output, *options, MY_KEY=KEY) as command:
        command.wait_for(lambda: leaking.requests > len(LEAKS))
        lines = command_lines(command)
        assert lines.count(b"groundswell.replay.worker") == 2
        assert not shows(lines)
        command.ctrl_c()
        code, out, said = command.ended()
    assert code == 130
    assert leaking.last[0].headers["authorization"] == f"Bearer {KEY}"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"run.json", "0.rows", "1.words", "results.parquet"} <= {path.name for path in files}
    for path in files:
        assert not shows(path.read_bytes()), path
    assert not shows(out + said)
    with replaying(given, leaking.url, output, *options, "--resume", MY_KEY=KEY) as command:
        code, out, said = command.ended()
    assert not shows(out + said)
    results = Results.read(output)
    assert results.frame["error"].null_count() == 0
    assert results.frame.filter(pl.col("words").is_null()).height == 0
    assert any("[hidden]" in words for words in results.frame["words"])
    assert not shows(repr(results.frame.to_dicts()) + repr(results.metadata))
    page = tmp_path / "page.html"
    command_ = [sys.executable, "-m", "groundswell.cli", "report", str(output), "-o", str(page)]
    reported = subprocess.run(command_, capture_output=True, timeout=LONGEST_S, check=False)
    assert reported.returncode == 0, reported.stderr
    assert not shows(page.read_bytes() + reported.stdout + reported.stderr)


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_a_key_that_the_server_repeats_to_the_first_question_is_not_shown(
    tmp_path: Path,
    leaking: FaultServer,
    leak: Callable[[Request], bool],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = tmp_path / "workload.parquet"
    workload([0.0]).write(given)
    leaking.behaviour = leak.__name__
    options = ("--model", "m", "--api-key-env", "MY_KEY", "--header", f"X-Api-Key: {ELSE}")
    monkeypatch.setenv("MY_KEY", KEY)
    assert execute(["replay", str(given), "--url", leaking.url, "-o", str(tmp_path / "results.parquet"), *options]) == 1
    assert leaking.requests
    out, said = capfd.readouterr()
    assert "Traceback" not in said
    assert not shows(out + said)


def test_secrets_are_hidden_whole_in_part_and_in_headers() -> None:
    hidden = Hidden.of(KEY, [("Authorization", f"Basic {ELSE}"), ("X-Title", "status 500"), ("X-Api-Key", "short")])
    for length in range(8, len(KEY) + 1):
        assert not shows(hidden.out_of_text(f"x {KEY[:length]}'"))
    assert hidden.out_of(f"a{KEY}b{ELSE}c".encode()) == b"a[hidden]b[hidden]c"
    assert hidden.out_of_text("status 500, short of memory") == "status 500, [hidden] of memory"
    assert Hidden.of(None, ()).out_of_text("nothing") == "nothing"


def test_a_certificate_is_verified_unless_that_is_switched_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tmp_path / "workload.parquet"
    workload(np.linspace(0, 0.2, 5)).write(given)
    certificate = self_signed(tmp_path)
    cases = [((), ["tls"] * 5), (("--ca-file", certificate[0]), [None] * 5), (("--insecure",), [None] * 5)]
    with FaultServer(certificate=certificate) as server:
        for i, (options, errors) in enumerate(cases):
            output = tmp_path / f"{i}.parquet"
            execute(["replay", str(given), "--url", server.url, "-o", str(output), *QUIET, *options])
            assert Results.read(output).frame["error"].to_list() == errors
        capsys.readouterr()
        assert (
            execute(["replay", str(given), "--url", server.url, "-o", str(tmp_path / "p.parquet"), "--model", "m"]) == 1
        )
        assert "certificate is not trusted" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("", 1)])
def test_many_requests_to_another_machine_are_asked_about_on_a_terminal(tmp_path: Path, answer: str, code: int) -> None:
    given = tmp_path / "workload.parquet"
    workload(np.linspace(0, 100, 10_001)).write(given)
    ours, theirs = pty.openpty()
    url = "http://192.0.2.1:9"  # a network for examples (RFC 5737): nobody is there
    command = [sys.executable, "-m", "groundswell.cli", "replay", str(given), "--url", url]
    command += ["-o", str(tmp_path / "results.parquet"), *QUIET]
    with subprocess.Popen(command, stdin=theirs, stderr=theirs, stdout=theirs, close_fds=True) as process:
        os.close(theirs)
        said = b""
        until_s = time.monotonic() + LONGEST_S
        while b"?" not in said and time.monotonic() < until_s:
            said += os.read(ours, 4096)
        os.write(ours, f"{answer}\n".encode())
        assert process.wait(LONGEST_S) == code
    os.close(ours)
    assert b"Send 10,001 requests to http://192.0.2.1:9?" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["workload.parquet"]
