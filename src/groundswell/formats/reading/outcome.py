"""What came of reading a file, besides its rows."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import polars as pl

from groundswell.errors import DataError
from groundswell.formats.layout.columns import printable

BadRows = Literal["stop", "skip"]
SHOWN = 10
"""So many of the skipped rows are kept, with their reasons."""

Bad = tuple[int, str]
"""A row that cannot be meant: where in the file it is, counted from 1, and what is wrong."""


class Rows(Protocol):
    """The rows of a file."""

    def __iter__(self) -> Generator[tuple[pl.DataFrame, list[Bad]], None, None]:
        """A frame of the raw columns and ``line`` for each part of it, and what could not be read."""


@dataclass
class Reading:
    """Rows read and skipped, and what a person should know of it; filled while the trace is read."""

    rows: int = 0
    skipped: int = 0
    first_skipped: tuple[Bad, ...] = ()
    """At most ten: the line (in Parquet the row) and what was wrong with it."""
    notes: tuple[str, ...] = ()
    tick_s: float | None = None
    """Arrivals are multiples of this, and it is long against the gaps between them."""

    def note(self, text: str) -> None:
        """Add a sentence, once."""
        if text not in self.notes:
            self.notes = (*self.notes, text)

    def note_late(self) -> None:
        """Say that rows were moved."""
        self.note("Some rows were out of order; they were put in order of time.")


@dataclass(frozen=True)
class Judge:
    """What happens with rows that cannot be meant: the first one ends the reading, or they are counted."""

    path: Path
    policy: BadRows
    place: str
    """What a row's number counts: lines, rows or items."""

    def refuse(self, bad: list[Bad], reading: Reading) -> None:
        """Raise DataError at the first of ``bad``, or count them."""
        if not bad:
            return
        bad = sorted((number, printable(reason)) for number, reason in bad)
        if self.policy == "stop":
            number, reason = bad[0]
            raise DataError(f"{self.path}, {self.place} {number}: {reason}")
        reading.skipped += len(bad)
        reading.first_skipped = (*reading.first_skipped, *bad)[:SHOWN]

    def expect_rows(self, reading: Reading) -> None:
        """Raise DataError if nothing was read."""
        if reading.rows:
            return
        if reading.skipped:
            number, reason = reading.first_skipped[0]
            raise DataError(
                f"{self.path}: none of its {reading.skipped} rows can be read; {self.place} {number}: {reason}"
            )
        raise DataError(f"{self.path}: holds no rows")
