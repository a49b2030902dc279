"""Requests that were moved in time, put in order again: they wait until nothing can come before them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from groundswell.formats.reading.order import SortedRuns, by_time
from groundswell.table import Workload

MOST_BYTES = 2**27
"""As much waits in memory; beyond it everything that is yet to come goes through temporary files."""
_FILES_OF = 4
"""Once there are files, each has such a part of what may wait in memory: many small ones are slow to read."""
_BLOCK_ROWS = 2**18
_ROUNDING_S = 1e-6
"""Times that follow from one another by arithmetic are not off by more than this in some centuries."""


def in_time(placed: Iterable[tuple[Workload, float]], most_bytes: int = MOST_BYTES) -> Iterator[Workload]:
    """The requests of all blocks in order of time; ``placed`` gives, with blocks whose rows are in any order, the time
    before which nothing will come in the blocks after them.

    Clients may become more from block to block, but keep their numbers. What waits is at most ``most_bytes``, and up to
    four times that while it is sorted; if that is not enough, the rest is sorted through temporary files of its size.
    """
    with tempfile.TemporaryDirectory(prefix="groundswell-") as folder:
        waiting = _Waiting(Path(folder), most_bytes)
        latest: Workload | None = None
        for block, until_s in placed:
            latest = block
            waiting.add(numbered(block.frame))
            yield from _blocks(waiting.until(until_s - _ROUNDING_S), block)
        if latest is not None:
            yield from _blocks(waiting.rest(), latest)


def numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with clients as numbers, which stay the same when more clients come to be known."""
    return frame.with_columns(pl.col("client").to_physical().cast(pl.UInt32))


def named(frame: pl.DataFrame, like: Workload) -> pl.DataFrame:
    """``frame``, whose clients are numbers, with clients as in ``like``."""
    dtype = like.frame.schema["client"]
    assert isinstance(dtype, pl.Enum)  # noqa: S101 (a Workload's schema)
    each = pl.Series("client", dtype.categories, dtype=dtype)
    return frame.with_columns(each.gather(frame["client"]).alias("client"))


def _blocks(frames: Iterable[pl.DataFrame], like: Workload) -> Iterator[Workload]:
    for frame in frames:
        for part in frame.iter_slices(_BLOCK_ROWS):
            if part.height:
                yield Workload(named(part, like), like.metadata)


@dataclass(frozen=True)
class _Run:
    """Rows in order of time, which are what is left of ``taken`` rows."""

    frame: pl.DataFrame
    taken: int

    def behind(self, rows: int) -> _Run:
        """What is left without the first ``rows``."""
        left = self.frame.height - rows
        if 2 * left > self.taken:
            return _Run(self.frame.slice(rows), self.taken)
        # A slice holds all that it was cut from; rows that are gathered do not.
        return _Run(self.frame.select(pl.all().gather(pl.int_range(rows, self.frame.height))), left)


class _Waiting:
    """Sorted runs of which each is at most half as long as the one before, or, when they are too much, files."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self.runs: list[_Run] = []
        self.files: SortedRuns | None = None
        self.gathered: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Keep a frame."""
        if self.files is not None:
            self.gathered.append(frame)
            if sum(frame.estimated_size() for frame in self.gathered) > self.most_bytes / _FILES_OF:
                self._file()
            return
        self.runs.append(_Run(by_time(frame), frame.height))
        while len(self.runs) > 1 and self.runs[-2].frame.height < 2 * self.runs[-1].frame.height:
            self.runs[-2:] = [_joined([run.frame for run in self.runs[-2:]])]

    def until(self, time_s: float) -> Iterator[pl.DataFrame]:
        """What comes before ``time_s``, which is given away."""
        if self.files is not None:
            return
        cuts = [int(run.frame["arrival_s"].search_sorted(time_s, side="left")) for run in self.runs]
        if any(cuts):
            yield _joined([run.frame.head(cut) for run, cut in zip(self.runs, cuts, strict=True)]).frame
            self.runs = [run.behind(cut) for run, cut in zip(self.runs, cuts, strict=True) if cut < run.frame.height]
        if sum(run.frame.estimated_size() for run in self.runs) > self.most_bytes:
            self.files = SortedRuns(self.folder)
            for run in self.runs:
                self.files.add(run.frame)
            self.runs = []

    def _file(self) -> None:
        """Put what was gathered into a file."""
        if self.files is not None and self.gathered:
            self.files.add(pl.concat(self.gathered))
            self.gathered = []

    def rest(self) -> Iterator[pl.DataFrame]:
        """All that is left."""
        if self.files is not None:
            self._file()
            yield from self.files.in_order()
        elif self.runs:
            yield _joined([run.frame for run in self.runs]).frame


def _joined(frames: list[pl.DataFrame]) -> _Run:
    whole = by_time(pl.concat(frames, rechunk=True))
    return _Run(whole, whole.height)
