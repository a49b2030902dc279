"""What ``groundswell replay`` keeps, against a mock in C on the same machine, beside what is demanded of it.

    python benchmarks/replay.py [--repeats 3] [--seconds 10] [--busy]

Each run is the command as a user gives it, and what it reports is held against the mock's own log of that run. It waits
for a quiet machine, and ends with a line if there is none; ``--busy`` measures all the same. Figures are medians of the
repeats, and in brackets the least and the most.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common import machine, table
from groundswell.serve.control import Mock
from groundswell.serve.trial import pair, process_s
from sent import COMPILER, NO_COMPILER, Schedule, mock_server, ours
from watched import wait_until_quiet

ROWS = 100_000
STOP_S = 3.0
STILL_S = 2.0


@dataclass
class Figure:
    """One figure of one run, over all repeats."""

    name: str
    demand: str
    kept: Callable[[float], bool] | None = None
    values: list[float] = field(default_factory=list)

    def row(self, run: str) -> list[str]:
        middle = float(np.median(self.values))
        spread = f" ({min(self.values):.4g} to {max(self.values):.4g})" if len(self.values) > 1 else ""
        verdict = "" if self.kept is None else "kept" if self.kept(middle) else "**not kept**"
        return [run, self.name, self.demand, f"{middle:.4g}{spread}", verdict]


Measured = Iterator[tuple[str, str, Callable[[float], bool] | None, float]]


def at_most(bound: float) -> Callable[[float], bool]:
    return lambda value: value <= bound


def burst(mock: Mock, schedule: Schedule, folder: Path, options: list[str]) -> Measured:
    run = ours(mock, schedule, folder, *options)
    window = run.window(schedule)
    kept = run.seen.kept_per_s
    yield "requests/s kept", f"{schedule.rate_per_s:,.0f}", lambda value: value > 0.999 * schedule.rate_per_s, kept
    yield "requests failed", "0", at_most(0), float(run.failed)
    yield "lag p50, ms", "", None, run.lag_s[0] * 1e3
    demand = 1.0 if schedule.rate_per_s > 1000 else 0.5
    yield "lag p99, ms", f"≤ {demand:g}", at_most(demand), run.lag_s[1] * 1e3
    yield "TTFT p99 off by, ms", "", None, (run.ttft_s[1] - run.seen.ttft_s[1]) * 1e3
    yield "cores, of all processes", "", None, run.taken.cores(*window)
    yield "cores, all else with the mock", "", None, run.taken.others(*window)
    limit = at_most(60) if schedule.rate_per_s <= 1000 else None
    yield "MB, the largest worker", "≤ 60" if limit else "", limit, run.taken.workers_mb("replay.worker")


def stream(mock: Mock, schedule: Schedule, folder: Path, options: list[str]) -> Measured:
    run = ours(mock, schedule, folder, *options)
    window = run.window(schedule)
    yield "requests failed", "0", at_most(0), float(run.failed)
    yield "lag p50, ms", "", None, run.lag_s[0] * 1e3
    yield "lag p99, ms", "≤ 2", at_most(2), run.lag_s[1] * 1e3
    for name, said, true in (("TTFT", run.ttft_s, run.seen.ttft_s), ("inter-token", run.gap_s, run.seen.gap_s)):
        for place, percentile in enumerate(("p50", "p99")):
            off_ms = (said[place] - true[place]) * 1e3
            yield f"{name} {percentile} reported, ms", "", None, said[place] * 1e3
            yield "… less the mock's own", "within ±1", lambda value: abs(value) <= 1, off_ms
    yield "cores, of all processes", "≤ 0.5", at_most(0.5), run.taken.cores(*window)
    yield "cores, all else with the mock", "", None, run.taken.others(*window)


def standing_still(mock: Mock, schedule: Schedule, folder: Path, options: list[str]) -> Measured:
    """The server stops for 2 s in the midst: whoever is due meanwhile waits for the rest of them, and 20 ms."""
    stood_ns: list[int] = []

    def stand_still() -> None:
        stood_ns.append(time.monotonic_ns())
        os.kill(mock.pid, signal.SIGSTOP)
        time.sleep(STILL_S)
        os.kill(mock.pid, signal.SIGCONT)
        stood_ns.append(time.monotonic_ns())

    timer = threading.Timer(schedule.seconds / 2, stand_still)
    timer.start()
    run = ours(mock, schedule, folder, *options)
    timer.join()
    begin_s, end_s = ((at_ns - run.start_ns) * 1e-9 for at_ns in stood_ns)
    due_s = run.results.floats("due_s")
    heard_s = np.where((due_s > begin_s) & (due_s < end_s), end_s, due_s)
    answered_s = heard_s + schedule.ttft_s
    true_s = np.where((answered_s > begin_s) & (answered_s < end_s), end_s, answered_s) - due_s
    said_s = run.results.floats("first_token_s") - due_s
    for share in (0.9, 0.95, 0.99):
        true, said = np.quantile(true_s, share), np.quantile(said_s, share)
        yield f"TTFT p{share * 100:g}, s", "", None, float(said)
        yield "… off from the closed form, %", "within ±1", lambda value: abs(value) <= 1, float(said / true - 1) * 100


def first_request(mock: Mock, folder: Path) -> Measured:
    """A long trace, broken off after some seconds."""
    long = Schedule(100.0, 16, 0.02, 0.0, ROWS / 100.0)
    run = ours(mock, long, folder, interrupt_after_s=STOP_S)
    first_s = (run.start_ns - run.taken.begin_ns) * 1e-9 + float(np.nanmin(run.results.floats("sent_s")))
    shutil.rmtree(folder / "results.parquet.run")
    yield "s, from the command to its first request", "≤ 1", at_most(1), first_s


def ceiling(mock: Mock, loop: Path) -> Measured:
    """What the mock does when it is asked for all it can, by a loop in C on another core."""
    for tokens, ttft_s, gap_s, connections in ((16, 0.0, 0.0, 64), (64, 0.2, 0.02, 1460), (64, 0.2, 0.02, 4380)):
        schedule = Schedule(connections, tokens, ttft_s, gap_s, 1.0)
        schedule.begin(mock)
        before_s = process_s(mock.pid)
        asked = [str(mock.port), str(connections), str(tokens), "4", f"{schedule.reply_s:g}"]
        said = subprocess.run([str(loop), *asked], check=True, capture_output=True, text=True).stdout
        replies, seconds, passed_s = map(float, said.split())
        used, log = (process_s(mock.pid) - before_s) / passed_s, mock.log()
        how = "tokens 20 ms apart" if gap_s else "16 tokens at once"
        yield f"replies/s, {how}, {connections:,} open", "", None, replies / seconds
        yield "… that is events/s", "", None, tokens * replies / seconds
        yield "… cores of the mock", "", None, used
        if gap_s:
            took_s = (log["last_ns"] - log["arrival_ns"])[log["last_ns"] > 0] * 1e-9
            yield "… its last tokens late by, p99, ms", "", None, (pair(took_s)[1] - schedule.reply_s) * 1e3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What replay keeps, against a mock in C.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--workers", type=int, help="as replay takes them")
    parser.add_argument("--busy", action="store_true", help="measure on a busy machine, too")
    given = parser.parse_args()
    if COMPILER is None:
        sys.exit(NO_COMPILER)
    print(f"{machine()}; {given.repeats} runs of {given.seconds:g} s each\n")
    wait_until_quiet(busy=given.busy)
    options = ["--workers", str(given.workers)] if given.workers else []
    figures: dict[tuple[str, int], Figure] = {}
    with tempfile.TemporaryDirectory() as place, mock_server() as mock:
        folder = Path(place)
        loop = folder / "load"
        subprocess.run([COMPILER, "-O2", "-o", loop, Path(__file__).with_name("load.c")], check=True)
        for _ in range(given.repeats):
            for name, measured in runs(mock, folder, loop, given.seconds, options):
                print(name, file=sys.stderr)
                for i, (figure, demand, kept, value) in enumerate(measured):
                    figures.setdefault((name, i), Figure(figure, demand, kept)).values.append(value)
    rows = [figure.row(name) for (name, _), figure in figures.items()]
    table(["run", "figure", "demanded", "measured", ""], rows)


def runs(mock: Mock, folder: Path, loop: Path, seconds: float, options: list[str]) -> Iterator[tuple[str, Measured]]:
    """All that is measured, one after the other."""
    for rate in (6000.0, 1000.0):
        schedule = Schedule(rate, 16, 0.02, 0.0, seconds)
        yield str(schedule), burst(mock, schedule, folder, options)
    schedule = Schedule(500.0, 64, 0.2, 0.02, seconds)
    yield str(schedule), stream(mock, schedule, folder, options)
    schedule = Schedule(200.0, 16, 0.02, 0.0, seconds)
    yield f"{schedule}, and the server stands still for {STILL_S:g} s", standing_still(mock, schedule, folder, options)
    yield f"a trace of {ROWS:,} requests", first_request(mock, folder)
    yield "the mock itself", ceiling(mock, loop)


if __name__ == "__main__":
    main()
