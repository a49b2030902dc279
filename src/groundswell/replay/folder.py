"""The folder beside a results file in which a run is written down until it is whole."""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from groundswell.errors import DataError, OutputError, UsageError
from groundswell.replay.journal import RECORD, Tail
from groundswell.whole_file import appearing, check_place, faults_of

_NOTES = "run.json"


class Folder:
    """``x.parquet.run`` beside ``x.parquet``: the workers' journals, and ``run.json``, which says what is run.

    In a ``with`` block; what was begun in it is nobody else's until its end.
    """

    def __init__(self, output: Path) -> None:
        check_place(output)
        self.path = output.with_name(output.name + ".run")
        self._locked = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._locked >= 0:
            os.close(self._locked)
            self._locked = -1

    def begin(self, asked: dict[str, Any]) -> None:
        """Make the folder for a new run of what is ``asked``. Raises UsageError if there is an unfinished one."""
        if self.path.exists():
            raise UsageError(
                f"{self.path}: holds a run that was interrupted; continue it with --resume, or remove the folder"
            )
        with faults_of(self.path):
            self.path.mkdir()
        try:
            self._lock()
            self.note(asked, 0.0)
        except OutputError:
            self.remove()
            raise

    def again(self, asked: dict[str, Any]) -> float:
        """When the run of the same was interrupted, in seconds from its begin. Raises UsageError if there is none, if
        it still goes on, or if asked differs."""
        place = self.path / _NOTES
        if not place.is_file():
            raise UsageError(f"{self.path}: no interrupted run is there; leave --resume out to begin one")
        self._lock()
        try:
            noted = json.loads(place.read_bytes())
            before, cut_s, first = dict(noted["asked"]), float(noted["cut_s"]), int(noted["next_worker"])
            if not (math.isfinite(cut_s) and cut_s >= 0):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{place}: is not what an interrupted run leaves; remove the folder") from None
        for name, value in json.loads(json.dumps(asked)).items():
            if before.get(name) != value:
                raise UsageError(
                    f"--resume: the interrupted run had {name} {before.get(name)!r}, not {value!r}; ask for the same"
                )
        # Of a command that was killed nothing is noted but what its workers wrote down.
        clocks = [self.tail(worker).clock_s() for worker in self._workers() if worker >= first]
        return max([cut_s, *clocks])

    def note(self, asked: dict[str, Any], cut_s: float) -> None:
        """Keep what a later run has to know: what was ``asked``, and that nothing was sent after ``cut_s``."""
        place = self.path / _NOTES
        noted = {"asked": asked, "cut_s": cut_s, "next_worker": self.next_worker()}
        with appearing(place) as beside, faults_of(place):
            beside.write_text(json.dumps(noted, indent=1))

    def next_worker(self) -> int:
        """A number that no worker of this run has had."""
        return max(self._workers(), default=-1) + 1

    @property
    def has_records(self) -> bool:
        """Whether any request has ended."""
        return any(path.stat().st_size >= RECORD.itemsize for path in self.path.glob("*.rows"))

    def _workers(self) -> list[int]:
        return [int(path.stem) for path in self.path.glob("*.rows")]

    def tail(self, worker: int) -> Tail:
        """What a worker writes down from now on."""
        return Tail(self.path, worker)

    def remove(self) -> None:
        """The run is whole and elsewhere, or nothing was sent."""
        with faults_of(self.path):
            shutil.rmtree(self.path)

    def _lock(self) -> None:
        """Have the folder to ourselves; the lock goes with the process, however that ends."""
        with faults_of(self.path):
            self._locked = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{self.path}: the run there still goes on, in another process") from None
        except OSError:
            pass  # a file system without locks: whoever runs two at a time there has been told to name the results
