"""A trace: the rows of a file as blocks of a workload, in order, as often as they are asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from groundswell.formats.layout import Layout
from groundswell.formats.reading import order
from groundswell.formats.reading.check import checked
from groundswell.formats.reading.clock import Clock
from groundswell.formats.reading.csv_rows import CsvRows
from groundswell.formats.reading.json_rows import JsonRows
from groundswell.formats.reading.order import OutOfOrderError, SortedRuns, gathered, in_reach
from groundswell.formats.reading.outcome import BadRows, Judge, Reading, Rows
from groundswell.formats.reading.parquet_rows import ParquetRows
from groundswell.formats.reading.roster import NAMELESS, Roster
from groundswell.formats.reading.source import Source
from groundswell.table import Workload

Result = TypeVar("Result")

_Reader = Callable[[Source, Mapping[str, pl.DataType]], Rows]
_ROWS: dict[str, _Reader] = {"csv": CsvRows, "jsonl": JsonRows, "json": JsonRows, "parquet": ParquetRows}
_FAR_S = 1e8
"""So far from 0, as Unix time is, a float holds some tenths of a microsecond; what it has beyond is dropped."""
_FIRST = ("arrival_s", "client", "input_tokens", "output_tokens")


@dataclass(frozen=True)
class _Pass:
    """One reading of the file: frames of checked rows as they come, whose clients are numbers of ``roster``."""

    frames: Generator[pl.DataFrame, None, None]
    roster: Roster
    reading: Reading


class Trace:
    """A file's requests in blocks, read anew each time they are iterated.

    ``reading`` and ``metadata`` say what is known before and, as they are filled meanwhile, all of it afterwards.
    Iterating raises DataError for a row that cannot be meant, and :class:`OutOfOrderError` for one that is too far from
    its place: give what iterates to :func:`in_order`.
    """

    def __init__(
        self,
        source: Source,
        format: str,  # noqa: A002 (the word for it)
        layout: Callable[[], Layout],
        *,
        bad_rows: BadRows = "stop",
        dequantise: bool = False,
        block_rows: int = order.FRAME_ROWS,
        sure_of_unit: bool = False,
    ) -> None:
        known = layout()
        self.path = source.path
        self.format = format
        self.reading = Reading(notes=known.notes)
        self.metadata: dict[str, Any] = {**known.metadata, "source": source.path.name, "format": format}
        self._zero_unix_s = 0.0 if self.metadata.pop("dated", False) else self.metadata.get("start_unix_s")
        self._source = source
        self._layout = layout
        self.place = source.place
        self._judge = Judge(source.path, bad_rows, self.place)
        self._clock = Clock(str(source.path), known.names, dequantise, sure_of_unit or self._zero_unix_s is not None)
        self._block_rows = block_rows
        self._folder: Path | None = None
        self._spilled: tuple[SortedRuns, _Pass] | None = None
        self._clients: pl.Series | None = None

    @property
    def expected_rows(self) -> float:
        """A guess at the number of rows, from the file's size."""
        return self._source.expected_rows

    def __iter__(self) -> Iterator[Workload]:
        through = self._through()
        self.reading = reading = through.reading
        span: list[float] = []
        frames = gathered(through.frames, max(order.FRAME_ROWS, self._block_rows))
        clocked = self._clock.told(frames, reading, self.metadata)
        with closing(through.frames):
            for frame in in_reach(clocked, str(self.path), reading):
                span = [*span[:1], float(frame["arrival_s"][0]), float(frame["arrival_s"][-1])]
                if self._zero_unix_s is not None:
                    self.metadata["start_unix_s"] = self._zero_unix_s + span[0]
                for rows in frame.iter_slices(self._block_rows):
                    reading.rows += rows.height
                    yield self._block(rows, span[0], through.roster)
        self._judge.expect_rows(reading)
        if reading.rows > 1 and span[0] == span[-1]:
            reading.note(f"All {reading.rows:,} rows have the same time, so nothing can be said of when requests come.")
        if through.roster.nameless:
            reading.note(f"{through.roster.nameless:,} rows name no client; together they are the client {NAMELESS!r}.")

    def learn_clients(self, blocks: Iterable[Workload]) -> None:
        """Read ``blocks``, all of this trace's, so that from then on each block knows all clients."""
        latest: Workload | None = None
        for latest in blocks:  # noqa: B007 (the last block knows all)
            pass
        if latest is not None:
            self._clients = pl.Series(latest.clients, dtype=pl.String)

    def _block(self, rows: pl.DataFrame, origin_s: float, roster: Roster) -> Workload:
        arrival_s = rows["arrival_s"].to_numpy() - origin_s
        if abs(origin_s) > _FAR_S:
            arrival_s = np.round(arrival_s, 7)
        arrival = pl.Series("arrival_s", arrival_s)
        frame = rows.drop("line").with_columns(arrival, roster.column(rows["client"]))
        return Workload(frame.select(*_FIRST, pl.exclude(_FIRST)), self.metadata)

    def _through(self) -> _Pass:
        if self._folder is None:
            return self._read()
        if self._spilled is None:
            self._spilled = self._spill(self._folder)
        runs, spilled = self._spilled
        return _Pass(runs.in_order(), spilled.roster, replace(spilled.reading))

    def _read(self) -> _Pass:
        layout = self._layout()
        given = layout.raw.get(layout.names.get("client", ""))
        roster = Roster(given.categories if self._clients is None and isinstance(given, pl.Enum) else self._clients)
        reading = Reading(notes=layout.notes)

        def frames() -> Generator[pl.DataFrame, None, None]:
            with closing(iter(_ROWS[self._source.head.kind](self._source, layout.raw))) as parts:
                for i, (raw, unread) in enumerate(parts):
                    meant = layout.rows(raw)
                    if i == 0:
                        self._clock.expect_seconds(meant["arrival_s"])
                    rows, wrong = checked(meant, raw, layout.names)
                    self._judge.refuse([*unread, *wrong], reading)
                    client = rows["client"] if "client" in rows.columns else None
                    yield rows.with_columns(roster.codes(client, rows.height).alias("client"))

        return _Pass(frames(), roster, reading)

    def _spill(self, folder: Path) -> tuple[SortedRuns, _Pass]:
        """All rows in files of ``folder``, to be read in order."""
        runs, through = SortedRuns(folder), self._read()
        for frame in gathered(through.frames, order.RUN_ROWS):
            runs.add(frame)
        size = f"{runs.bytes / 1e6:,.0f} MB"
        through.reading.note(f"Rows were far out of order; they were sorted through temporary files of {size}.")
        return runs, through


def in_order(trace: Trace, work: Callable[[Trace], Result]) -> Result:
    """What ``work`` makes of ``trace``; if its rows turn out to be far out of order, again after sorting them all.

    Sorting takes temporary files of about the size of the trace as Parquet, not memory. They are gone afterwards.
    """
    try:
        return work(trace)
    except OutOfOrderError:
        pass
    with tempfile.TemporaryDirectory(prefix="groundswell-") as folder:
        trace._folder = Path(folder)
        try:
            return work(trace)
        finally:
            trace._folder = trace._spilled = None
