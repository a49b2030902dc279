from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

import pytest
import uvloop

from groundswell.replay import clock

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
MS = 1_000_000


@pytest.fixture(params=["kernel", "loop"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The alarm of Linux, and that of other systems."""
    if request.param == "loop":
        monkeypatch.setattr(clock, "_KernelTimer", clock._LoopTimer)
    elif sys.platform != "linux":
        pytest.skip("this system has no timerfd")
    return str(request.param)


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> asyncio.Runner:
    return asyncio.Runner(loop_factory=LOOPS[request.param])


class Rings:
    """An alarm, and when it rang."""

    def __init__(self) -> None:
        self.at_ns: list[int] = []
        self.alarm = clock.Alarm(asyncio.get_running_loop(), self._ring)
        self._rang = asyncio.Event()

    def _ring(self) -> None:
        self.at_ns.append(clock.now_ns())
        self._rang.set()

    async def next(self) -> int:
        await asyncio.wait_for(self._rang.wait(), 60)
        self._rang.clear()
        return self.at_ns[-1]


def test_the_clock_is_the_monotonic_one_of_all_processes() -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert before <= clock.now_ns() <= time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def test_it_never_rings_early_and_once_for_each_time(kind: str, runner: asyncio.Runner) -> None:
    async def run() -> None:
        rings = Rings()
        for ahead_ns in (1, 100_000, 1_700_000, 3_300_000, 12_345_678):
            at_ns = clock.now_ns() + ahead_ns
            rings.alarm.set(at_ns)
            assert await rings.next() >= at_ns
        await asyncio.sleep(0.02)
        assert len(rings.at_ns) == 5
        rings.alarm.close()

    with runner:
        runner.run(run())


def test_a_later_or_an_earlier_time_replaces_the_one_before(kind: str, runner: asyncio.Runner) -> None:
    async def run() -> None:
        rings = Rings()
        now_ns = clock.now_ns()
        rings.alarm.set(now_ns + 5 * MS)
        rings.alarm.set(now_ns + 40 * MS)
        assert await rings.next() >= now_ns + 40 * MS
        rings.alarm.set(clock.now_ns() + 3600_000 * MS)
        rings.alarm.set(clock.now_ns() + 5 * MS)
        await rings.next()  # within the minute that it waits for
        assert len(rings.at_ns) == 2
        rings.alarm.close()

    with runner:
        runner.run(run())


@pytest.mark.parametrize("at_ns", [-5, 0, 1])
def test_a_time_that_has_passed_rings_from_the_loop_not_from_set(kind: str, runner: asyncio.Runner, at_ns: int) -> None:
    async def run() -> None:
        rings = Rings()
        for count in (1, 2):  # the same time twice rings twice
            rings.alarm.set(at_ns)
            assert len(rings.at_ns) == count - 1
            await rings.next()
            assert len(rings.at_ns) == count
        rings.alarm.close()

    with runner:
        runner.run(run())


def test_set_anew_after_it_has_woken_the_loop_it_waits_for_the_new_time(kind: str, runner: asyncio.Runner) -> None:
    async def run() -> None:
        rings = Rings()
        rings.alarm.set(clock.now_ns() + MS)
        time.sleep(0.005)  # it expires while the loop is busy
        at_ns = clock.now_ns() + 20 * MS
        rings.alarm.set(at_ns)
        assert await rings.next() >= at_ns
        assert len(rings.at_ns) == 1
        rings.alarm.close()

    with runner:
        runner.run(run())


def test_closed_it_rings_no_more(kind: str, runner: asyncio.Runner) -> None:
    async def run() -> None:
        rings = Rings()
        rings.alarm.set(clock.now_ns() + MS)
        rings.alarm.close()
        rings.alarm.close()
        rings.alarm.set(clock.now_ns() + MS)
        await asyncio.sleep(0.02)
        assert not rings.at_ns

    with runner:
        runner.run(run())
