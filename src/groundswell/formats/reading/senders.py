"""Another column as the client: a model, an API key, a kind of traffic."""

from __future__ import annotations

import dataclasses

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats._ids import KEYS, said_of, shown
from groundswell.formats.layout import Head, Layout
from groundswell.formats.layout.columns import Column, column_of, shown_columns
from groundswell.table import COLUMNS

BETWEEN = " + "


def by_sender(layout: Layout, head: Head, client_by: str) -> Layout:
    """``layout`` with the column ``client_by`` as the client, or several, joined by ``+``.

    A column of the file goes before one of a workload, such as ``model``, of the same name. Keys are shown as hashes.
    Raises UsageError where there is neither.
    """
    columns = _columns(head, client_by)
    raw = dict(layout.raw)
    given = [column for column in columns if isinstance(column, Column)]
    for column in given:
        if len(column.path) > 1 or column.path[0] not in raw or isinstance(raw[column.path[0]], pl.Enum):
            column.add_to(raw, pl.String())

    def rows(frame: pl.DataFrame) -> pl.DataFrame:
        out = layout.rows(frame)
        lacking = [column for column in columns if isinstance(column, str) and column not in out.columns]
        if lacking:
            raise UsageError(f"{head.path}: has no column {lacking[0]!r}; it has {shown_columns(head.columns)}")
        names = (shown(_text(column.value), _place(column)).alias(_name(column)) for column in given)
        named = frame.select("line", *names)
        if out.height == named.height and (out["line"] == named["line"]).all():
            out = out.with_columns(named.drop("line"))
        else:
            out = out.join(named.unique("line"), on="line", how="left", maintain_order="left")
        parts = [pl.col(_name(column)) if isinstance(column, Column) else _text(pl.col(column)) for column in columns]
        client = parts[0] if len(parts) == 1 else pl.concat_str([p.fill_null("-") for p in parts], separator=BETWEEN)
        return out.with_columns(client.alias("client")).drop(_name(column) for column in given)

    return dataclasses.replace(
        layout,
        raw=raw,
        rows=rows,
        metadata={**layout.metadata, "client_is": client_by},
        notes=(*(note for note in layout.notes if note != KEYS), *said_of(map(_place, given))),
    )


def _columns(head: Head, client_by: str) -> list[Column | str]:
    """What makes a client: columns of the file, or names of a workload's columns."""
    whole = column_of(head, client_by)
    if whole.there:
        return [whole]
    found: list[Column | str] = []
    for name in (part.strip() for part in client_by.split("+")):
        column = column_of(head, name)
        if not column.there and name not in COLUMNS:
            raise UsageError(
                f"{head.path}: has no column {name!r} to tell clients by; it has {shown_columns(head.columns)}"
            )
        found.append(column if column.there else name)
    return found


def _text(value: pl.Expr) -> pl.Expr:
    return value.cast(pl.String)


def _place(column: Column) -> str:
    return ".".join(column.path)


def _name(column: Column) -> str:
    return "by " + _place(column)
