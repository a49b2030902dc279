"""Writing is whole or not at all, whatever comes between; and it holds one block at a time."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from groundswell import formats
from groundswell.errors import OutputError
from groundswell.table import Workload
from workloads import WRITTEN, cut, random_workload

ROOT = Path(__file__).resolve().parent.parent
WHOLE = random_workload(3000, reason=True, items=True)


class OddError(Exception):
    pass


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("fault", [OddError("boom"), OSError("theirs"), KeyboardInterrupt()])
def test_a_fault_among_the_blocks_comes_out_and_leaves_nothing(name: str, fault: BaseException, tmp_path: Path) -> None:
    def blocks() -> Iterator[Workload]:
        yield from cut(WHOLE, [1000])
        raise fault

    with pytest.raises(type(fault)) as caught:
        formats.write(blocks(), tmp_path / "x", name)
    assert caught.value is fault
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["parquet", "csv"])
def test_a_failure_keeps_the_file_that_was_there(name: str, tmp_path: Path) -> None:
    def blocks() -> Iterator[Workload]:
        yield WHOLE
        assert (tmp_path / "x").read_text() == "old"
        raise OddError

    (tmp_path / "x").write_text("old")
    with pytest.raises(OddError):
        formats.write(blocks(), tmp_path / "x", name)
    assert (tmp_path / "x").read_text() == "old"
    formats.write([WHOLE], tmp_path / "x", name)
    assert (tmp_path / "x").stat().st_size > 1000
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", WRITTEN)
def test_a_full_device_is_one_line_that_names_it(name: str) -> None:
    with pytest.raises(OutputError) as caught:
        formats.write([WHOLE], "/dev/full", name)
    assert str(caught.value) == "/dev/full: cannot be written: No space left on device"


FULL = """
import resource, signal, sys
sys.path[:0] = sys.argv[3:]
from groundswell import formats
from groundswell.errors import OutputError
from workloads import random_workload, cut
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
whole = random_workload(600_000)
try:
    formats.write(cut(whole, range(0, 600_000, 50_000)), sys.argv[1], sys.argv[2])
except OutputError as fault:
    sys.exit(f"told: {fault}")
"""


@pytest.mark.parametrize("name", ["parquet", "jsonl", "csv"])
def test_a_disk_that_fills_up_leaves_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(path), name, str(ROOT / "src"), str(ROOT / "tests")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stderr == f"told: {path}: cannot be written: File too large\n"
    assert not list(tmp_path.iterdir())


SLOW = """
import sys, time
sys.path[:0] = sys.argv[3:]
from groundswell import formats
from workloads import random_workload, cut

def blocks():
    try:
        for block in cut(random_workload(500_000), range(0, 500_000, 50_000)):
            yield block
            print("made", flush=True)
            time.sleep(0.1)
        time.sleep(60)
    finally:
        print("closed", flush=True)

try:
    formats.write(blocks(), sys.argv[1], sys.argv[2])
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("name", ["parquet", "jsonl"])
def test_ctrl_c_stops_at_once_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW, str(tmp_path / "x"), name, str(ROOT / "src"), str(ROOT / "tests")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for _ in range(4):
            assert run.stdout.readline() == "made\n"
        began = time.monotonic()
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert set(out.split()) <= {"made", "closed", "interrupted"}
    assert out.endswith("interrupted\n")
    assert err == ""
    assert run.returncode == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["parquet", "jsonl"])
def test_blocks_are_pulled_one_by_one_by_the_caller(name: str, tmp_path: Path) -> None:
    told: list[int] = []
    threads = set()

    def blocks() -> Iterator[Workload]:
        for i, block in enumerate(cut(WHOLE, [500, 1000, 2000])):
            assert len(told) == i
            threads.add(threading.current_thread())
            yield block

    assert formats.write(blocks(), tmp_path / "x", name, progress=told.append) == 3000
    assert told == [500, 500, 1000, 1000]
    assert threads == {threading.current_thread()}


def test_memory_stays_flat_in_the_number_of_blocks(tmp_path: Path) -> None:
    frame = random_workload(200_000).frame

    def blocks(n: int) -> Iterator[Workload]:
        for k in range(n):
            yield Workload(frame.with_columns(pl.col("arrival_s") + k * 1e6))

    formats.write(blocks(10), tmp_path / "x.parquet")
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    formats.write(blocks(100), tmp_path / "x.parquet")  # 400 MB of rows
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    assert grown_mb < 100


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no such device here")
def test_a_pipe_is_written_to_directly(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    formats.write([WHOLE], fifo, "vidur")
    reader.join(10)
    assert got[0].count(b"\n") == 3001
    assert fifo.exists()
