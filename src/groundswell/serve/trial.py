"""A short run against a mock, and what it reports held against what the mock did."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundswell.replay import clock
from groundswell.replay.launch import replay, workers_for
from groundswell.replay.options import Options
from groundswell.replay.plan import Plan, survey
from groundswell.replay.source import held
from groundswell.results import Gaps, Results
from groundswell.serve.control import Mock
from groundswell.table import Workload

Floats = NDArray[np.float64]
Pair = tuple[float, float]
"""A median and a 99th percentile."""

PROMPT_TOKENS = 64
_GOLDEN = (5**0.5 - 1) / 2
_NOTHING: Pair = (nan, nan)


@dataclass(frozen=True)
class Load:
    """What is asked of a mock: replies of ``tokens`` tokens, the first ``ttft_s`` after the request, the next ones
    ``gap_s`` apart, or all at once for a gap of 0."""

    rate_per_s: float
    tokens: int
    ttft_s: float
    gap_s: float

    @property
    def events_per_s(self) -> float:
        """Tokens a second, each an event of its own."""
        return self.rate_per_s * self.tokens

    @property
    def workers(self) -> int:
        """As many as a run of this rate would have."""
        return workers_for(Plan("", peak_rate_per_s=self.rate_per_s, peak_output_tokens_per_s=self.events_per_s))

    def workload(self, seconds: float) -> Workload:
        """Requests for so long, their gaps exponential, in an order for which no number is drawn."""
        n = max(round(self.rate_per_s * seconds), 2)
        gap = -np.log1p(-((np.arange(n) + 0.5) * _GOLDEN % 1.0))
        prompts, replies = (np.full(n, tokens, np.int32) for tokens in (PROMPT_TOKENS, self.tokens))
        arrival_s = np.cumsum(gap) / self.rate_per_s
        return Workload.from_columns(arrival_s, np.zeros(n, np.uint32), ("self-test",), prompts, replies)


@dataclass(frozen=True)
class Trial:
    """What a run reported, and what was true by the mock's own log. Times in seconds; each pair is p50 and p99."""

    load: Load
    requests: int
    failed: int
    lag_s: Pair
    """From when requests were due to when they were sent."""
    ttft_s: Pair
    """From when they were due to their first token."""
    true_ttft_s: Pair
    gap_s: Pair
    """Between the tokens of a reply; nan where they come at once."""
    true_gap_s: Pair
    client_s: float
    """Processor time of the workers."""
    mock_s: float
    """Of the mock; nan where the system does not tell."""
    other_s: float
    """Of all else on the machine, in ``took_s``; nan likewise."""
    span_s: float
    """From the first request due to the last."""
    took_s: float
    """The whole run, from its start to its results."""

    @property
    def error_s(self) -> float:
        """The farthest that a reported percentile is from the true one; infinite where no reply came."""
        pairs = ((self.ttft_s, self.true_ttft_s), (self.gap_s, self.true_gap_s))
        off = (abs(said - true) for pair in pairs for said, true in zip(*pair, strict=True))
        return max((each for each in off if each == each), default=inf)

    @property
    def mock_late_s(self) -> float:
        """By how much the mock's own p99 of time to first token was more than it was told."""
        return self.true_ttft_s[1] - self.load.ttft_s


@dataclass(frozen=True)
class _Used:
    """When, and processor time in seconds: of ended children, of a mock, of this process, of the whole machine."""

    at_s: float
    children_s: float
    mock_s: float
    own_s: float
    machine_s: float

    @classmethod
    def now(cls, pid: int) -> _Used:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        children_s = children.ru_utime + children.ru_stime
        return cls(clock.now_ns() * 1e-9, children_s, process_s(pid), time.process_time(), machine_s()[0])


def tried(mock: Mock, load: Load, seconds: float, start_up_s: float = 0.0) -> Trial:
    """Send ``load`` to ``mock`` for ``seconds``, as ``replay`` would.

    ``start_up_s`` of each worker's processor time is not counted. Raises GroundswellError where the run breaks off, and
    KeyboardInterrupt where a person has broken it off.
    """
    mock.clear()
    mock.set(load.ttft_s, load.gap_s, marks=load.gap_s > 0)
    workload = load.workload(seconds)
    before = _Used.now(mock.pid)
    results = _sent(mock, load, workload)
    after = _Used.now(mock.pid)
    log, client_s = mock.log(), after.children_s - before.children_s
    mock_s, own_s = after.mock_s - before.mock_s, after.own_s - before.own_s
    due_s, gaps = results.floats("due_s"), results.gaps if load.gap_s > 0 else None
    return Trial(
        load,
        requests=len(workload),
        failed=int(results.failed.sum()),
        lag_s=pair(results.floats("sent_s") - due_s),
        ttft_s=pair((results.floats("first_token_s") - due_s)[~results.failed]),
        true_ttft_s=pair((log["first_ns"] - log["arrival_ns"])[log["first_ns"] > 0] * 1e-9),
        gap_s=pair_of_gaps(gaps) if gaps is not None else _NOTHING,
        true_gap_s=pair(gaps_of(mock.marks())) if gaps is not None else _NOTHING,
        client_s=max(client_s - start_up_s * load.workers, 0.0),
        mock_s=mock_s,
        other_s=max(after.machine_s - before.machine_s - client_s - mock_s - own_s, 0.0),
        span_s=float(workload.arrival_s[-1]),
        took_s=after.at_s - before.at_s,
    )


def process_s(pid: int) -> float:
    """The processor time of a process in seconds; nan where the system does not tell."""
    if sys.platform != "linux":
        return nan
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)


def machine_s() -> Pair:
    """Busy and idle time of all cores together, in seconds since the machine's start; nan where it does not tell."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    except OSError:
        return _NOTHING
    ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields[1:9]]  # guests are counted as users, too
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, idle


def _sent(mock: Mock, load: Load, workload: Workload) -> Results:
    with tempfile.TemporaryDirectory() as place, held(workload) as source:
        options = Options(mock.url, model="mock", workers=load.workers, probe=False, metrics=False)
        outcome = replay(source, survey(source), options, Path(place) / "results.parquet")
        if outcome.ended.interrupted:
            raise KeyboardInterrupt
        return Results.read(outcome.results)


def pair(values: NDArray[np.floating]) -> Pair:
    """Median and 99th percentile of those that are not nan; nan for none."""
    there = values[~np.isnan(values)]
    if not there.size:
        return _NOTHING
    median, far = np.percentile(there, (50, 99))
    return float(median), float(far)


def pair_of_gaps(gaps: Gaps) -> Pair:
    """Median and 99th percentile of gaps in buckets."""
    upto = np.cumsum(gaps.count.sum(axis=0))
    median, far = gaps.gap_s[np.searchsorted(upto, upto[-1] * np.array([0.5, 0.99]))]
    return float(median), float(far)


def gaps_of(marks: NDArray[np.void]) -> Floats:
    """The times between the tokens of each reply in a mock's marks, in seconds."""
    ordered = marks[np.lexsort((marks["token"], marks["row"]))]
    within = ordered["row"][1:] == ordered["row"][:-1]
    return np.asarray(np.diff(ordered["at_ns"])[within] * 1e-9)
