"""Our own columns as Parquet, with where they come from: the one format that keeps everything."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from polars.io.plugins import register_io_source

from groundswell.errors import DataError
from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats._kept import EVERYTHING
from groundswell.formats.layout import Head, Layout
from groundswell.formats.layout.mapped import mapped, ours
from groundswell.table import PARQUET, Workload, parquet_metadata, parquet_noted

_AHEAD = 2  # blocks that wait for the writer: enough that neither side stands still


@FORMATS.register("parquet")
@dataclass(frozen=True)
class Parquet:
    """Every column as it is, and the metadata."""

    ending: ClassVar[str] = ".parquet"
    reader: ClassVar[str] = "groundswell, polars, pandas, DuckDB"
    command: ClassVar[str] = "duckdb -c \"select client, count(*) from 'trace.parquet' group by client\""
    keeps: ClassVar[tuple[str, ...]] = EVERYTHING
    prefixes: ClassVar[Prefixes] = "runs"
    coarser: ClassVar[tuple[str, ...]] = ()

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        return ParquetSink(place, metadata)

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether the file has our columns."""
        return head.kind == "parquet" and ours(head)

    def layout(self, head: Head) -> Layout:
        """How to read this file: columns of our names, others are passed over; and the metadata that we write."""
        layout = mapped(head, {})
        return replace(layout, metadata={**layout.metadata, **parquet_noted(head.path)})


class ParquetSink:
    """Hands blocks to polars' streaming writer, which pulls them and so runs in a thread of its own.

    The other way round, with the workload's blocks made in polars' thread, Ctrl-C would hit them wherever they are.
    """

    def __init__(self, place: Path, metadata: Mapping[str, Any]) -> None:
        self.place = place
        self.notes: list[str] = []
        self.metadata = parquet_metadata(metadata)
        self.schema: pl.Schema | None = None
        self.waiting: queue.Queue[pl.DataFrame | None] = queue.Queue(_AHEAD)
        self.thread = ThreadPoolExecutor(1, "parquet")
        self.written: Future[None] | None = None
        place.open("wb").close()  # a place that cannot be written to is found before the first block is made

    def add(self, block: Workload) -> None:
        """Write ``block`` behind what was added before. Waits while the writer is behind."""
        if self.schema is None:
            self.schema = block.frame.schema
            self.written = self.thread.submit(self._write)
        elif block.frame.schema != self.schema:
            raise DataError("workload: the blocks differ in their columns or in the clients they know")
        self._put(block.frame)

    def close(self) -> None:
        """Write what is still held, and close the file."""
        self._put(None)
        assert self.written is not None  # noqa: S101 (a block has been added)
        self.written.result()
        self.thread.shutdown()

    def abort(self) -> None:
        """Make the writer stop, and wait for that."""
        with suppress(queue.Empty):
            while True:
                self.waiting.get_nowait()
        self.waiting.put(None)
        self.thread.shutdown()

    def _put(self, frame: pl.DataFrame | None) -> None:
        assert self.written is not None  # noqa: S101 (see above)
        while True:
            try:
                return self.waiting.put(frame, timeout=0.1)
            except queue.Full:
                if self.written.done():  # it has failed, and will pull no more
                    return self.written.result()

    def _frames(self) -> Iterator[pl.DataFrame]:
        while (frame := self.waiting.get()) is not None:
            yield frame

    def _write(self) -> None:
        assert self.schema is not None  # noqa: S101 (see above)
        source = register_io_source(lambda *_: self._frames(), schema=self.schema)
        source.sink_parquet(self.place, metadata=self.metadata, maintain_order=True, **PARQUET)
