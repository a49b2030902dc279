"""Parquet in batches, whatever the size of its row groups."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping

import polars as pl

from groundswell.errors import DataError
from groundswell.formats.reading.ahead import ahead
from groundswell.formats.reading.check import UNPARSED
from groundswell.formats.reading.outcome import Bad
from groundswell.formats.reading.source import Source
from groundswell.formats.reading.values import NOT, fitting

BATCH_ROWS = 2**18


class ParquetRows:
    """The rows of a Parquet file: a frame of the raw columns and ``line``, the row's number from 1, for each batch.

    A column that is to stay an Enum comes as its numbers: a frame with 100,000 names in its type is slow to handle.
    """

    def __init__(self, source: Source, raw: Mapping[str, pl.DataType]) -> None:
        self.source = source
        self.raw = raw

    def __iter__(self) -> Generator[tuple[pl.DataFrame, list[Bad]], None, None]:
        return ahead(self._batches())

    def _batches(self) -> Iterator[tuple[pl.DataFrame, list[Bad]]]:
        there = [name for name in self.raw if name in self.source.head.types]
        file = pl.scan_parquet(self.source.path, glob=False).select(map(self._taken, there))
        row = 1
        try:
            for batch in file.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
                number = pl.int_range(row, row + batch.height, dtype=pl.UInt32, eager=True)
                row += batch.height
                yield self._cast(batch.insert_column(0, number.alias("line")))
        except (*UNPARSED, OSError) as fault:
            raise DataError(f"{self.source.path}: cannot be read: {' '.join(str(fault).split())[:200]}") from None

    def _taken(self, name: str) -> pl.Expr:
        kept = isinstance(self.raw[name], pl.Enum)
        return pl.col(name).to_physical().cast(pl.UInt32) if kept else pl.col(name)

    def _cast(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Bad]]:
        bad: list[Bad] = []
        given = frame.schema
        for name, dtype in self.raw.items():
            if name not in given:
                frame = frame.with_columns(pl.lit(None, dtype).alias(name))
            elif given[name].is_float() and dtype.is_integer():
                frame, wrong = fitting(frame, {name: dtype})
                bad += wrong
            elif given[name] != dtype and not isinstance(dtype, pl.Enum):
                frame, wrong = self._converted(frame, name, dtype)
                bad += wrong
        return frame, bad

    def _converted(self, frame: pl.DataFrame, name: str, dtype: pl.DataType) -> tuple[pl.DataFrame, list[Bad]]:
        try:
            cast = frame[name].cast(dtype, strict=False)
        except UNPARSED:
            raise DataError(f"{self.source.path}: column {name!r} is {frame.schema[name]}, not {NOT(dtype)}") from None
        lost = cast.is_null() & frame[name].is_not_null()
        if not lost.any():
            return frame.with_columns(cast), []
        rows = frame.filter(lost).select("line", name).iter_rows()
        bad = [(line, f"column {name!r} is {str(value)[:40]!r}, not {NOT(dtype)}") for line, value in rows]
        return frame.with_columns(cast).filter(~lost), bad
