"""Columns by the names a person gives them, inside objects too."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats.layout import Head


@dataclass(frozen=True)
class Column:
    """A column of a file, or a value in the objects of one: ``("usage", "prompt_tokens")``."""

    path: tuple[str, ...]
    there: bool
    """Whether the head of the file has it."""

    def add_to(self, raw: MutableMapping[str, pl.DataType], dtype: pl.DataType) -> None:
        """Have it read as ``dtype``, besides what ``raw`` already says."""
        first, *inner = self.path
        raw[first] = _with(raw.get(first), tuple(inner), dtype)

    @property
    def value(self) -> pl.Expr:
        """Its values."""
        first, *inner = self.path
        return reduce(lambda column, name: column.struct.field(name), inner, pl.col(first))

    def of(self, row: Mapping[str, Any]) -> Any:
        """Its value in a row of the head, None if there is none."""
        found: Any = row
        for name in self.path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found


def column_of(head: Head, name: str) -> Column:
    """The column called ``name``; if there is none and the name has dots, the value inside objects it leads to."""
    if name in head.columns or "." not in name or head.kind not in ("json", "jsonl"):
        return Column((name,), name in head.columns)
    column = Column(tuple(name.split(".")), there=True)
    return Column(column.path, any(column.of(row) is not None for row in head.first))


def need(head: Head, *names: str) -> None:
    """Raises UsageError if the file lacks one of the columns."""
    missing = [name for name in names if name not in head.columns]
    if missing:
        raise UsageError(f"{head.path}: has no column {missing[0]!r}; it has {shown_columns(head.columns)}")


def printable(text: str) -> str:
    """``text`` from a file, fit to be shown: what would move the cursor or worse is written as an escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shown_columns(columns: Sequence[str], most: int = 12) -> str:
    """Names of columns for an error's text, shortened if they are many or long."""
    names = [printable(name if len(name) <= 40 else name[:39] + "…") for name in columns[:most]]
    return ", ".join(names) + (", …" if len(columns) > most else "") if names else "no columns"


def _with(dtype: pl.DataType | None, inner: tuple[str, ...], value: pl.DataType) -> pl.DataType:
    """``dtype`` with ``value`` at ``inner``, as nested structs."""
    if not inner:
        return value
    fields = {f.name: f.dtype for f in dtype.fields} if isinstance(dtype, pl.Struct) else {}
    fields[inner[0]] = _with(fields.get(inner[0]), inner[1:], value)  # type: ignore[arg-type]
    return pl.Struct(fields)
