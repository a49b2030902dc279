"""Schedules that are sent to the mock in C by our own command, and what the mock's log says of a client."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from groundswell.results import Results
from groundswell.serve.control import Mock
from groundswell.serve.log import MARK
from groundswell.serve.trial import Pair, gaps_of, pair, pair_of_gaps
from groundswell.table import Workload
from mock_server import COMPILER, NO_COMPILER, mock_server
from watched import Watched, watched

__all__ = ["COMPILER", "NO_COMPILER", "TESTS", "Ours", "Schedule", "Seen", "mock_server", "ours"]

TESTS = Path(__file__).parents[1] / "tests"
Floats = NDArray[np.float64]
PROMPT_TOKENS = 64


@dataclass(frozen=True)
class Schedule:
    """Requests at equal distances, each with a reply of ``tokens``: all at once for a gap of 0, or one by one."""

    rate_per_s: float
    tokens: int
    ttft_s: float
    gap_s: float
    seconds: float

    def __str__(self) -> str:
        how = f"{self.gap_s * 1e3:g} ms apart" if self.gap_s else "at once"
        return f"{self.rate_per_s:,.0f} req/s × {self.tokens} tokens {how}"

    @property
    def requests(self) -> int:
        return round(self.rate_per_s * self.seconds)

    @property
    def due_s(self) -> Floats:
        return np.arange(self.requests) / self.rate_per_s

    @property
    def reply_s(self) -> float:
        """How long a reply takes."""
        return self.ttft_s + self.gap_s * (self.tokens - 1)

    def write(self, path: Path) -> Path:
        """Write it as a workload."""
        n = self.requests
        prompts, replies = (np.full(n, tokens, np.int32) for tokens in (PROMPT_TOKENS, self.tokens))
        Workload.from_columns(self.due_s, np.zeros(n, np.uint32), ("a",), prompts, replies).write(path)
        return path

    def begin(self, mock: Mock) -> None:
        """Have the mock answer so, and forget what was before."""
        mock.set(self.ttft_s, self.gap_s, marks=self.gap_s > 0)
        mock.clear()


@dataclass(frozen=True, eq=False)
class Seen:
    """What the mock saw of a schedule: its log without requests that do not belong to it, such as those of a probe."""

    log: NDArray[np.void]
    marks: NDArray[np.void]

    @classmethod
    def of(cls, mock: Mock, schedule: Schedule, from_ns: float = 0.0) -> Seen:
        """The last requests of the mock's log, as many as the schedule has, from a time of the monotonic clock on."""
        log = mock.log()
        first = max(int(np.searchsorted(log["arrival_ns"], from_ns)), log.size - schedule.requests)
        marks = mock.marks() if schedule.gap_s else np.empty(0, MARK)
        return cls(log[first:], marks[marks["row"] >= first])

    @property
    def kept_per_s(self) -> float:
        """Requests a second, as they came."""
        arrival = self.log["arrival_ns"]
        return float((arrival.size - 1) / (arrival[-1] - arrival[0]) * 1e9) if arrival.size > 1 else np.nan

    @property
    def ttft_s(self) -> Pair:
        return pair((self.log["first_ns"] - self.log["arrival_ns"])[self.log["first_ns"] > 0] * 1e-9)

    @property
    def gap_s(self) -> Pair:
        return pair(gaps_of(self.marks))

    def lag_s(self, due_s: Floats) -> Pair:
        """How late requests came, if the one that was the least late came in time: when a client began is its own
        affair."""
        arrival_s = np.sort(self.log["arrival_ns"]) * 1e-9
        late_s = arrival_s - due_s[: arrival_s.size]
        return pair(late_s - late_s.min())


@dataclass(frozen=True, eq=False)
class Ours:
    """A run of our command, and what the mock saw of it."""

    results: Results
    taken: Watched
    seen: Seen
    start_ns: float
    """When the run began, on the monotonic clock."""

    @property
    def lag_s(self) -> Pair:
        return pair(self.results.floats("sent_s") - self.results.floats("due_s"))

    @property
    def ttft_s(self) -> Pair:
        """From when requests were due, as ``judge`` has it."""
        return pair(self.results.floats("first_token_s") - self.results.floats("due_s"))

    @property
    def gap_s(self) -> Pair:
        gaps = self.results.gaps
        return pair_of_gaps(gaps) if gaps is not None else (np.nan, np.nan)

    def window(self, schedule: Schedule) -> tuple[float, float]:
        """From when as many replies are open as ever to the last request, on the monotonic clock."""
        return self.start_ns + schedule.reply_s * 1e9, float(self.seen.log["arrival_ns"][-1])

    @property
    def failed(self) -> int:
        return int(self.results.failed.sum())


def ours(mock: Mock, schedule: Schedule, folder: Path, *options: str, interrupt_after_s: float | None = None) -> Ours:
    """Send a schedule with ``groundswell replay``, with all that it does by default."""
    workload, place = schedule.write(folder / "workload.parquet"), folder / "results.parquet"
    place.unlink(missing_ok=True)
    schedule.begin(mock)
    command = [sys.executable, "-m", "groundswell.cli", "replay", str(workload), "--url", mock.url, "-o", str(place)]
    log = folder / "output.txt"
    taken = watched([*command, "--yes", *options], log, interrupt_after_s=interrupt_after_s)
    if not place.exists():
        sys.exit(f"groundswell replay wrote nothing: {log.read_text(errors='replace')}")
    results = Results.read(place)
    start_ns = taken.begin_ns + (float(results.run["started_unix_s"]) - taken.begin_unix_s) * 1e9
    return Ours(results, taken, Seen.of(mock, schedule, start_ns), start_ns)
