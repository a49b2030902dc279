"""The workload of a run: read as often as it is needed, a block at a time, without the readers where it is our own.

Our own Parquet is read as it is. Any other trace is read once, by :mod:`groundswell.formats.reading`, into temporary
Parquet: it is in order then, its clients are known, and nothing is parsed while the clock runs. What has long lists is
kept so, too, as a slice of a Parquet file is read by way of the whole row groups that it is in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.errors import DataError
from groundswell.replay import _pieces
from groundswell.replay._pieces import (
    CUT_ROWS,
    UNREADABLE,
    Copy,
    Piece,
    kept,
    numbered,
    piece_of,
    piece_rows,
    pieces_of,
    unreadable,
)
from groundswell.table import Workload, client_column, parquet_noted

if TYPE_CHECKING:
    from groundswell.formats.reading import Trace

    Through = Callable[[Trace, Callable[[Iterable[Workload]], int]], int]
    """Goes through a trace's blocks once, in order, again where they have to be sorted first."""

NAMED = ("client", "input_tokens", "output_tokens", "conversation", "turn", "model")
"""What the results repeat of a workload."""


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
    copy: Copy | None = field(default=None, repr=False)
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
            yield kept(piece.row, self._read(piece.frame.select(map(numbered, names))), from_s, until_s, skip)

    def named(self, until_s: float = inf) -> Iterator[pl.DataFrame]:
        """Frames of ``row``, ``arrival_s`` and those of :data:`NAMED` that there are, ``client`` as a category of all
        clients."""
        for frame in self.blocks(NAMED, until_s=until_s):
            yield frame.with_columns(client_column(frame["client"].to_numpy(), self.clients))

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
        except UNREADABLE as fault:
            raise unreadable(self.name, fault) from None


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

    return of_trace(read(path, format, block_rows=_pieces.PIECE_ROWS, **how), through)


def held(workload: Workload, name: str = "workload") -> Source:
    """A workload that is in memory. Raises DataError where its arrivals are not in order."""
    frame = workload.checked(name).frame
    rows = piece_rows(frame.lazy(), frame.columns, len(workload))
    arrival = workload.arrival_s
    pieces = [
        piece_of(at, arrival[at : at + rows], frame.slice(at, rows).lazy()) for at in range(0, arrival.size, rows)
    ]
    return Source(name, tuple(frame.columns), workload.clients, workload.metadata, tuple(pieces))


def of_trace(trace: Trace, through: Through | None = None) -> Source:
    """The workload of a trace, kept in temporary files until the source is closed, or nobody holds it any more."""
    from groundswell.formats.reading import in_order

    copy = Copy(str(trace.path))
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
    return _copied(copy, latest[0].clients, trace.metadata, trace)


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
        pieces = pieces_of(frame, rows)
        short = piece_rows(frame, schema, rows) == _pieces.PIECE_ROWS
    except (DataError, *UNREADABLE):
        return None
    if pieces is None:
        return None
    metadata = parquet_noted(path)
    return Source(str(path), tuple(schema), clients, metadata, pieces) if short else _cut(path, clients, metadata)


def _cut(path: Path, clients: tuple[str, ...], metadata: Mapping[str, Any]) -> Source:
    """Our own Parquet in small files."""
    copy = Copy(str(path))
    frame = pl.scan_parquet(path, glob=False).with_columns(numbered("client"))
    try:
        for part in frame.collect_batches(chunk_size=CUT_ROWS, maintain_order=True):
            copy.add(part)
    except UNREADABLE as fault:
        raise unreadable(path, fault) from None
    return _copied(copy, clients, metadata)


def _copied(copy: Copy, clients: tuple[str, ...], metadata: Mapping[str, Any], trace: Trace | None = None) -> Source:
    """All that was added to ``copy``."""
    columns = tuple(copy.pieces[0].frame.collect_schema())
    return Source(copy.name, columns, clients, metadata, tuple(copy.pieces), trace, copy)
