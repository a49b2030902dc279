"""Rows in order of time: within reach by looking one frame ahead, beyond it by sorting through files."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from groundswell.errors import DataError
from groundswell.formats.reading.outcome import Reading
from groundswell.whole_file import faults_of

FRAME_ROWS = 2**18
"""Rows that are more than one frame of this size before their place are put right only by sorting everything."""
RUN_ROWS = 2**20
"""Rows of one sorted file: opening many small ones is what takes the time."""
_MARK_EVERY = 256


class OutOfOrderError(DataError):
    """A row comes long before one that was read earlier; :func:`groundswell.formats.reading.in_order` helps."""


def gathered(frames: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """``frames`` put together until they have at least ``rows`` rows each."""
    held: list[pl.DataFrame] = []
    count = 0
    for frame in frames:
        if frame.height:
            held.append(frame)
            count += frame.height
        if count >= rows:
            yield pl.concat(held, rechunk=True)
            held, count = [], 0
    if held:
        yield pl.concat(held, rechunk=True)


def by_time(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` in order of arrival, rows of the same time as they were."""
    time = frame["arrival_s"].to_numpy()
    if (time[1:] >= time[:-1]).all():
        return frame
    return frame.sort("arrival_s", maintain_order=True)


def in_reach(frames: Iterable[pl.DataFrame], where: str, reading: Reading) -> Iterator[pl.DataFrame]:
    """Frames that are each in order, with rows moved to the frame before if they belong there.

    Raises :class:`OutOfOrderError` for a row that belongs to an earlier one.
    """
    held: pl.DataFrame | None = None
    latest = -np.inf
    for frame in frames:
        if held is None:
            held = frame
            continue
        if frame["arrival_s"][0] < held["arrival_s"][-1]:
            reading.note_late()
            rows = held.height
            both = pl.concat([held, frame]).sort("arrival_s", maintain_order=True)
            out, held = both[:rows], both[rows:]
        else:
            out, held = held, frame
        if out["arrival_s"][0] < latest:
            raise OutOfOrderError(f"{where}: its rows are far out of order")
        latest = out["arrival_s"][-1]
        yield out
    if held is not None:
        if held["arrival_s"][0] < latest:
            raise OutOfOrderError(f"{where}: its rows are far out of order")
        yield held


class SortedRuns:
    """Frames in files of a folder, each sorted, and from them all rows in order. A full disk is an OutputError.

    Some rows of every file are kept in memory: one in 256 times, which is what it takes to know where in each file the
    next rows are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marks: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
        self.rows: list[int] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Keep a frame in a file of its own."""
        frame = by_time(frame)
        with faults_of(self.folder):
            frame.write_parquet(self._file(len(self.rows)), compression_level=1, row_group_size=2**15)
        self.rows.append(frame.height)
        self.marks.append(frame["arrival_s"].to_numpy()[::_MARK_EVERY].copy())

    @property
    def bytes(self) -> int:
        """How much the files hold."""
        return sum(self._file(i).stat().st_size for i in range(len(self.rows)))

    def in_order(self, rows: int = RUN_ROWS // 2) -> Generator[pl.DataFrame, None, None]:
        """All rows, in frames of about ``rows`` that follow each other in time; those of one time are in one frame."""
        marks = np.sort(np.concatenate(self.marks))
        step = max(rows // _MARK_EVERY, 1)
        edges = np.unique(np.append(marks[step::step], np.inf))
        low = -np.inf
        for high in edges:
            parts = [self._between(i, low, high) for i in range(len(self.rows))]
            yield pl.concat(parts).sort("arrival_s", maintain_order=True)
            low = high

    def _between(self, i: int, low: float, high: float) -> pl.DataFrame:
        """The rows of file ``i`` from ``low`` on and before ``high``."""
        first = max(int(np.searchsorted(self.marks[i], low)) - 1, 0) * _MARK_EVERY
        behind = min(int(np.searchsorted(self.marks[i], high)) * _MARK_EVERY, self.rows[i])
        part = pl.scan_parquet(self._file(i), glob=False).slice(first, max(behind - first, 0)).collect()
        return part.filter((pl.col("arrival_s") >= low) & (pl.col("arrival_s") < high))

    def _file(self, i: int) -> Path:
        return self.folder / f"run-{i}.parquet"
