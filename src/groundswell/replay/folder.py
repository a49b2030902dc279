"""The folder beside a results file in which a run is written down until it is whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from groundswell.errors import DataError, UsageError
from groundswell.replay.journal import Tail
from groundswell.whole_file import appearing, check_place, faults_of

_NOTES = "run.json"


class Folder:
    """``x.parquet.run`` beside ``x.parquet``: the workers' journals, and ``run.json``, which says what is run."""

    def __init__(self, output: Path) -> None:
        check_place(output)
        self.path = output.with_name(output.name + ".run")
        self._output = output

    def begin(self, asked: dict[str, Any]) -> None:
        """Make the folder for a new run of what is ``asked``. Raises UsageError if there is an unfinished one."""
        if self.path.exists():
            raise UsageError(
                f"{self.path}: holds a run that was interrupted; continue it with --resume, or remove the folder"
            )
        with faults_of(self.path):
            self.path.mkdir()
        self.note({"asked": asked, "cut_s": 0.0})

    def again(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What was noted of the interrupted run of the same. Raises UsageError if there is none, or asked differs."""
        place = self.path / _NOTES
        if not place.is_file():
            raise UsageError(f"{self.path}: no interrupted run is there; leave --resume out to begin one")
        try:
            noted = json.loads(place.read_bytes())
            before = dict(noted["asked"])
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{place}: is not what an interrupted run leaves; remove the folder") from None
        for name, value in json.loads(json.dumps(asked)).items():
            if before.get(name) != value:
                raise UsageError(
                    f"--resume: the interrupted run had {name} {before.get(name)!r}, not {value!r}; ask for the same"
                )
        return dict(noted)

    def note(self, noted: dict[str, Any]) -> None:
        """Keep what a later run has to know."""
        place = self.path / _NOTES
        with appearing(place) as beside, faults_of(place):
            beside.write_text(json.dumps(noted, indent=1))

    def next_worker(self) -> int:
        """A number that no worker of this run has had."""
        return max((int(path.stem) for path in self.path.glob("*.rows")), default=-1) + 1

    def tail(self, worker: int) -> Tail:
        """What a worker writes down from now on."""
        return Tail(self.path, worker)

    def remove(self) -> None:
        """The run is whole and elsewhere."""
        shutil.rmtree(self.path)
