"""Real servers of language models, started for tests: on loopback, on a processor, with a tiny random model.

Each is a context manager that gives a :class:`Server`. llama.cpp's comes as a wheel and is always tested with; the
others live in venvs of their own, which the ``setup_*.sh`` beside this make, and which environment variables name.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODEL = "tiny"


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    url: str
    model: str
    """What it calls its model."""
    folder: Path
    """Of the model; its tokenizer is in there."""
    log: Path
    """What it prints."""


class StartError(RuntimeError):
    """A server ended before it answered, or did not answer in time; the text ends with what it printed last."""


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def started(
    commands: Sequence[Sequence[str]],
    url: str,
    folder: Path,
    *,
    ready: str = "/health",
    model: str = MODEL,
    environment: Mapping[str, str] | None = None,
    within_s: float = 400.0,
) -> Iterator[Server]:
    """Processes that together are a server, from when ``ready`` answers until the block ends.

    They hear of no hub, keep their temporary files to themselves, and end with all that they started.
    """
    with tempfile.TemporaryDirectory(prefix="server_") as scratch:
        alone = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1", "TMPDIR": scratch}
        log = Path(scratch) / "log"
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for command in commands:
                processes.append(_begun(command, log, alone | dict(environment or {})))  # noqa: PERF401 (what began ends)
            _wait_until(url + ready, processes, log, within_s)
            yield Server(url, model, folder, log)
        finally:
            for process in processes:
                _end(process)


def _begun(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=log.parent,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )


def _end_with_parent() -> None:
    """Also where whoever started it is killed, and so ends nothing (prctl(2))."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _wait_until(url: str, processes: Sequence[subprocess.Popen[bytes]], log: Path, within_s: float) -> None:
    end = time.monotonic() + within_s
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end and all(process.poll() is None for process in processes):
        try:
            with opener.open(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise StartError(f"{url} does not answer:\n{log.read_text(errors='replace')[-3000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its session."""
    for kind, wait_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, kind)
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
    process.wait()
