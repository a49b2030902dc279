"""Sinks of text: a table a block, as lines of JSON or of CSV."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import polars as pl

from groundswell.table import ITEM_COLUMNS, Workload

Rows = Callable[[Workload], pl.DataFrame]
MICROSECONDS = 6
"""Decimals of a second, where a format's times are text: no tool waits more exactly."""


class TextSink:
    """A file of lines; ``rows`` makes a block's columns those of the format."""

    def __init__(self, place: Path, rows: Rows) -> None:
        self.rows = rows
        self.notes: list[str] = []
        self.file: IO[bytes] = place.open("wb")

    def add(self, block: Workload) -> None:
        """Write the rows of ``block``."""
        self.put(self.rows(block))

    def put(self, table: pl.DataFrame) -> None:
        """Write the rows of ``table``."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what is still held, and close the file."""
        self.file.close()

    def abort(self) -> None:
        """Close the file, with whatever it holds."""
        with suppress(OSError):  # it is being removed because of such a fault
            self.file.close()


class JsonLines(TextSink):
    """One object a line."""

    def put(self, table: pl.DataFrame) -> None:
        """Write the rows of ``table``."""
        table.write_ndjson(self.file)


class LeanJsonLines(TextSink):
    """One object a line, of what a row has: a number or list that is null is left out, if it is not the last column."""

    def put(self, table: pl.DataFrame) -> None:
        """Write the rows of ``table``, whose texts hold no quotes."""
        lines = io.BytesIO()
        table.write_ndjson(lines)
        text = lines.getvalue()
        for name in table.columns[:-1]:
            if table[name].null_count():
                text = text.replace(f'"{name}":null,'.encode(), b"")
        self.file.write(text)


class CsvLines(TextSink):
    """One header, then one line a row."""

    def __init__(self, place: Path, rows: Rows, line_end: str = "\n", datetime_format: str | None = None) -> None:
        super().__init__(place, rows)
        self.line_end = line_end
        self.datetime_format = datetime_format
        self.begun = False

    def put(self, table: pl.DataFrame) -> None:
        """Write the rows of ``table``."""
        table.write_csv(
            self.file,
            include_header=not self.begun,
            line_terminator=self.line_end,
            datetime_format=self.datetime_format,
        )
        self.begun = True


def second(decimals: int = MICROSECONDS) -> pl.Expr:
    """The time of arrival in seconds, rounded; rounding keeps the order."""
    return pl.col("arrival_s").round(decimals)


def input_length(block: Workload) -> pl.Expr:
    """All input tokens of a request: its text, and its items of every kind, for formats that know one input length."""
    items = [pl.col(name).list.sum().cast(pl.Int64) for name in ITEM_COLUMNS if name in block.frame.columns]
    return pl.sum_horizontal(pl.col("input_tokens").cast(pl.Int64), *items)
