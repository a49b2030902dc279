"""A run on a disk that gets full ends in one line, and --resume makes it whole when there is room again."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fault_server import FaultServer
from groundswell.errors import OutputError
from groundswell.replay.folder import Folder
from replay_command import LONGEST_S, QUIET, replaying
from replaying import run, workload
from resuming import one_line, talking, until_whole


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "workload.parquet"
    talking().write(path)
    return path


# A disk that is full: a file may not grow beyond a limit, which all processes of the command have.

_LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from groundswell.cli import main
main()
"""


@contextlib.contextmanager
def with_little_room(limit: int, given: Path, url: str, output: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _LIMITED, str(limit), "replay", str(given), "--url", url, "-o", str(output)]
    with subprocess.Popen([*command, *QUIET, *more], stdout=-1, stderr=-1, text=True, process_group=0) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_journals_without_room_are_one_line_and_resume_goes_on_when_there_is_some(tmp_path: Path, given: Path) -> None:
    output = tmp_path / "results.parquet"
    with FaultServer() as server:
        with with_little_room(8000, given, server.url, output) as process:
            _, said = process.communicate(timeout=LONGEST_S)
        assert process.returncode == 1, said
        assert one_line(said) == (
            f"groundswell: the run was broken off: the journal cannot be written: {os.strerror(errno.EFBIG)}; what was "
            f"recorded is in {output}.run, and --resume goes on from there"
        )
        until_whole(given, server.url, output)


def test_results_without_room_can_be_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = workload(np.arange(0, 0.5, 0.01))

    def full(*_: object) -> None:
        raise OutputError("results.parquet: cannot be written: No space left on device")

    with FaultServer() as server:
        with monkeypatch.context() as patch:
            patch.setattr("groundswell.replay.launch.write_results", full)
            with pytest.raises(OutputError, match="--resume goes on from there"):
                run(given, server.url, tmp_path)
        results, _ = run(given, server.url, tmp_path, resume=True)
        assert server.requests == 50
    assert results.frame["error"].null_count() == 50


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_a_file_system_without_room_is_one_line_and_resume_goes_on(tmp_path: Path, given: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(f"mount -t tmpfs -o size=64k none {place}".split(), capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        output = place / "results.parquet"
        with FaultServer() as server:
            with replaying(given, server.url, output, *QUIET, "--event-times") as command:
                code, _, said = command.ended()
            assert code == 1, said
            assert "No space left on device" in one_line(said)
            assert "--resume goes on from there" in said
            subprocess.run(f"mount -o remount,size=4m {place}".split(), check=True)
            until_whole(given, server.url, output, "--event-times")
    finally:
        subprocess.run(f"umount -l {place}".split(), check=True)


def test_a_folder_that_cannot_be_begun_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Folder(tmp_path / "results.parquet") as folder:
        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(OutputError, match=r"run\.json: cannot be written: No space left on device"):
            folder.begin({})
    assert not list(tmp_path.iterdir())
