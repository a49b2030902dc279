"""Rows of a workload in pieces that are read one at a time, from their file or from temporary ones."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Collection
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.errors import DataError
from groundswell.replay._columns import runs_in
from groundswell.table import COLUMNS, PARQUET, list_column
from groundswell.whole_file import faults_of

PIECE_ROWS = 2**17
"""So many rows are read at a time; fewer where they have long lists."""
CUT_ROWS = 2**13
"""So many are, where prefix blocks are made runs."""
_PIECE_VALUES = 2**22
_SAMPLE_ROWS = 2**10
_ARRIVAL_PIECES = 4

UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What polars raises for a file that it cannot read, or not any more."""


@dataclass(frozen=True)
class Piece:
    """Some rows, and where they begin and end."""

    row: int
    rows: int
    first_s: float
    last_s: float
    frame: pl.LazyFrame


class Copy:
    """Rows in files of a temporary folder, there until it is removed, or nobody holds it any more."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = Path(tempfile.mkdtemp(prefix="groundswell-"))
        self.pieces: list[Piece] = []
        self.remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def begin(self) -> None:
        """Forget what was added before."""
        self.pieces.clear()

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows that come after those before, in files that are each read whole."""
        row = self.pieces[-1].row + self.pieces[-1].rows if self.pieces else 0
        frame = _in_runs(frame.with_columns(numbered("client")), row, self.name)
        for part in frame.iter_slices(piece_rows(frame.lazy(), frame.columns, frame.height)):
            place = self._folder / f"{len(self.pieces)}.parquet"
            with faults_of(place):
                part.write_parquet(place, **PARQUET)
            self.pieces.append(piece_of(row, part["arrival_s"].to_numpy(), pl.scan_parquet(place, glob=False)))
            row += part.height


def pieces_of(frame: pl.LazyFrame, rows: int) -> tuple[Piece, ...] | None:
    """The rows of a file in pieces; None where arrivals are not numbers from 0 on in order, or there are none."""
    pieces: list[Piece] = []
    latest_s = 0.0
    step = _ARRIVAL_PIECES * PIECE_ROWS
    for begin in range(0, rows, step):
        arrival = frame.slice(begin, step).select("arrival_s").collect()["arrival_s"]
        time_s = arrival.to_numpy()
        if arrival.null_count() or time_s[0] < latest_s or not (time_s[1:] >= time_s[:-1]).all():
            return None
        latest_s = float(time_s[-1])
        for at in range(0, time_s.size, PIECE_ROWS):
            part = time_s[at : at + PIECE_ROWS]
            pieces.append(piece_of(begin + at, part, frame.slice(begin + at, part.size)))
    return tuple(pieces) if pieces and latest_s < inf else None


def piece_of(row: int, arrival_s: NDArray[np.float64], frame: pl.LazyFrame) -> Piece:
    """The piece of ``frame``, whose arrivals are known."""
    return Piece(row, arrival_s.size, float(arrival_s[0]), float(arrival_s[-1]), frame)


def piece_rows(frame: pl.LazyFrame, columns: Collection[str], rows: int) -> int:
    """How many rows to read at a time, by the lists that some of them have."""
    lists = [pl.col(name).list.len().sum() for name in columns if isinstance(COLUMNS[name], pl.List)]
    if not lists or not rows:
        return PIECE_ROWS
    sample = frame.slice(rows // 2, _SAMPLE_ROWS).select(lists).collect().row(0)
    each = sum(sample) / min(_SAMPLE_ROWS, rows - rows // 2)
    return min(PIECE_ROWS, max(_SAMPLE_ROWS, int(_PIECE_VALUES / max(each, 1.0))))


def kept(row: int, frame: pl.DataFrame, from_s: float, until_s: float, skip: NDArray[np.bool_] | None) -> pl.DataFrame:
    """The rows of ``frame``, which begins with row number ``row``, that are wanted."""
    low, high = np.searchsorted(frame["arrival_s"].to_numpy(), [from_s, until_s]).tolist()
    frame = frame.slice(low, high - low)
    numbers = np.arange(row + low, row + high)
    frame = frame.insert_column(0, pl.Series("row", numbers))
    if skip is None or not skip[row + low : row + high].any():
        return frame
    wanted = np.ones(numbers.size, np.bool_)
    marked = skip[row + low : row + high]
    wanted[: marked.size] = ~marked
    return frame.filter(pl.Series(wanted))


def _in_runs(frame: pl.DataFrame, row: int, where: str) -> pl.DataFrame:
    """``frame``, which begins with ``row``, with its prefix blocks in runs: ids of a long prompt are thousands."""
    if "prefix_blocks" not in frame.columns:
        return frame
    runs = [runs_in(part, where) for part in frame.with_row_index("row", row).iter_slices(CUT_ROWS)]
    columns = [list_column("prefix_runs", of.count * of.width, of.value) for of in runs]
    return frame.drop("prefix_blocks").with_columns(pl.concat(columns))


def unreadable(name: str | Path, fault: BaseException) -> DataError:
    """What to raise where a file cannot be read."""
    return DataError(f"{name}: cannot be read: {' '.join(str(fault).split())[:200]}")


def numbered(name: str) -> pl.Expr:
    """A column, clients as their numbers: a frame with 100,000 names in its type is slow to handle."""
    return pl.col(name).to_physical().cast(pl.UInt32) if name == "client" else pl.col(name)
