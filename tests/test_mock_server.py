"""Both mocks, the one in C and the package's own, do what they say, as they are what others are measured against."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundswell.serve.control import Mock, running_mock
from mock_server import COMPILER, NO_COMPILER, mock_server

MOCKS = {"c": mock_server, "python": running_mock}
CHAT = "/v1/chat/completions"


def wait_until(question: Callable[[], Any]) -> None:
    """Until it is so; within 30 s."""
    end = time.monotonic() + 30
    while not question():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.002)


@pytest.fixture(scope="module", params=MOCKS)
def running(request: pytest.FixtureRequest) -> Iterator[Mock]:
    if request.param == "c" and COMPILER is None:
        pytest.skip(NO_COMPILER)
    with MOCKS[request.param]() as mock:
        yield mock


@pytest.fixture
def mock(running: Mock) -> Mock:
    running.set()
    running.clear()
    return running


def asked(mock: Mock, path: str, **body: Any) -> bytes:
    request = urllib.request.Request(mock.url + path, json.dumps(body).encode())  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
        return bytes(reply.read())


def events(stream: bytes) -> list[Any]:
    """The JSON of each event; the last one, which is none, has to be there."""
    *pieces, done, rest = stream.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(piece.removeprefix("data: ")) for piece in pieces]


def said(words: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": words}]


def test_a_chat_is_a_role_then_tokens_then_a_reason_to_finish_then_usage(mock: Mock) -> None:
    usage = {"include_usage": True}
    stream = asked(mock, CHAT, messages=said("one two three"), max_tokens=4, stream=True, stream_options=usage)
    role, *tokens, finish, used = events(stream)
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [token["choices"][0]["delta"] for token in tokens] == [{"content": " word"}] * 4
    assert finish["choices"][0]["finish_reason"] == "length"
    assert used["choices"] == []
    assert used["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_a_completion_is_tokens_then_a_reason_to_finish_and_no_usage_unless_asked_for(mock: Mock) -> None:
    *tokens, finish = events(asked(mock, "/v1/completions", prompt="a b", max_tokens=3, stream=True))
    assert [token["choices"][0]["text"] for token in tokens] == [" word"] * 3
    assert finish["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("gap_s", [0.0, 0.001])
def test_a_reply_that_is_not_streamed_is_one_body(mock: Mock, gap_s: float) -> None:
    mock.set(gap_s=gap_s)
    reply = json.loads(asked(mock, CHAT, messages=said("x"), max_tokens=100))
    assert reply["choices"][0]["message"]["content"].split() == ["word"] * 100
    assert reply["usage"]["completion_tokens"] == 100


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"prompt": [11, 22, 333]}, 3),
        ({"prompt": [[11, 22], [333]], "max_tokens": 1}, 3),
        ({"prompt": 'a "quoted" \\ backslash\nand a line, "max_tokens": 99'}, 9),
        ({"prompt": "ends with a backslash \\", "temperature": 0.5}, 5),
        ({"messages": [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c"}]}, 3),
        (
            {
                "messages": [
                    {"content": [{"type": "text", "text": "a b"}, {"type": "i", "image_url": {"url": "x y z"}}]}
                ]
            },
            2,
        ),
        ({"messages": [], "user": "content"}, 0),
        ({"messages": [{"content": ""}]}, 0),
    ],
)
def test_the_tokens_of_a_prompt_are_its_words_or_ids(mock: Mock, body: dict[str, Any], tokens: int) -> None:
    path = "/v1/completions" if "prompt" in body else CHAT
    reply = json.loads(asked(mock, path, **{"max_tokens": 2} | body))
    assert reply["usage"]["prompt_tokens"] == tokens
    assert mock.log()["prompt_tokens"].tolist() == [tokens]


def test_tokens_are_written_when_they_are_due_and_never_before(mock: Mock) -> None:
    mock.set(ttft_s=0.03, gap_s=0.004, tokens=6, marks=True)
    for _ in range(5):
        asked(mock, CHAT, messages=[], stream=True)
    log, marks = mock.log(), mock.marks()
    assert log["tokens"].tolist() == [6] * 5
    late = marks["at_ns"] - log["arrival_ns"][marks["row"]] - 30_000_000 - 4_000_000 * marks["token"]
    assert late.min() >= 0
    np.testing.assert_array_equal(log["first_ns"], marks["at_ns"][marks["token"] == 0])
    np.testing.assert_array_equal(log["last_ns"], marks["at_ns"][marks["token"] == 5])


def test_its_times_are_those_of_our_clock(mock: Mock) -> None:
    before = time.monotonic_ns()
    asked(mock, CHAT, messages=[], stream=True)
    after = time.monotonic_ns()
    row = mock.log()[0]
    assert before <= row["arrival_ns"] <= row["first_ns"] <= row["last_ns"] <= after


def request(body: str, head: str = "") -> bytes:
    return f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{head}\r\n{body}".encode()


def test_requests_come_in_pieces_or_several_at_once(mock: Mock) -> None:
    stream = 3 * request('{"messages": [], "stream": true, "max_tokens": 2}')
    for size in (1, 7, 100, len(stream)):
        with socket.create_connection(("127.0.0.1", mock.port), timeout=30) as link:
            for at in range(0, len(stream), size):
                link.sendall(stream[at : at + size])
            got = b""
            while got.count(b"\r\n0\r\n\r\n") < 3:
                got += link.recv(65536)
        assert got.count(b"HTTP/1.1 200 OK") == 3
        assert got.count(b" word") == 6


def test_a_reader_that_is_slow_gets_all_of_a_long_reply(mock: Mock) -> None:
    with socket.create_connection(("127.0.0.1", mock.port), timeout=30) as link:
        link.sendall(request('{"messages": [], "stream": true, "max_tokens": 100000}', "Connection: close\r\n"))
        time.sleep(0.1)  # its buffers are full by now
        got = b"".join(iter(lambda: link.recv(1 << 20), b""))
    assert got.count(b" word") == 100_000
    assert got.endswith(b"0\r\n\r\n")


@contextmanager
def begun(mock: Mock, body: str = '{"messages": [], "stream": true}') -> Iterator[socket.socket]:
    """A connection with a request that the mock has taken."""
    before = mock.log().size
    with socket.create_connection(("127.0.0.1", mock.port), timeout=30) as link:
        link.sendall(request(body))
        wait_until(lambda: mock.log().size > before)
        yield link


def test_tokens_of_all_replies_are_written_in_the_order_they_are_due(mock: Mock) -> None:
    rng = np.random.default_rng(1)
    ttfts, gaps = rng.integers(200, 400, 24), rng.integers(1, 10, 24)
    with ExitStack() as links:
        for ttft, gap in zip(ttfts, gaps, strict=True):
            mock.set(float(ttft) / 1000, float(gap) / 1000, tokens=8, marks=True)
            links.enter_context(begun(mock))
        wait_until(lambda: mock.log()["last_ns"].all())
    marks, row = mock.marks(), mock.marks()["row"]
    due_ns = mock.log()["arrival_ns"][row] + 1_000_000 * (ttfts[row] + gaps[row] * marks["token"])
    assert marks.size == 24 * 8
    assert np.all(np.diff(due_ns) >= 0)
    assert np.all(marks["at_ns"] >= due_ns)


@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_reply_that_is_late_is_late_once(mock: Mock, stream: str) -> None:
    mock.set(ttft_s=0.05, gap_s=0.01, tokens=80, marks=True)
    with begun(mock, f'{{"messages": [], "stream": {stream}}}') as link:
        mock.stop_for(0.3).join()
        wait_until(lambda: mock.log()["last_ns"].all())
        assert link.recv(65536)
    row, marks = mock.log()[0], mock.marks()
    if stream == "true":
        late_ns = marks["at_ns"] - row["arrival_ns"] - 50_000_000 - 10_000_000 * marks["token"]
        assert late_ns.max() > 100_000_000
        assert late_ns[-20:].min() < 100_000_000
    else:
        assert row["first_ns"] == row["last_ns"] >= row["arrival_ns"] + 840_000_000


def test_a_client_that_hangs_up_is_forgotten(mock: Mock) -> None:
    mock.set(ttft_s=0.05, gap_s=0.001, tokens=100)
    with begun(mock):
        wait_until(lambda: mock.log()["first_ns"].any())
    wait_until(lambda: counted(mock)["num_requests_running"] == 0)
    assert mock.log()["last_ns"].tolist() == [0]
    mock.set()
    assert b" word" in asked(mock, CHAT, messages=[], stream=True)


def test_the_next_client_is_not_taken_for_the_one_that_hung_up(mock: Mock) -> None:
    mock.set(ttft_s=0.5, gap_s=0.01, tokens=2)
    for _ in range(3):  # the next connection gets the file descriptor of the last
        with begun(mock):
            pass
    mock.set(ttft_s=0.7, gap_s=0.01, tokens=2)
    with begun(mock) as link:
        assert link.recv(65536)
    log = mock.log()
    assert log["first_ns"][:-1].tolist() == [0, 0, 0]
    assert log["first_ns"][-1] - log["arrival_ns"][-1] >= 700_000_000


def test_it_stands_still_when_told(mock: Mock) -> None:
    before = time.monotonic_ns()
    thread = mock.stop_for(0.3)
    asked(mock, CHAT, messages=[], stream=True)
    thread.join()
    assert time.monotonic_ns() - before >= 300_000_000
    assert mock.log()["arrival_ns"][0] - before >= 300_000_000


def test_what_was_logged_can_be_forgotten_while_replies_are_open(mock: Mock) -> None:
    mock.set(ttft_s=0.2, tokens=1, marks=True)
    with begun(mock) as link:
        mock.clear()
        assert b" word" in link.recv(65536)
    assert mock.log().size == mock.marks().size == 0


def counted(mock: Mock) -> dict[str, int]:
    with urllib.request.urlopen(f"{mock.url}/metrics", timeout=30) as reply:  # noqa: S310
        lines = [line.split() for line in reply.read().decode().splitlines() if not line.startswith("#")]
    return {name.split("{")[0].removeprefix("vllm:"): int(value) for name, value in lines}


def test_its_counters_are_exact(mock: Mock) -> None:
    before = counted(mock)
    for tokens in (1, 2, 3):
        asked(mock, CHAT, messages=said("four words are here"), max_tokens=tokens, stream=True)
    grown = {name: value - before[name] for name, value in counted(mock).items()}
    assert grown.pop("num_requests_waiting", 0) == 0  # the one in C does not tell
    assert grown == {
        "num_requests_running": 0,
        "prompt_tokens_total": 12,
        "generation_tokens_total": 6,
        "request_success_total": 3,
    }


@pytest.mark.parametrize("name", MOCKS)
def test_it_ends_when_nobody_holds_its_standard_input(name: str) -> None:
    if name == "c" and COMPILER is None:
        pytest.skip(NO_COMPILER)
    with MOCKS[name]() as mock:
        command = Path(f"/proc/{mock.pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().strip().isdigit()
        process.stdin.close()
        assert process.wait(30) == 0


def test_both_say_the_same(mock: Mock) -> None:
    """What a client reads does not tell which of them it was, but for the names in it and the replies' numbers."""
    usage = {"include_usage": True}
    asks: dict[str, Any] = {"max_tokens": 3, "stream": True, "stream_options": usage}
    with running_mock() as other:
        for path, more in ((CHAT, {"messages": said("a b")}), ("/v1/completions", {"prompt": [1, 2]})):
            for body in (asks | more, {"max_tokens": 3} | more):
                one, two = (re.sub(rb"cmpl-\w+", b"cmpl-0", asked(each, path, **body)) for each in (mock, other))
                assert one == two
