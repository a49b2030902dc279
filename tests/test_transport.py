from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from calls import PATIENCE_S, Heard, answer, payload
from fault_request import events
from fault_server import FaultServer
from groundswell.replay import _connection
from groundswell.replay.transport import Endpoint, Pool

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def pool_of(url: str, *, connect_timeout_s: float = 10.0, quick_ack: bool = False) -> Pool:
    return Pool(
        asyncio.get_running_loop(),
        Endpoint.parse(url),
        context=None,
        quick_ack=quick_ack,
        connect_timeout_s=connect_timeout_s,
    )


class Busy(Heard):
    """The loop does nothing else until the reply, and what follows it, is there."""

    def on_sent(self, at_ns: int) -> None:
        super().on_sent(at_ns)
        time.sleep(0.2)


def talk(runner: asyncio.Runner, url: str, count: int = 1) -> tuple[list[Heard], Pool]:
    """What comes of ``count`` requests, one after the other, each once the one before has ended."""

    async def run() -> tuple[list[Heard], Pool]:
        pool = pool_of(url)
        calls = [await answer(pool, payload(url)) for _ in range(count)]
        assert pool.open_calls == 0
        held = pool.connections
        await pool.close()
        assert pool.connections == 0
        pool.connections = held
        return calls, pool

    return runner.run(run())


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("how", ["well", "slow", "late", "interim", "trailers"])
def test_a_streamed_reply_comes_whole_and_its_connection_is_kept(
    runner: asyncio.Runner, server: FaultServer, how: str
) -> None:
    calls, pool = talk(runner, server.url_of(how), 3)
    for call in calls:
        assert call.status == 200
        assert call.content_type == "text/event-stream"
        assert call.body == b"".join(events(4, len(payload("http://h").partition(b"\r\n\r\n")[2])))
        assert call.told[:2] == ["sent", "status"]
        assert call.told[-1] == "end"
        assert call.times_ns == sorted(call.times_ns)
        assert not call.retried
    assert pool.opened == server.accepted == 1
    assert pool.connections == 1


@pytest.mark.parametrize("how", ["says_close", "says_close_and_stays", "until_close", "http_1_0"])
def test_a_connection_that_is_not_to_be_kept_is_not(runner: asyncio.Runner, server: FaultServer, how: str) -> None:
    calls, pool = talk(runner, server.url_of(how), 3)
    assert all(call.body.endswith(b"data: [DONE]\n\n") and call.told[-1] == "end" for call in calls)
    assert not any(call.retried for call in calls)
    assert pool.opened == 3
    assert pool.connections == 0


@pytest.mark.parametrize("how", ["closes", "dies_when_reused"])
def test_a_server_that_lies_about_keeping_connections_fails_no_request(
    runner: asyncio.Runner, server: FaultServer, how: str
) -> None:
    calls, _ = talk(runner, server.url_of(how), 8)
    assert [call.told[-1] for call in calls] == ["end"] * 8
    assert all(call.body.endswith(b"data: [DONE]\n\n") for call in calls)
    assert server.seen[how] - 8 == sum(call.retried for call in calls) if how == "dies_when_reused" else True


def test_a_kept_connection_that_dies_before_any_byte_is_tried_once_more(
    runner: asyncio.Runner, server: FaultServer
) -> None:
    server.script.extend(["well", "reset", "well"])
    calls, pool = talk(runner, server.url, 2)
    assert [call.told[-1] for call in calls] == ["end", "end"]
    assert [call.retried for call in calls] == [False, True]
    assert calls[1].told.count("sent") == 2
    assert server.requests == 3
    assert pool.opened == 2


def test_it_is_tried_no_third_time(runner: asyncio.Runner, server: FaultServer) -> None:
    server.script.extend(["well", "reset", "reset", "well"])
    calls, _ = talk(runner, server.url, 2)
    assert calls[1].kind == "reset"
    assert calls[1].retried
    assert server.requests == 3


def test_the_second_try_goes_on_a_fresh_connection_even_where_others_are_idle(
    runner: asyncio.Runner, server: FaultServer
) -> None:
    async def run() -> None:
        pool = pool_of(server.url)
        await pool.warm(4)
        server.script.append("reset")
        call = await answer(pool, payload(server.url))
        assert call.told == ["sent", "sent", *call.told[2:]]
        assert call.retried
        assert call.status == 200
        assert pool.opened == server.accepted == 5
        await pool.close()

    runner.run(run())


def test_the_second_try_waits_for_a_fresh_connection_where_one_becomes_idle(
    runner: asyncio.Runner, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        pool = pool_of(server.url)
        await pool.warm(2)
        server.script.extend(["slow", "reset"])
        with monkeypatch.context() as none_opens:
            none_opens.setattr(pool, "_begin", lambda: None)
            kept, again = Heard(payload(server.url)), Heard(payload(server.url))
            pool.send(kept)
            await settled(lambda: server.seen["slow"] == 1)
            pool.send(again)
            await asyncio.wait_for(kept.ended, PATIENCE_S)
            assert (again.told, again.retried) == (["sent"], True)
        pool._begin()
        await asyncio.wait_for(again.ended, PATIENCE_S)
        assert (again.status, server.accepted) == (200, 3)
        await pool.close()

    runner.run(run())


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("reset", "reset"),
        ("hang_up", "reset"),
        ("reset_in_head", "reset"),
        ("reset_in_stream", "reset"),
        ("hang_up_in_stream", "reset"),
        ("short", "reset"),
        ("garbage", "protocol"),
        ("garbage_in_stream", "protocol"),
        ("endless_head", "too large"),
    ],
)
def test_a_fault_on_a_fresh_connection_ends_the_call_and_is_not_tried_again(
    runner: asyncio.Runner, server: FaultServer, how: str, kind: str
) -> None:
    (call,), pool = talk(runner, server.url_of(how))
    assert (call.kind, call.told[-1], call.retried) == (kind, "failed", False)
    assert call.words
    assert "\n" not in call.words
    assert server.requests == 1
    assert pool.connections == 0


@pytest.mark.parametrize("how", ["reset_in_head", "reset_in_stream", "hang_up_in_stream"])
def test_a_kept_connection_that_dies_after_a_byte_of_the_reply_is_not_tried_again(
    runner: asyncio.Runner, server: FaultServer, how: str
) -> None:
    server.script.extend(["well", how])
    calls, _ = talk(runner, server.url, 2)
    assert (calls[1].kind, calls[1].retried) == ("reset", False)
    assert server.requests == 2


@pytest.mark.parametrize("how", ["reset_in_head", "reset_in_stream", "reset_until_close"])
def test_a_reset_that_is_there_together_with_the_last_data_is_noticed(
    runner: asyncio.Runner, server: FaultServer, how: str
) -> None:
    """libuv tells of such a socket once, and data may be all that is read then: calls hung for ever."""

    async def run() -> None:
        url = server.url_of(how)
        pool = pool_of(url)
        call = Busy(payload(url))
        pool.send(call)
        await asyncio.wait_for(call.ended, PATIENCE_S)
        assert call.kind == "reset"
        assert bool(call.body) == (how != "reset_in_head")
        await pool.close()

    runner.run(run())


def test_a_reset_that_is_there_together_with_the_whole_reply_costs_the_next_call_nothing(
    runner: asyncio.Runner, server: FaultServer
) -> None:
    async def run() -> None:
        pool = pool_of(server.url_of("resets_after"))
        for _ in range(3):
            call = Busy(payload(server.url_of("resets_after")))
            pool.send(call)
            await asyncio.wait_for(call.ended, PATIENCE_S)
            assert (call.status, call.told[-1]) == (200, "end")
        assert server.requests == 3
        assert pool.open_calls == 0
        await pool.close()

    runner.run(run())


@pytest.mark.parametrize(
    ("how", "status"), [("status_429", 429), ("status_500", 500), ("status_503", 503), ("status_401", 401)]
)
def test_a_status_is_told_with_its_body_and_ends_well_here(
    runner: asyncio.Runner, server: FaultServer, how: str, status: int
) -> None:
    calls, pool = talk(runner, server.url_of(how), 2)
    assert [(call.status, call.told[-1]) for call in calls] == [(status, "end")] * 2
    assert bool(calls[0].body) == (status != 503)
    assert pool.opened == 1


@pytest.mark.parametrize("how", ["stream_without_end", "error_in_stream", "half_json", "in_one_piece"])
def test_what_is_wrong_above_http_is_left_to_who_reads_it(
    runner: asyncio.Runner, server: FaultServer, how: str
) -> None:
    (call,), pool = talk(runner, server.url_of(how))
    assert call.told[-1] == "end"
    assert pool.connections == 1


def test_a_second_reply_that_nobody_asked_for_is_not_taken_for_the_next_ones(
    runner: asyncio.Runner, server: FaultServer
) -> None:
    calls, pool = talk(runner, server.url_of("more_than_asked"), 3)
    assert [call.body for call in calls] == [b"ok"] * 3
    assert pool.opened == 3


def test_nobody_there_is_refused(runner: asyncio.Runner) -> None:
    (call,), pool = talk(runner, f"http://127.0.0.1:{free_port()}")
    assert call.told == ["failed"]
    assert call.kind == "refused"
    assert "refused" in call.words.lower()
    assert pool.opened == 0


def test_a_host_that_has_no_name_is_said(runner: asyncio.Runner) -> None:
    (call,), _ = talk(runner, "http://no-such-host.invalid:1")
    assert (call.kind, call.told) == ("name", ["failed"])
    assert "no-such-host.invalid" in call.words


def test_the_addresses_of_a_name_are_tried_in_turn(runner: asyncio.Runner, server: FaultServer) -> None:
    """The server listens on 127.0.0.1 alone; ``localhost`` may be ::1 first."""
    calls, _ = talk(runner, f"http://localhost:{server.port}", 2)
    assert [call.status for call in calls] == [200, 200]


def test_a_server_that_takes_no_connection_in_time_is_a_timeout(runner: asyncio.Runner) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        taken = [socket.create_connection(("127.0.0.1", port))]  # its queue is full now
        for _ in range(4):
            extra = socket.socket()
            extra.setblocking(False)
            extra.connect_ex(("127.0.0.1", port))
            taken.append(extra)

        async def run() -> Heard:
            pool = pool_of(f"http://127.0.0.1:{port}", connect_timeout_s=0.3)
            call = await answer(pool, b"GET / HTTP/1.1\r\n\r\n")
            await pool.close()
            return call

        call = runner.run(run())
        for connection in taken:
            connection.close()
    assert (call.kind, call.told) == ("timeout", ["failed"])


@pytest.mark.parametrize("how", ["stall", "stall_in_stream", "endless", "well"])
def test_given_up_a_call_fails_once_and_its_connection_is_closed(
    runner: asyncio.Runner, server: FaultServer, how: str
) -> None:
    async def run() -> None:
        url = server.url_of(how)
        pool = pool_of(url)
        call = Heard(payload(url))
        pool.send(call)
        if how != "well":  # which is given up while it waits for its connection
            await asyncio.sleep(0.1)
        for _ in range(2):
            pool.give_up(call, "timeout", "no end after 0.1 s")
        assert (call.kind, call.words, call.told[-1]) == ("timeout", "no end after 0.1 s", "failed")
        assert pool.open_calls == 0
        assert pool.connections == 0
        await pool.close()

    runner.run(run())


def test_given_up_from_within_its_own_data_nothing_more_is_said(runner: asyncio.Runner, server: FaultServer) -> None:
    class Strict(Heard):
        def on_data(self, chunk: bytes, at_ns: int) -> None:
            super().on_data(chunk, at_ns)
            assert pool is not None
            pool.give_up(self, "too large", "one byte is too much")

    pool: Pool | None = None

    async def run() -> None:
        nonlocal pool
        for how in ("well", "endless", "in_one_piece", "until_close"):
            url = server.url_of(how)
            pool = pool_of(url)
            call = Strict(payload(url))
            pool.send(call)
            await asyncio.wait_for(call.ended, PATIENCE_S)
            assert call.told == ["sent", "status", "data", "failed"]
            assert pool.open_calls == pool.connections == 0
            await pool.close()

    runner.run(run())


def test_a_reply_of_more_bytes_than_can_be_meant_is_too_large(
    runner: asyncio.Runner, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "MOST_REPLY_BYTES", 1_000_000)
    (call,), pool = talk(runner, server.url_of("endless"))
    assert (call.kind, call.status) == ("too large", 200)
    assert 900_000 < len(call.body) < 2_000_000
    (call,), pool = talk(runner, server.url_of("well"))
    assert call.status == 200
    assert pool.connections == 1


def test_a_line_of_ten_megabytes_is_passed_on_in_pieces(runner: asyncio.Runner, server: FaultServer) -> None:
    (call,), _ = talk(runner, server.url_of("long_line"))
    assert (call.told[-1], len(call.body)) == ("end", 160 * 65536 + 13)
    assert max(map(len, call.chunks)) <= 2**18


def test_a_call_sent_from_the_end_of_another_has_its_connection(runner: asyncio.Runner, server: FaultServer) -> None:
    async def run() -> None:
        left = 20
        done = asyncio.get_running_loop().create_future()

        def then(call: Heard) -> None:
            nonlocal left
            assert call.status == 200
            left -= 1
            if left:
                pool.send(Heard(payload(server.url), then))
            else:
                done.set_result(None)

        pool = pool_of(server.url)
        pool.send(Heard(payload(server.url), then))
        await asyncio.wait_for(done, PATIENCE_S)
        assert pool.opened == 1
        await pool.close()

    runner.run(run())


def test_a_waiting_call_takes_the_first_connection_that_is_free(runner: asyncio.Runner, server: FaultServer) -> None:
    """Calls are sent in order, and none of a hundred at once is lost or sent twice."""

    async def run() -> None:
        pool = pool_of(server.url_of("echo"))
        calls = [Heard(payload(server.url_of("echo"), more=str(i))) for i in range(100)]
        for call in calls:
            pool.send(call)
        for i, call in enumerate(calls):
            await asyncio.wait_for(call.ended, PATIENCE_S)
            assert call.body == call.payload.partition(b"\r\n\r\n")[2], i
        assert server.requests == 100
        assert pool.opened <= 100
        assert pool.open_calls == 0
        await pool.close()

    runner.run(run())


def test_a_request_larger_than_the_kernel_takes_arrives_whole(runner: asyncio.Runner, server: FaultServer) -> None:
    async def run() -> None:
        url = server.url_of("echo")
        pool = pool_of(url)
        call = await answer(pool, payload(url, more="x" * 20_000_000))
        assert call.body == call.payload.partition(b"\r\n\r\n")[2]
        assert pool.connections == 1
        await pool.close()

    runner.run(run())


def test_a_request_refused_in_its_midst_has_its_answer(runner: asyncio.Runner, server: FaultServer) -> None:
    async def run() -> None:
        url = server.url_of("refused_in_its_midst")
        pool = pool_of(url)
        call = await answer(pool, payload(url, more="x" * 20_000_000))
        assert (call.status, call.told[-1]) == (413, "end") or call.kind == "reset"
        assert pool.connections == 0
        await pool.close()

    runner.run(run())


def test_a_connection_with_half_a_request_on_it_is_not_kept(runner: asyncio.Runner, server: FaultServer) -> None:
    async def run() -> None:
        url = server.url_of("answered_in_its_midst")
        pool = pool_of(url)
        call = await answer(pool, payload(url, more="x" * 20_000_000))
        assert (call.status, call.told[-1]) == (413, "end")
        assert pool.connections == 0
        await pool.close()

    runner.run(run())


def test_after_a_restart_calls_go_on(runner: asyncio.Runner, server: FaultServer) -> None:
    async def run() -> None:
        pool = pool_of(server.url)
        await pool.warm(3)
        assert (await answer(pool, payload(server.url))).status == 200
        server.stop()
        await asyncio.sleep(0.05)
        assert pool.connections == 0  # noticed without a call
        assert (await answer(pool, payload(server.url))).kind == "refused"
        server.start()
        again = await answer(pool, payload(server.url))
        assert (again.status, again.retried) == (200, False)
        await pool.close()

    runner.run(run())


def test_warming_opens_so_many_and_stops_where_nobody_is(runner: asyncio.Runner, server: FaultServer) -> None:
    async def run() -> None:
        pool = pool_of(server.url)
        await pool.warm(150)
        assert pool.connections == pool.opened == 150
        await pool.warm(100)
        assert pool.opened == 150
        await pool.close()
        server.stop()
        await asyncio.wait_for(pool_of(server.url).warm(150), PATIENCE_S)

    runner.run(run())


def test_spare_connections_are_replaced_as_they_are_used_up(runner: asyncio.Runner, server: FaultServer) -> None:
    async def run() -> None:
        pool = pool_of(server.url_of("says_close"))
        pool.keep_spare(3)
        await settled(lambda: pool.connections == 3)
        for _ in range(5):
            call = Heard(payload(server.url_of("says_close")))
            pool.send(call)
            assert call.told == ["sent"]  # at once: a connection was ready
            await asyncio.wait_for(call.ended, PATIENCE_S)
            await settled(lambda: pool.connections == 3)
        await settled(lambda: server.open == 3)
        server.drop_connections()
        await settled(lambda: pool.opened >= 11 and pool.connections == 3)
        await pool.close()

    runner.run(run())


@pytest.mark.parametrize("was_there", [True, False])
def test_spare_connections_that_a_server_refuses_are_not_asked_for_without_pause(
    runner: asyncio.Runner, server: FaultServer, monkeypatch: pytest.MonkeyPatch, was_there: bool
) -> None:
    async def run() -> None:
        pool = pool_of(server.url)
        begun = 0
        begin = pool._begin

        def counted() -> None:
            nonlocal begun
            begun += 1
            begin()

        if was_there:
            pool.keep_spare(20)
            await settled(lambda: pool.connections == 20)
        server.stop()
        monkeypatch.setattr(pool, "_begin", counted)
        pool.keep_spare(20)
        await asyncio.sleep(0.5)
        assert begun <= 60  # eight at a time: after 2 ms, until the first has failed, then after 50, 100, 200 ms, …
        call = await answer(pool, payload(server.url))
        assert call.kind == "refused"  # not held up by the pause
        server.start()
        assert (await answer(pool, payload(server.url))).status == 200
        await settled(lambda: pool.connections >= 20)
        await pool.close()

    runner.run(run())


def test_closing_the_pool_ends_every_call(runner: asyncio.Runner, server: FaultServer) -> None:
    async def run() -> None:
        pool = pool_of(server.url_of("stall"))
        await pool.warm(2)
        calls = [Heard(payload(server.url_of("stall"))) for _ in range(5)]
        for call in calls:
            pool.send(call)
        await asyncio.sleep(0.05)
        pool.send(late := Heard(b""))
        await pool.close()
        pool.send(last := Heard(b""))
        for call in (*calls, late, last):
            await asyncio.wait_for(call.ended, PATIENCE_S)
            assert call.kind == "interrupted"
        assert pool.open_calls == pool.connections == 0

    runner.run(run())


def test_without_files_left_calls_fail_as_refused(
    runner: asyncio.Runner, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: object) -> None:
        raise OSError(24, "Too many open files")

    async def run() -> None:
        pool = pool_of(server.url)
        with monkeypatch.context() as broken:
            broken.setattr(socket, "socket", no_more)
            call = Heard(payload(server.url))
            pool.send(call)
            assert call.told == []  # a call never ends before it is sent
            await asyncio.wait_for(call.ended, PATIENCE_S)
        assert (call.kind, call.words) == ("refused", "Too many open files")
        assert (await answer(pool, payload(server.url))).status == 200
        await pool.close()

    runner.run(run())


def test_quick_acknowledgement_is_asked_for_after_each_read(
    runner: asyncio.Runner, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(socket, "TCP_QUICKACK"):
        pytest.skip("this system has no TCP_QUICKACK")
    asked: list[tuple[object, ...]] = []

    class Watched(socket.socket):
        def setsockopt(self, *option: Any) -> None:
            asked.append(option[:2])
            super().setsockopt(*option)

    monkeypatch.setattr(socket, "socket", Watched)

    async def run(quick_ack: bool) -> tuple[int, int]:
        asked.clear()
        pool = pool_of(server.url_of("slow"), quick_ack=quick_ack)
        call = await answer(pool, payload(server.url_of("slow")))
        await pool.close()
        assert (socket.IPPROTO_TCP, socket.TCP_NODELAY) in asked
        return asked.count((socket.IPPROTO_TCP, socket.TCP_QUICKACK)), len(set(call.times_ns[1:]))

    assert runner.run(run(False))[0] == 0
    acked, reads = runner.run(run(True))
    assert acked >= reads > 4


@pytest.mark.parametrize("how", ["well", "closes", "reset_in_stream", "dies_when_reused", "status_500", "until_close"])
def test_nothing_is_left_behind_and_nothing_waits_for_the_garbage_collector(
    runner: asyncio.Runner, server: FaultServer, how: str
) -> None:
    async def rounds(pool: Pool, count: int) -> None:
        for _ in range(count):
            await answer(pool, payload(server.url_of(how)))

    async def run() -> None:
        pool = pool_of(server.url_of(how))
        await rounds(pool, 5)
        await pool.close()
        pool = pool_of(server.url_of(how))
        gc.collect()
        gc.disable()
        try:
            files = len(os.listdir("/dev/fd"))
            await rounds(pool, 50)
            await pool.close()
            await asyncio.sleep(0.05)
            assert ours() == 0
            await settled(lambda: len(os.listdir("/dev/fd")) <= files)
        finally:
            gc.enable()

    def ours() -> int:
        return sum(type(thing).__name__ in {"Connection", "Opening", "Replies", "Heard"} for thing in gc.get_objects())

    runner.run(run())


async def settled(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)
