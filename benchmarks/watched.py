"""Commands that are run and watched: what they and all that they start take of a machine; and whether it is quiet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from groundswell.serve.trial import machine_s, process_s

EVERY_S = 0.1
QUIET = 0.04  # of the machine's time that others may take
QUIET_S, WAIT_S = 3.0, 180.0


@dataclass
class Watched:
    """What a command took. Memory is what is resident, what processes share counted in each."""

    begin_ns: int
    begin_unix_s: float
    code: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    processes: int = 0
    """The most at a time."""
    peaks_mb: dict[int, tuple[str, float]] = field(default_factory=dict)
    """Of each process its command line and its own peak (VmHWM)."""
    at_ns: list[int] = field(default_factory=list)
    spent_s: list[float] = field(default_factory=list)
    machine_s: list[float] = field(default_factory=list)
    """Processor time of the command, and of the whole machine, by the times ``at_ns``."""

    def cores(self, begin_ns: float, end_ns: float) -> float:
        """How many cores it used between two times of the monotonic clock."""
        return self._grown(self.spent_s, begin_ns, end_ns)

    def others(self, begin_ns: float, end_ns: float) -> float:
        """How many all else used, such as the mock."""
        return self._grown(self.machine_s, begin_ns, end_ns) - self.cores(begin_ns, end_ns)

    def workers_mb(self, word: str) -> float:
        """The largest of the peaks of the processes that have ``word`` in their command line."""
        return max((peak for line, peak in self.peaks_mb.values() if word in line), default=float("nan"))

    def _grown(self, totals: list[float], begin_ns: float, end_ns: float) -> float:
        low, high = np.interp([begin_ns, end_ns], np.array(self.at_ns, float), totals)
        return float((high - low) / (end_ns - begin_ns) * 1e9)


def watched(
    command: Sequence[str],
    log: Path,
    *,
    most_s: float = 300.0,
    interrupt_after_s: float | None = None,
    folder: Path | None = None,
) -> Watched:
    """Run ``command`` to its end in ``folder``, its output into ``log``; it is killed after ``most_s``, and what it
    leaves running is in the end."""
    with log.open("wb") as output:
        taken = Watched(time.monotonic_ns(), time.time())
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
        )
        spent: dict[int, float] = {}
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            _look(process.pid, taken, spent)
            passed_s = (time.monotonic_ns() - taken.begin_ns) * 1e-9
            if interrupt_after_s is not None and passed_s > interrupt_after_s:
                process.send_signal(signal.SIGINT)
                interrupt_after_s = None
            if passed_s > most_s:
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(EVERY_S)
    _, status, usage = ended
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.returncode = taken.code = os.waitstatus_to_exitcode(status)
    taken.wall_s = (time.monotonic_ns() - taken.begin_ns) * 1e-9
    taken.cpu_s = max(usage.ru_utime + usage.ru_stime, sum(spent.values()))
    return taken


def _look(root: int, taken: Watched, spent: dict[int, float]) -> None:
    resident_kb = count = 0
    for pid in _tree(root):
        with suppress(OSError, KeyError):  # it has ended meanwhile
            told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            resident_kb += int(told["VmRSS"].split()[0])
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            taken.peaks_mb[pid] = line, int(told["VmHWM"].split()[0]) / 1024
            spent[pid] = process_s(pid)
            count += 1
    taken.peak_mb = max(taken.peak_mb, resident_kb / 1024)
    taken.processes = max(taken.processes, count)
    taken.at_ns.append(time.monotonic_ns())
    taken.spent_s.append(sum(spent.values()))
    taken.machine_s.append(machine_s()[0])


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def busy_share(seconds: float = QUIET_S) -> float:
    """The share of the machine's time that is not idle now."""
    busy_s, idle_s = machine_s()
    time.sleep(seconds)
    busier_s, idler_s = machine_s()
    return (busier_s - busy_s) / (busier_s - busy_s + idler_s - idle_s)


def wait_until_quiet(*, busy: bool = False) -> None:
    """Wait until nothing else uses the machine; end with a line where that takes too long. ``busy``: do not wait."""
    share, until_s, told = busy_share(), time.monotonic() + WAIT_S, False
    while share > QUIET and not busy:
        if time.monotonic() > until_s:
            sys.exit(f"other programs use {100 * share:.0f} % of this machine: measure when it is quiet, or say --busy")
        if not told:
            print(f"waiting: other programs use {100 * share:.0f} % of this machine", file=sys.stderr)
        told, share = True, busy_share()
    if share > QUIET:
        print(f"**Measured on a busy machine: other programs used {100 * share:.0f} % of it.**\n")
