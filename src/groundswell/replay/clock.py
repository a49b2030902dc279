"""The time of a run: one clock, which never goes back, and an alarm that rings on its nanoseconds."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Protocol

from groundswell.errors import UsageError

now_ns: Callable[[], int] = time.monotonic_ns
"""Nanoseconds of the monotonic clock (CLOCK_MONOTONIC), which all processes of a machine share."""

unix_s: Callable[[], float] = time.time
"""Seconds since 1970: only to say when a run was."""

_NS = 1_000_000_000
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)  # TFD_NONBLOCK and TFD_CLOEXEC are the same bits
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_COARSE_NS = 2_000_000  # an event loop's timers tick in milliseconds, and may ring one early


class _Timer(Protocol):
    def set(self, at_ns: int) -> None: ...

    def close(self) -> None: ...


class Alarm:
    """Calls ``ring`` in ``loop`` when the monotonic clock reaches what was :meth:`set`, and never before it.

    On Linux a timer of the kernel wakes the loop, some 50 µs after the time; an event loop's own timers tick in whole
    milliseconds. Elsewhere the loop's timer is used to within two milliseconds of the time, and the loop spins through
    the rest. After each ring the alarm is off until it is set again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._timer: _Timer = _KernelTimer(loop, ring) if sys.platform == "linux" else _LoopTimer(loop, ring)

    def set(self, at_ns: int) -> None:
        """Ring at ``at_ns``, and no longer at what was set before; at once, from the loop, if that has passed."""
        self._timer.set(at_ns)

    def close(self) -> None:
        """Ring no more."""
        self._timer.close()


class _KernelTimer:
    """A timerfd: a file descriptor that can be read when an absolute time has come (timerfd_create(2))."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop, self._ring = loop, ring
        self._at_ns = 0  # what it is set to; 0: it is off
        self._file, self._set = _timer_file()
        loop.add_reader(self._file, self._readable)

    def set(self, at_ns: int) -> None:
        at_ns = max(at_ns, 1)  # 0 would switch it off
        if at_ns != self._at_ns and self._file >= 0:
            self._at_ns = at_ns
            self._set(at_ns)

    def _readable(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:  # it was set anew after it had woken the loop
            return
        self._at_ns = 0
        self._ring()

    def close(self) -> None:
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1


class _LoopTimer:
    """The same from any loop's own timers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop, self._ring = loop, ring
        self._at_ns = 0
        self._handle: asyncio.Handle | None = None
        self._open = True

    def set(self, at_ns: int) -> None:
        if at_ns != self._at_ns or self._handle is None:
            self.cancel()
            self._at_ns = at_ns
            if self._open:
                self._wait()

    def _wait(self) -> None:
        left_ns = self._at_ns - now_ns()
        if left_ns > _COARSE_NS:
            self._handle = self._loop.call_later((left_ns - _COARSE_NS) / _NS, self._wait)
        elif left_ns > 0:
            self._handle = self._loop.call_soon(self._wait)
        else:
            self._handle = self._loop.call_soon(self._rung)

    def _rung(self) -> None:
        self._handle = None
        self._ring()

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def close(self) -> None:
        self.cancel()
        self._open = False


class _Times(ctypes.Structure):
    """A struct itimerspec: the interval, and the time of the first expiry."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("at_s", ctypes.c_long),
        ("at_ns", ctypes.c_long),
    )


def _timer_file() -> tuple[int, Callable[[int], None]]:
    """A new timerfd, and what sets it to an absolute time in nanoseconds."""
    if sys.version_info >= (3, 13):
        file = os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)

        def set_to(at_ns: int) -> None:
            os.timerfd_settime_ns(file, flags=os.TFD_TIMER_ABSTIME, initial=at_ns)

        return file, set_to
    return _timer_file_of_libc()


def _timer_file_of_libc() -> tuple[int, Callable[[int], None]]:
    libc = ctypes.CDLL(None, use_errno=True)
    file = libc.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
    if file < 0:
        raise UsageError(f"no timer can be made: {os.strerror(ctypes.get_errno())}")
    settime, times = libc.timerfd_settime, _Times()
    where = ctypes.byref(times)

    def set_to(at_ns: int) -> None:
        times.at_s, times.at_ns = divmod(at_ns, _NS)
        settime(file, _ABSOLUTE, where, None)

    return file, set_to
