"""The workload of a run: read as often as it is needed, a block at a time, without the readers where it is our own.

Our own Parquet is read as it is. Any other trace is read once, by :mod:`groundswell.formats.reading`, into temporary
Parquet: it is in order then, its clients are known, and nothing is parsed while the clock runs. What has long lists is
kept so, too, as a slice of a Parquet file is read by way of the whole row groups that it is in.
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
from groundswell.replay._columns import runs_in
from groundswell.table import COLUMNS, PARQUET, Workload, client_column, list_column, parquet_noted
from groundswell.whole_file import faults_of

if TYPE_CHECKING:
    from groundswell.formats.reading import Trace

    Through = Callable[[Trace, Callable[[Iterable[Workload]], int]], int]
    """Goes through a trace's blocks once, in order, again where they have to be sorted first."""

PIECE_ROWS = 2**17
"""So many rows are read at a time; fewer where they have long lists."""
_PIECE_VALUES = 2**22
_SAMPLE_ROWS = 2**10
_CUT_ROWS = 2**13
_ARRIVAL_PIECES = 4
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)

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


class _Copy:
    """Rows in files of a temporary folder, there until it is removed, or nobody holds it any more."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._folder = Path(tempfile.mkdtemp(prefix="groundswell-"))
        self.pieces: list[Piece] = []
        self.remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def begin(self) -> None:
        """Forget what was added before."""
        self.pieces.clear()

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows that come after those before, in files that are each read whole."""
        row = self.pieces[-1].row + self.pieces[-1].rows if self.pieces else 0
        frame = _in_runs(frame.with_columns(_numbered("client")), row, self._name)
        for part in frame.iter_slices(_piece_rows(frame.lazy(), frame.columns, frame.height)):
            place = self._folder / f"{len(self.pieces)}.parquet"
            with faults_of(place):
                part.write_parquet(place, **PARQUET)
            self.pieces.append(_piece(row, part["arrival_s"].to_numpy(), pl.scan_parquet(place, glob=False)))
            row += part.height

    def source(self, clients: tuple[str, ...], metadata: Mapping[str, Any], trace: Trace | None = None) -> Source:
        """All that was added."""
        columns = tuple(self.pieces[0].frame.collect_schema())
        return Source(self._name, columns, clients, metadata, tuple(self.pieces), trace, self)


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
    copy: _Copy | None = field(default=None, repr=False)
    """Where it is kept meanwhile, if it is not read from its own place."""

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
        if self.copy is not None:
            self.copy.remove()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, frame: pl.LazyFrame) -> pl.DataFrame:
        try:
            return frame.collect()
        except _UNREADABLE as fault:
            raise _unreadable(self.name, fault) from None


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
    pieces = [_piece(at, arrival[at : at + rows], frame.slice(at, rows).lazy()) for at in range(0, arrival.size, rows)]
    return Source(name, tuple(frame.columns), workload.clients, workload.metadata, tuple(pieces))


def of_trace(trace: Trace, through: Through | None = None) -> Source:
    """The workload of a trace, kept in temporary files until the source is closed, or nobody holds it any more."""
    from groundswell.formats.reading import in_order

    copy = _Copy(str(trace.path))
    latest: list[Workload] = []

    def work(blocks: Iterable[Workload]) -> int:
        copy.begin()
        for block in filter(len, blocks):
            copy.add(block.frame)
            latest[:] = [Workload(block.frame.clear())]
        return len(copy.pieces)

    try:
        in_order(trace, work) if through is None else through(trace, work)
    except BaseException:
        copy.remove()
        raise
    return copy.source(latest[0].clients, trace.metadata, trace)


def _own(path: Path) -> Source | None:
    """A Parquet file whose columns are a workload's and no others, and in order; None for anything else."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return None
    frame = pl.scan_parquet(path, glob=False)
    try:
        schema = frame.collect_schema()
        clients = Workload(pl.DataFrame(schema=schema)).clients
        rows = int(frame.select(pl.len()).collect().item())
        pieces = _pieces(frame, rows)
        short = _piece_rows(frame, schema, rows) == PIECE_ROWS
    except (DataError, *_UNREADABLE):
        return None
    if pieces is None:
        return None
    metadata = parquet_noted(path)
    return Source(str(path), tuple(schema), clients, metadata, pieces) if short else _cut(path, clients, metadata)


def _cut(path: Path, clients: tuple[str, ...], metadata: Mapping[str, Any]) -> Source:
    """Our own Parquet in small files."""
    copy = _Copy(str(path))
    frame = pl.scan_parquet(path, glob=False).with_columns(_numbered("client"))
    try:
        for part in frame.collect_batches(chunk_size=_CUT_ROWS, maintain_order=True):
            copy.add(part)
    except _UNREADABLE as fault:
        raise _unreadable(path, fault) from None
    return copy.source(clients, metadata)


def _in_runs(frame: pl.DataFrame, row: int, where: str) -> pl.DataFrame:
    """``frame``, which begins with ``row``, with its prefix blocks in runs: ids of a long prompt are thousands."""
    if "prefix_blocks" not in frame.columns:
        return frame
    parts = (part.with_row_index("row", row) for part in frame.iter_slices(_CUT_ROWS))
    runs = [runs_in(part, where) for part in parts]
    columns = [list_column("prefix_runs", of.count * of.width, of.value) for of in runs]
    return frame.drop("prefix_blocks").with_columns(pl.concat(columns))


def _pieces(frame: pl.LazyFrame, rows: int) -> tuple[Piece, ...] | None:
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
            pieces.append(_piece(begin + at, part, frame.slice(begin + at, part.size)))
    return tuple(pieces) if pieces and latest_s < inf else None


def _piece(row: int, arrival_s: NDArray[np.float64], frame: pl.LazyFrame) -> Piece:
    return Piece(row, arrival_s.size, float(arrival_s[0]), float(arrival_s[-1]), frame)


def _piece_rows(frame: pl.LazyFrame, columns: Collection[str], rows: int) -> int:
    """How many rows to read at a time, by the lists that some of them have."""
    lists = [pl.col(name).list.len().sum() for name in columns if isinstance(COLUMNS[name], pl.List)]
    if not lists or not rows:
        return PIECE_ROWS
    sample = frame.slice(rows // 2, _SAMPLE_ROWS).select(lists).collect().row(0)
    each = sum(sample) / min(_SAMPLE_ROWS, rows - rows // 2)
    return min(PIECE_ROWS, max(_SAMPLE_ROWS, int(_PIECE_VALUES / max(each, 1.0))))


def _unreadable(name: str | Path, fault: BaseException) -> DataError:
    return DataError(f"{name}: cannot be read: {' '.join(str(fault).split())[:200]}")


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
