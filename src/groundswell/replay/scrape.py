"""The server's own metrics, read once a second while a run goes on."""

from __future__ import annotations

import http.client
import math
import ssl
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from groundswell.replay import clock
from groundswell.replay.server_metrics import COUNTERS, GAUGES, figures_of, rounding_of, server_of

MOST_POINTS = 2048
_MOST_BYTES = 8 << 20
_NAMES = (*GAUGES, *COUNTERS)
_NEVER = (404, 405, 501)
"""Statuses of a server that has no metrics, or has them switched off (llama.cpp: 501)."""


class Scraper:
    """Reads ``/metrics`` of the server at ``url`` in a thread of its own, every ``period_s``.

    A server without metrics is no error, nor is one that does not answer in time: there are fewer points then.
    ``headers`` are sent with each request, which goes to the server itself and to nobody it names. ``origin_ns`` is
    0 s of the series on the monotonic clock, and may be set later.
    """

    def __init__(
        self,
        url: str,
        headers: Sequence[tuple[str, str]] = (),
        context: ssl.SSLContext | None = None,
        origin_ns: int = 0,
        *,
        period_s: float = 1.0,
        timeout_s: float = 5.0,
    ) -> None:
        self.origin_ns = origin_ns
        self.server: str | None = None
        """Whose metrics they are, such as ``vLLM``; None until some are read."""
        self.trouble: str | None = None
        """Why the last attempt brought nothing; None where it did."""
        self._parts = urlsplit(url)
        self._path = metrics_path(self._parts.path)
        self._headers, self._context = dict(headers), context
        self._period_s, self._timeout_s = period_s, timeout_s
        self._kept = Kept()
        self._lock = threading.Lock()
        self._first, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self, wait_s: float = 1.0) -> None:
        """Begin; return when the first attempt is over, so that totals count from before the run, or after
        ``wait_s``."""
        self._thread.start()
        self._first.wait(wait_s)

    def stop(self) -> None:
        """Read once more, until two readings 0.2 s apart agree on what was counted (at most five), and end; a server
        that does not answer is waited for twice ``timeout_s`` at most."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(6 * (self._timeout_s + 0.2))

    def latest(self) -> dict[str, float]:
        """The newest reading: gauges as they are, counters from the first reading on; what was not said is left out."""
        with self._lock:
            return self._kept.latest()

    def series(self) -> dict[str, list[float | None]]:
        """Columns of equal length, at most 2048 points: ``at_s``, seconds from the run's begin, and each figure that
        the server says, counters from the first reading on; None where a reading lacks it. Empty without metrics."""
        with self._lock:
            return self._kept.series(self.origin_ns)

    def totals(self) -> dict[str, float]:
        """By how much each counter grew from the first reading to the last; a counter that begins anew at 0, as after
        the server's restart, goes on from what it had."""
        with self._lock:
            return self._kept.totals()

    def rounding(self) -> dict[str, float]:
        """By how much :meth:`totals` may be off at most, as the server rounds the numbers that it writes; those that it
        does not round are left out."""
        with self._lock:
            ends = self._kept.ends()
        found = {name: sum(rounding_of(self.server, name, value) for value in both) for name, both in ends.items()}
        return {name: off for name, off in found.items() if off}

    def _run(self) -> None:
        due_ns = clock.now_ns()
        while self._read():
            self._first.set()
            # Points stay on a grid; instants that a slow answer has missed are left out.
            period_ns = int(self._period_s * self._kept.stride * 1e9)
            due_ns += period_ns * (1 + max(clock.now_ns() - due_ns, 0) // period_ns)
            if self._stopping.wait((due_ns - clock.now_ns()) / 1e9):
                self._settle()
                break
        self._first.set()

    def _settle(self) -> None:
        pause, before = threading.Event(), None
        for _ in range(5):
            self._read()
            if self.trouble or self.totals() == before:
                break
            before = self.totals()
            pause.wait(0.2)

    def _read(self) -> bool:
        """Take a reading; whether it makes sense to come again."""
        begin_ns = clock.now_ns()
        try:
            status, text = self._get()
            figures = figures_of(text) if status == 200 else {}
        except (OSError, ValueError, http.client.HTTPException) as fault:
            # What a ValueError of http.client says can hold a header, and so a key.
            self.trouble = str(fault) if isinstance(fault, OSError) else type(fault).__name__
            return True
        self.trouble = None if status == 200 else f"HTTP status {status}"
        if status == 200:
            with self._lock:
                self.server = self.server or server_of(text)
                self._kept.add((begin_ns + clock.now_ns()) // 2, figures)
        return status not in _NEVER

    def _get(self) -> tuple[int, str]:
        status, place, text = self._fetch(self._path)
        if status in (301, 302, 307, 308) and place:
            # vLLM has sent /metrics to /metrics/. Only the path is followed: headers may hold a key.
            status, _, text = self._fetch(urlsplit(place).path or "/")
        return status, text

    def _fetch(self, path: str) -> tuple[int, str, str]:
        host, port = self._parts.hostname or "", self._parts.port
        connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=self._context)
            if self._parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=self._timeout_s)
        )
        last_ns = clock.now_ns() + int(self._timeout_s * 1e9)
        try:
            connection.request("GET", path, headers={"Connection": "close", **self._headers})
            reply = connection.getresponse()
            body = bytearray()
            while chunk := reply.read1(1 << 16):
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise OSError(f"more than {_MOST_BYTES >> 20} MiB of metrics")
                if clock.now_ns() > last_ns:
                    raise TimeoutError(f"no end after {self._timeout_s:g} s")
            return reply.status, reply.headers.get("Location", ""), body.decode(errors="replace")
        finally:
            connection.close()


def metrics_path(path: str) -> str:
    """Where the metrics of an API under ``path`` are.

    >>> metrics_path("/v1"), metrics_path(""), metrics_path("/team/v1/"), metrics_path("/other/metrics")
    ('/metrics', '/metrics', '/team/metrics', '/other/metrics')
    """
    path = path.rstrip("/")
    return path if path.endswith("/metrics") else path.removesuffix("/v1") + "/metrics"


class Kept:
    """Readings, at most :data:`MOST_POINTS`: when there are more, every second one goes, and ``stride`` doubles."""

    def __init__(self) -> None:
        self.stride = 1
        self._at_ns = np.zeros(MOST_POINTS, np.int64)
        self._rows = np.full((MOST_POINTS, len(_NAMES)), math.nan)
        self._count = 0
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._grown: dict[str, float] = {}

    def add(self, at_ns: int, figures: dict[str, float]) -> None:
        """Keep a reading."""
        for name in COUNTERS.keys() & figures.keys():
            # A counter with labels is not there until it counts something; what it then says is growth.
            before = self._last.get(name, 0.0 if self._count else figures[name])
            grown = figures[name] - before
            self._grown[name] = self._grown.get(name, 0.0) + (grown if grown >= 0 else figures[name])
            self._first.setdefault(name, before)
            self._last[name] = figures[name]
        if self._count == MOST_POINTS:
            self._halve()
        shown = {name: self._grown.get(name, value) for name, value in figures.items()}
        self._at_ns[self._count] = at_ns
        self._rows[self._count] = [shown.get(name, math.nan) for name in _NAMES]
        self._count += 1

    def latest(self) -> dict[str, float]:
        """The newest reading."""
        row = self._rows[max(self._count - 1, 0)]
        return {name: float(value) for name, value in zip(_NAMES, row, strict=True) if not math.isnan(value)}

    def series(self, origin_ns: int) -> dict[str, list[float | None]]:
        """``at_s`` and the figures that any reading has."""
        rows: NDArray[np.float64] = self._rows[: self._count]
        columns = {name: column for name, column in zip(_NAMES, rows.T, strict=True) if not np.isnan(column).all()}
        if not columns:
            return {}
        at_s: list[float | None] = [(int(at) - origin_ns) / 1e9 for at in self._at_ns[: self._count]]
        shown = {name: [None if math.isnan(value) else float(value) for value in c] for name, c in columns.items()}
        return {"at_s": at_s, **shown}

    def totals(self) -> dict[str, float]:
        """What the counters grew by."""
        return {name: self._grown[name] for name in COUNTERS if name in self._grown}

    def ends(self) -> dict[str, tuple[float, float]]:
        """What the counters were at first and at last."""
        return {name: (self._first[name], self._last[name]) for name in COUNTERS if name in self._last}

    def _halve(self) -> None:
        half = MOST_POINTS // 2
        self._at_ns[:half] = self._at_ns[1::2]
        self._rows[:half] = self._rows[1::2]
        self._rows[half:] = math.nan
        self._count, self.stride = half, self.stride * 2
