"""The workload of a run: read as often as it is needed, a block at a time, without the readers where it is our own.

Our own Parquet is read as it is. Any other trace is read once, by :mod:`groundswell.formats.reading`, into temporary
Parquet: it is in order then, its clients are known, and nothing is parsed while the clock runs.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.errors import DataError
from groundswell.table import COLUMNS, PARQUET, Workload, client_column, parquet_noted
from groundswell.whole_file import faults_of

if TYPE_CHECKING:
    from groundswell.formats.reading import Trace

    Through = Callable[[Trace, Callable[[Iterable[Workload]], int]], int]
    """Goes through a trace's blocks once, in order, again where they have to be sorted first."""

PIECE_ROWS = 2**17
"""So many rows are read at a time; fewer where they have long lists."""
_PIECE_VALUES = 2**22
_SAMPLE_ROWS = 2**10
_ARRIVALS = 2**20

NAMED = ("client", "input_tokens", "output_tokens", "conversation", "turn", "model")
"""What the results repeat of a workload."""


@dataclass(frozen=True)
class Piece:
    """Some rows, and where they begin and end."""

    row: int
    rows: int
    first_s: float
    last_s: float
    frame: pl.LazyFrame


class _Folder:
    """A temporary folder, there until it is removed, or nobody holds it any more."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="groundswell-"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, eq=False)
class Source:
    """Requests in order of arrival, their rows counted from 0; as often as they are asked for.

    ``columns`` are those of a workload that there are. What is read is not checked, but for the arrivals' order.
    """

    name: str
    """What errors call it."""
    columns: tuple[str, ...]
    clients: tuple[str, ...]
    metadata: Mapping[str, Any]
    pieces: tuple[Piece, ...]
    trace: Trace | None = None
    """Where it was read by :mod:`groundswell.formats.reading`: has notes, and what was skipped."""
    folder: _Folder | None = field(default=None, repr=False)
    """Where it is kept meanwhile."""

    @property
    def requests(self) -> int:
        """The number of rows."""
        return sum(piece.rows for piece in self.pieces)

    def blocks(
        self,
        columns: Collection[str],
        from_s: float = -inf,
        until_s: float = inf,
        skip: NDArray[np.bool_] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Frames of ``row`` (i64), ``arrival_s``, and those of ``columns`` that there are; ``client`` as a number.

        Only of requests that arrive from ``from_s`` on and before ``until_s``, and that ``skip``, by row, does not
        mark. Raises DataError for a file that cannot be read any more.
        """
        names = ["arrival_s", *(name for name in self.columns if name in columns and name != "arrival_s")]
        for piece in self.pieces:
            if piece.last_s < from_s or piece.first_s >= until_s:
                continue
            yield _kept(piece.row, self._read(piece.frame.select(map(_numbered, names))), from_s, until_s, skip)

    def named(self, until_s: float = inf) -> Iterator[pl.DataFrame]:
        """Frames of ``row`` and :data:`NAMED`, as far as there are, ``client`` as a category of all clients."""
        for frame in self.blocks(NAMED, until_s=until_s):
            yield frame.drop("arrival_s").with_columns(client_column(frame["client"].to_numpy(), self.clients))

    def close(self) -> None:
        """Remove temporary files, if there are any; nothing can be read afterwards."""
        if self.folder is not None:
            self.folder.remove()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, frame: pl.LazyFrame) -> pl.DataFrame:
        try:
            return frame.collect()
        except (pl.exceptions.PolarsError, OSError) as fault:
            raise DataError(f"{self.name}: cannot be read: {' '.join(str(fault).split())[:200]}") from None


def opened(
    path: str | Path,
    format: str | None = None,  # noqa: A002 (the word for it)
    *,
    through: Through | None = None,
    **how: Any,
) -> Source:
    """The workload in a file: our own, or a trace in any of the formats.

    ``format`` and ``how`` are what :func:`groundswell.formats.reading.read` takes; with none of them our own Parquet is
    read as it is. ``through`` goes through another trace once (for progress and Ctrl-C), by default
    :func:`groundswell.formats.reading.in_order` does. Raises UsageError for what cannot be meant, DataError for what is
    no trace.
    """
    path = Path(path)
    asked = format is not None or any(value not in (None, False, "stop") for value in how.values())
    own = None if asked else _own(path)
    if own is not None:
        return own
    from groundswell.formats.reading import read

    return of_trace(read(path, format, block_rows=PIECE_ROWS, **how), through)


def held(workload: Workload, name: str = "workload") -> Source:
    """A workload that is in memory. Raises DataError where its arrivals are not in order."""
    frame = workload.checked(name).frame
    rows = _piece_rows(frame.lazy(), frame.columns, len(workload))
    arrival = workload.arrival_s
    pieces = [
        Piece(at, part.size, float(part[0]), float(part[-1]), frame.slice(at, rows).lazy())
        for at in range(0, arrival.size, rows)
        for part in [arrival[at : at + rows]]
    ]
    return Source(name, tuple(frame.columns), workload.clients, workload.metadata, tuple(pieces))


def of_trace(trace: Trace, through: Through | None = None) -> Source:
    """The workload of a trace, kept in temporary files until the source is closed, or nobody holds it any more."""
    from groundswell.formats.reading import in_order

    folder = _Folder()
    pieces: list[Piece] = []
    latest: list[Workload] = []

    def copy(blocks: Iterable[Workload]) -> int:
        pieces.clear()
        row = 0
        for block in blocks:
            place = folder.path / f"{len(pieces)}.parquet"
            with faults_of(place):
                block.frame.with_columns(_numbered("client")).write_parquet(place, **PARQUET)
            first_s, last_s = (float(block.frame["arrival_s"][at]) for at in (0, -1))
            pieces.append(Piece(row, len(block), first_s, last_s, pl.scan_parquet(place, glob=False)))
            row += len(block)
            latest[:] = [Workload(block.frame.clear(), block.metadata)]
        return row

    try:
        in_order(trace, copy) if through is None else through(trace, copy)
    except BaseException:
        folder.remove()
        raise
    last = latest[0]
    columns = tuple(last.frame.columns)
    return Source(str(trace.path), columns, last.clients, trace.metadata, tuple(pieces), trace, folder)


def _own(path: Path) -> Source | None:
    """A Parquet file whose columns are a workload's and no others, and in order; None for anything else."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return None
    frame = pl.scan_parquet(path, glob=False)
    try:
        clients = Workload(pl.DataFrame(schema=frame.collect_schema())).clients
        rows = int(frame.select(pl.len()).collect().item())
        columns = tuple(frame.collect_schema())
        pieces = _pieces(frame, rows, _piece_rows(frame, columns, rows))
    except (DataError, pl.exceptions.PolarsError, OSError):
        return None
    return None if pieces is None else Source(str(path), columns, clients, parquet_noted(path), pieces)


def _pieces(frame: pl.LazyFrame, rows: int, each: int) -> tuple[Piece, ...] | None:
    """The rows of a file in pieces of ``each``; None where arrivals are not numbers from 0 on in order, or none."""
    pieces: list[Piece] = []
    latest_s = 0.0
    step = max(_ARRIVALS // each, 1) * each
    for begin in range(0, rows, step):
        arrival = frame.slice(begin, step).select("arrival_s").collect()["arrival_s"]
        time_s = arrival.to_numpy()
        if arrival.null_count() or time_s[0] < latest_s or not (time_s[1:] >= time_s[:-1]).all():
            return None
        latest_s = float(time_s[-1])
        for at in range(0, time_s.size, each):
            part = time_s[at : at + each]
            pieces.append(
                Piece(begin + at, part.size, float(part[0]), float(part[-1]), frame.slice(begin + at, part.size))
            )
    return tuple(pieces) if pieces and latest_s < inf else None


def _piece_rows(frame: pl.LazyFrame, columns: Collection[str], rows: int) -> int:
    """How many rows to read at a time, by the lists that some of them have."""
    lists = [pl.col(name).list.len().sum() for name in columns if isinstance(COLUMNS[name], pl.List)]
    if not lists or not rows:
        return PIECE_ROWS
    sample = frame.slice(rows // 2, _SAMPLE_ROWS).select(lists).collect().row(0)
    each = sum(sample) / min(_SAMPLE_ROWS, rows - rows // 2)
    return min(PIECE_ROWS, max(_SAMPLE_ROWS, int(_PIECE_VALUES / max(each, 1.0))))


def _numbered(name: str) -> pl.Expr:
    return pl.col(name).to_physical().cast(pl.UInt32) if name == "client" else pl.col(name)


def _kept(row: int, frame: pl.DataFrame, from_s: float, until_s: float, skip: NDArray[np.bool_] | None) -> pl.DataFrame:
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
