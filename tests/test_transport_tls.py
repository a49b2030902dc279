from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from calls import Heard, answer, payload
from certificate import self_signed
from fault_server import FaultServer
from groundswell.replay.transport import Endpoint, Pool, tls_context
from groundswell.replay.wire import Tls

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(certificate: tuple[str, str]) -> Iterator[FaultServer]:
    with FaultServer(certificate=certificate) as server:
        yield server


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner


def talk(
    runner: asyncio.Runner, url: str, tls: Tls, count: int = 1, more: str = "", connect_timeout_s: float = 30
) -> tuple[list[Heard], int]:
    """What comes of ``count`` requests, and how many connections were opened."""

    async def run() -> tuple[list[Heard], int]:
        loop = asyncio.get_running_loop()
        pool = Pool(loop, Endpoint.parse(url), context=tls_context(tls), connect_timeout_s=connect_timeout_s)
        calls = [await answer(pool, payload(url, more=more)) for _ in range(count)]
        await pool.close()
        assert pool.connections == pool.open_calls == 0
        return calls, pool.opened

    return runner.run(run())


def test_a_certificate_that_nobody_vouches_for_is_refused_by_default(
    runner: asyncio.Runner, server: FaultServer
) -> None:
    (call,), opened = talk(runner, server.url, Tls())
    assert (call.kind, call.told, opened) == ("tls", ["failed"], 0)
    assert "certificate is not trusted" in call.words
    assert "\n" not in call.words
    assert server.requests == 0


@pytest.mark.parametrize("how", ["well", "slow", "in_one_piece", "echo", "interim"])
def test_with_its_authority_named_all_is_as_without_tls(
    runner: asyncio.Runner, server: FaultServer, certificate: tuple[str, str], how: str
) -> None:
    calls, opened = talk(runner, server.url_of(how), Tls(ca_file=certificate[0]), 3)
    assert [(call.status, call.told[-1], call.retried) for call in calls] == [(200, "end", False)] * 3
    assert opened == 1


def test_a_certificate_for_another_name_is_refused(runner: asyncio.Runner, tmp_path: Path) -> None:
    other = self_signed(tmp_path, "DNS:other.example")
    with FaultServer(certificate=other) as server:
        (call,), _ = talk(runner, server.url, Tls(ca_file=other[0]))
        assert call.kind == "tls"
        assert "127.0.0.1" in call.words
        (call,), _ = talk(runner, server.url, Tls(verify=False))
        assert call.status == 200


def test_more_than_a_record_goes_both_ways(
    runner: asyncio.Runner, server: FaultServer, certificate: tuple[str, str]
) -> None:
    (call,), _ = talk(runner, server.url_of("echo"), Tls(ca_file=certificate[0]), more="x" * 3_000_000)
    assert call.body == call.payload.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("how", ["closes", "says_close", "until_close", "dies_when_reused"])
def test_connections_that_are_closed_fail_no_request(
    runner: asyncio.Runner, server: FaultServer, certificate: tuple[str, str], how: str
) -> None:
    calls, _ = talk(runner, server.url_of(how), Tls(ca_file=certificate[0]), 4)
    assert [call.told[-1] for call in calls] == ["end"] * 4


@pytest.mark.parametrize(
    ("how", "kind"),
    [("reset", "reset"), ("reset_in_stream", "reset"), ("hang_up_in_stream", "reset"), ("garbage", "protocol")],
)
def test_faults_are_the_same(
    runner: asyncio.Runner, server: FaultServer, certificate: tuple[str, str], how: str, kind: str
) -> None:
    (call,), _ = talk(runner, server.url_of(how), Tls(ca_file=certificate[0]))
    assert call.kind == kind


def test_a_server_without_tls_is_said(runner: asyncio.Runner) -> None:
    with FaultServer() as plain:
        (call,), _ = talk(runner, plain.url.replace("http", "https"), Tls())
    assert call.kind == "tls"
    assert call.words


def test_a_server_that_never_shakes_hands_is_a_timeout(runner: asyncio.Runner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        (call,), _ = talk(runner, url, Tls(), connect_timeout_s=0.3)
    assert call.kind == "timeout"
    assert "TLS" in call.words
