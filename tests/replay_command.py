"""``groundswell replay`` as a process of its own, as a person has it in a terminal: its group, its workers, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_S = 60.0
"""Nothing here may take longer: a test that does has found something that hangs."""


class Command:
    """The command while it runs."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.folder = process, folder

    def ctrl_c(self, number: int = signal.SIGINT, *, alone: bool = False) -> None:
        """What a terminal does: a signal to the whole group; or ``alone`` to the command."""
        if alone:
            os.kill(self.process.pid, number)
        else:
            os.killpg(self.process.pid, number)

    def workers(self) -> list[int]:
        """The processes that it started."""
        return children(self.process.pid)

    def recorded(self) -> int:
        """How many bytes of records there are."""
        return sum(path.stat().st_size for path in self.folder.glob("*.rows"))

    def wait_for(self, what: Callable[[], object]) -> None:
        """Until ``what`` is true, which it must become while the command runs."""
        until_s = time.monotonic() + LONGEST_S
        while not what():
            assert self.process.poll() is None, f"ended before: {self.process.communicate()}"
            assert time.monotonic() < until_s, "it did not come to that"
            time.sleep(0.005)

    def ended(self) -> tuple[int, str, str]:
        """The exit code, and what it said on stdout and stderr."""
        out, said = self.process.communicate(timeout=LONGEST_S)
        return self.process.returncode, out, said


def children(pid: int) -> list[int]:
    """The processes that ``pid`` started and that are there."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def is_gone(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has asked for its exit code yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def when(ready: Callable[[], object], then: Callable[[], object]) -> threading.Thread:
    """Do ``then`` in a thread as soon as ``ready``."""

    def go() -> None:
        until_s = time.monotonic() + LONGEST_S
        while not ready() and time.monotonic() < until_s:
            time.sleep(0.005)
        then()

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    return thread


@contextmanager
def replaying(workload: Path, url: str, output: Path, *more: str, **environment: str) -> Iterator[Command]:
    """``groundswell replay`` in a process group of its own; it is gone when the block ends."""
    command = [sys.executable, "-m", "groundswell.cli", "replay", str(workload), "--url", url, "-o", str(output)]
    # A shell starts what is in the background with Ctrl-C ignored, and a handler of ours is not inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [*command, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            env=os.environ | environment,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield Command(process, output.with_name(output.name + ".run"))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


QUIET = ("--model", "m", "--no-probe", "--no-metrics")
"""Nothing is asked of the server but the workload."""
