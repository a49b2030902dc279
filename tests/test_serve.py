"""The server that answers at the times its pace says."""

from __future__ import annotations

import asyncio
import heapq
import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.replay.clock import now_ns
from groundswell.serve import connection, log
from groundswell.serve.body import BodyError, Model, asked_of, body_of
from groundswell.serve.log import MARK, ROW, Log
from groundswell.serve.pace import Asked, Fixed, Pace
from groundswell.serve.server import Server

CHAT = "/v1/chat/completions"


@contextmanager
def serving(pace: Pace, **more: Any) -> Iterator[Server]:
    """A server in a thread of its own."""
    loop = asyncio.new_event_loop()
    server = Server(loop, pace, "127.0.0.1", 0, **more)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(Fixed(0, 0)) as running:
        yield running


def got(server: Server, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    link.request(method, path, body if body is None or isinstance(body, bytes) else json.dumps(body).encode())
    reply = link.getresponse()
    read = reply.status, reply.read()
    link.close()
    return read


# The pace


class OneByOne:
    """Another pace: replies are made one after the other, a token each millisecond."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int]] = []
        self._next_ns = 0

    def begin(self, reply: int, asked: Asked, now_ns: int) -> None:
        if not self._waiting:
            self._next_ns = now_ns + 1_000_000
        heapq.heappush(self._waiting, (reply, asked.output_tokens))

    def give_up(self, reply: int) -> None:
        self._waiting = [waiting for waiting in self._waiting if waiting[0] != reply]

    def next_ns(self) -> int | None:
        return self._next_ns if self._waiting else None

    def tokens(self, now_ns: int) -> list[tuple[int, int]]:
        come = []
        while self._waiting and self._next_ns <= now_ns:
            reply, left = heapq.heappop(self._waiting)
            come.append((reply, 1))
            self._next_ns += 1_000_000
            if left > 1:
                heapq.heappush(self._waiting, (reply, left - 1))
        return come


def test_any_pace_can_be_served() -> None:
    with serving(OneByOne()) as running:
        body = {"messages": [], "max_tokens": 5, "stream": True}
        threads = [threading.Thread(target=got, args=(running, "POST", CHAT, body)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rows = np.frombuffer(running.log.rows(), ROW)
    assert rows["tokens"].tolist() == [5] * 6
    assert np.all(rows["first_ns"][1:] >= rows["last_ns"][:-1])  # one after the other


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 6)), min_size=1, max_size=8),
    st.integers(0, 20),
    st.integers(0, 9),
    st.lists(st.integers(0, 7)),
)
def test_a_fixed_pace_gives_each_token_at_its_time(
    requests: list[tuple[int, int]], ttft: int, gap: int, given_up: list[int]
) -> None:
    pace = Fixed(ttft, gap)
    requests.sort()
    made: dict[int, list[int]] = {reply: [] for reply in range(len(requests))}
    for now in range(200):
        for reply, (at, tokens) in enumerate(requests):
            if at == now:
                pace.begin(reply, Asked(1, tokens), now)
        due = pace.next_ns()
        assert due is None or due >= now
        for reply, count in pace.tokens(now):
            made[reply] += [now] * count
        if now == 30:
            for reply in given_up:
                pace.give_up(reply)
    for reply, (at, tokens) in enumerate(requests):
        expected = [at + ttft + token * gap for token in range(tokens)]
        gone = reply in given_up and at <= 30
        assert made[reply] == [time for time in expected if time <= 30 or not gone]
    assert pace.next_ns() is None


def test_a_late_token_does_not_delay_those_after_it() -> None:
    pace = Fixed(100, 10)
    pace.begin(0, Asked(1, 4), 0)
    assert pace.tokens(115) == [(0, 1), (0, 1)]
    assert pace.next_ns() == 120


# What is asked


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"{}", "needs messages"),
        (b'{"messages": [], "max_tokens": -1}', "max_tokens is -1"),
        (b'{"messages": [], "max_tokens": 0}', "max_tokens is 0"),
        (b'{"messages": [], "max_tokens": 2000000}', "max_tokens is 2000000"),
        (b'{"messages": [], "max_tokens": "5"}', "max_tokens"),
        (b'{"messages": [], "n": 3}', "n is 3; a request has one reply"),
        (b'{"messages": [], "n": 0}', "n is 0"),
    ],
)
def test_a_body_that_cannot_be_served_is_refused_with_the_reason(server: Server, body: bytes, words: str) -> None:
    status, said = got(server, "POST", CHAT, body)
    assert status == 400
    assert words in json.loads(said)["error"]["message"]


def test_what_is_refused_names_the_field_as_openais_errors_do(server: Server) -> None:
    assert json.loads(got(server, "POST", CHAT, b'{"messages": [], "n": 2}')[1]) == {
        "error": {
            "message": "n is 2; a request has one reply: it can be 1",
            "type": "invalid_request_error",
            "param": "n",
            "code": 400,
        }
    }


@pytest.mark.parametrize("name", ["", '"model": null, ', '"model": "m", ', '"model": "", '])
def test_a_server_of_one_model_answers_for_it_and_for_requests_that_name_none(name: str) -> None:
    body = body_of(f'{{{name}"messages": [], "n": 1}}'.encode(), chat=True)
    assert asked_of(body, model=Model("m", any_name=False)).output_tokens == 16


def test_a_server_of_one_model_knows_no_other() -> None:
    with serving(Fixed(0, 0), model=Model("m", any_name=False)) as running:
        status, said = got(running, "POST", CHAT, {"model": "x", "messages": [], "max_tokens": 1})
    error = json.loads(said)["error"]
    assert status == error["code"] == 404
    assert (error["message"], error["param"]) == ("The model `x` does not exist.", "model")


def test_a_completion_needs_a_prompt() -> None:
    with pytest.raises(BodyError, match="a completion needs a prompt"):
        body_of(b'{"messages": []}', chat=False)


def test_the_newer_name_of_max_tokens_wins_and_a_fixed_number_wins_over_both() -> None:
    body = body_of(b'{"messages": [], "max_tokens": 5, "max_completion_tokens": 7}', chat=True)
    assert asked_of(body).output_tokens == 7
    assert asked_of(body, fixed_tokens=3).output_tokens == 3
    assert asked_of(body_of(b'{"messages": []}', chat=True)).output_tokens == 16


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/model", 404),
        ("POST", "/v2/chat/completions", 404),
        ("GET", CHAT, 405),
        ("POST", "/health", 405),
        ("GET", "/health", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/v1/models?x=1", 200),
    ],
)
def test_paths_and_methods(server: Server, method: str, path: str, status: int) -> None:
    assert got(server, method, path)[0] == status


def test_it_names_its_model() -> None:
    with serving(Fixed(0, 0), model=Model("m/ö")) as running:
        assert json.loads(got(running, "GET", "/v1/models")[1])["data"][0]["id"] == "m/ö"
        reply = json.loads(got(running, "POST", CHAT, {"messages": [], "max_tokens": 1})[1])
        assert reply["model"] == "m/ö"


def events(read: bytes) -> list[dict[str, Any]]:
    """The events of a stream, without its end."""
    return [json.loads(line[6:]) for line in read.splitlines() if line.startswith(b"data: {")]


@pytest.mark.parametrize("name", ["m", '"id":"chatcmpl-0000000000000000"'])
@pytest.mark.parametrize(
    ("path", "begin", "asks"), [(CHAT, "chatcmpl-", {"messages": []}), ("/v1/completions", "cmpl-", {"prompt": "a b"})]
)
def test_replies_have_an_id_of_their_own_and_its_pieces_have_the_same(
    path: str, begin: str, asks: dict[str, Any], name: str
) -> None:
    stream = asks | {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": 3}
    with serving(Fixed(0, 0), model=Model(name), unix_s=lambda: 1_800_000_000.5) as running:
        whole = [json.loads(got(running, "POST", path, asks)[1]) for _ in range(2)]
        streams = [events(got(running, "POST", path, stream)[1]) for _ in range(20)]
        again = json.loads(got(running, "POST", path, asks)[1])
    ids = [reply["id"] for reply in (*whole, again)]
    for pieces in streams:
        assert len(pieces) == 3 + 2 + (path == CHAT)  # tokens, the reason of the end, usage, and a chat's role
        ids += {piece["id"] for piece in pieces}
    assert len(set(ids)) == len(ids) == 23
    assert all(each.startswith(begin) for each in ids)
    replies = [*whole, again, *(piece for pieces in streams for piece in pieces)]
    assert {(reply["created"], reply["model"]) for reply in replies} == {(1_800_000_000, name)}


# Connections


def talk(server: Server, sent: bytes, most: int = 10**9) -> bytes:
    """All that comes back for ``sent``, until the server hangs up or ``most`` bytes have come."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link:
        link.sendall(sent)
        read = b""
        while len(read) < most and (data := link.recv(2**16)):
            read += data
    return read


BODY = b'{"messages": [], "max_tokens": 1}'


@pytest.mark.parametrize("head", [b"HTTP/1.0\r\n", b"HTTP/1.1\r\nConnection: close\r\n"])
def test_a_connection_is_closed_after_the_reply_where_the_client_says_so(server: Server, head: bytes) -> None:
    read = talk(server, b"POST %b %bContent-Length: %d\r\n\r\n%b" % (CHAT.encode(), head, len(BODY), BODY))
    assert read.startswith(b"HTTP/1.1 200 OK")
    assert json.loads(read.split(b"\r\n\r\n")[1])["usage"]["completion_tokens"] == 1


def test_a_body_may_come_in_chunks_and_after_being_asked_for(server: Server) -> None:
    head = b"POST %b HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n" % CHAT.encode()
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link:
        link.sendall(head + b"Connection: close\r\n\r\n")
        assert link.recv(2**16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        link.sendall(body)
        assert b"".join(iter(lambda: link.recv(2**16), b"")).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * 70_000 + b" HTTP/1.1\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_refused_and_hung_up_on(server: Server, sent: bytes, status: int) -> None:
    assert talk(server, sent).startswith(b"HTTP/1.1 %d" % status)


def test_requests_that_come_at_once_are_answered_in_their_order(server: Server) -> None:
    asks = []
    for tokens in range(1, 90):
        body = b'{"messages": [], "max_tokens": %d}' % tokens
        asks += [b"POST %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (CHAT.encode(), len(body), body)]
    asks += [b"GET /health HTTP/1.1\r\n\r\n"] * 10 + [b"GET /health HTTP/1.0\r\n\r\n"]
    heads = talk(server, b"".join(asks)).split(b"HTTP/1.1 200 OK\r\n")
    assert len(heads) == 1 + len(asks)
    assert [head.count(b" word") for head in heads[1:]] == [*range(1, 90), *[0] * 11]


def test_a_body_and_a_queue_have_a_bound(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_BODY_BYTES", 20)
    assert talk(server, b"POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\n" + b"x" * 30).startswith(b"HTTP/1.1 413")
    monkeypatch.setattr(connection, "MOST_WAITING", 2)
    assert talk(server, b"GET /health HTTP/1.1\r\n\r\n" * 3).startswith(b"HTTP/1.1 429")


def test_a_client_that_hangs_up_gives_its_reply_up() -> None:
    pace = Fixed(ttft_ns=50_000_000, gap_ns=1_000_000)
    with serving(pace) as running:
        body = b'{"messages": [], "max_tokens": 100000, "stream": true}'
        talk(running, b"POST %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (CHAT.encode(), len(body), body), most=1)
        end_ns = now_ns() + 20_000_000_000
        while pace.next_ns() is not None and now_ns() < end_ns:
            got(running, "GET", "/health")
        assert pace.next_ns() is None
        figures = got(running, "GET", "/metrics")[1].decode()
        rows = np.frombuffer(running.log.rows(), ROW)
    assert 'vllm:num_requests_running{model_name="mock"} 0' in figures
    assert 'vllm:generation_tokens_total{model_name="mock"} 0' in figures
    assert rows["first_ns"][0] > 0
    assert rows["last_ns"].tolist() == [0]


# The log


def test_the_log_has_the_format_that_it_says() -> None:
    kept = Log()
    kept.marking = True
    kept.begin(0, prompt_tokens=5, tokens=3, now_ns=10)
    kept.begin(1, prompt_tokens=6, tokens=1, now_ns=11)
    kept.written(0, 0, 2, last=False, now_ns=20)
    kept.written(1, 0, 1, last=True, now_ns=21)
    kept.written(0, 2, 3, last=True, now_ns=30)
    assert np.frombuffer(kept.rows(), ROW).tolist() == [(10, 20, 30, 3, 5), (11, 21, 21, 1, 6)]
    assert np.frombuffer(kept.marks(), MARK).tolist() == [(20, 0, 0), (20, 0, 1), (21, 1, 0), (30, 0, 2)]


def test_a_cleared_log_knows_nothing_of_earlier_requests() -> None:
    kept = Log()
    kept.begin(0, 1, 1, 10)
    kept.clear(1)
    kept.written(0, 0, 1, last=True, now_ns=20)
    kept.begin(1, 1, 1, 30)
    kept.written(1, 0, 1, last=True, now_ns=40)
    assert np.frombuffer(kept.rows(), ROW).tolist() == [(30, 40, 40, 1, 1)]


def test_a_log_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MOST_ROWS", 2)
    monkeypatch.setattr(log, "MOST_MARKS", 3)
    kept = Log()
    kept.marking = True
    for number in range(5):
        kept.begin(number, 1, 1, number)
        kept.written(number, 0, 2, last=True, now_ns=number)
    assert np.frombuffer(kept.rows(), ROW)["arrival_ns"].tolist() == [0, 1]
    assert np.frombuffer(kept.marks(), MARK).size <= 4


# The command


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "groundswell.serve.mock", *arguments]
    return subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, text=True, timeout=60, check=False)


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("--port", str(port))
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"groundswell: cannot listen on 127.0.0.1:{port}: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "option", [["--ttft-ms", "-1"], ["--gap-ms", "nan"], ["--tokens", "-2"], ["--tokens", "x"], ["--port", "99999"]]
)
def test_options_that_cannot_be_meant_are_refused(option: list[str]) -> None:
    ended = run(*option)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert option[1] in ended.stderr
