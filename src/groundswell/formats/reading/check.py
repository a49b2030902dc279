"""From a format's rows to those of a workload: the types it has, and values that can be meant."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan

import polars as pl

from groundswell.formats.layout import REFUSED
from groundswell.formats.reading.outcome import Bad
from groundswell.table import COLUMNS, ITEM_COLUMNS

UNPARSED = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What polars raises on bytes that it cannot parse; some, few and odd ones, make it panic."""

LATEST_S = 1e11
"""No time of a request, in seconds: the year 5138."""
_LENGTHS = ("input_tokens", "output_tokens")
_NEEDED = ("arrival_s", *_LENGTHS)
_NEVER_WRONG = ("conversation", "model", "failed")
"""Columns that hold nothing wrong once they are of the right type."""
_WHAT = {
    "arrival_s": "a time (a number, or a date and time such as 2023-11-16 18:17:03)",
    "think_s": "a number of at least 0",
    "failed": "true or false",
    "model": "text",
}
_GIVEN = "given "


def checked(rows: pl.DataFrame, raw: pl.DataFrame, names: Mapping[str, str]) -> tuple[pl.DataFrame, list[Bad]]:
    """The rows of a layout that can be meant, in a workload's types, and why each of the others cannot.

    ``client`` stays as it is, or is absent; ``line`` is kept. ``names`` says which column of ``raw`` a value is from.
    """
    if REFUSED in rows.columns:
        unfit = rows.filter(pl.col(REFUSED).is_not_null()).select("line", REFUSED)
        good, bad = checked(rows.filter(pl.col(REFUSED).is_null()).drop(REFUSED), raw, names)
        return good, [*bad, *((int(line), why) for line, why in unfit.iter_rows())]
    given = rows.schema
    wanted = [name for name in COLUMNS if name in given]
    plain = [name for name in wanted if name != "client" and not _surely_meant(rows[name])]
    if not plain:
        return rows[["line", *wanted]], []
    other = [name for name in plain if given[name] != COLUMNS[name]]
    both = rows.select("line", *wanted, *(pl.col(name).alias(_GIVEN + name) for name in other))
    if other:
        both = both.with_columns(pl.col(name).cast(COLUMNS[name], strict=False) for name in other)
    wrong = {name: _wrong(name, given[name]) for name in plain}
    good = both.select("line", *wanted)
    if not any(both.select(mask.any().alias(name) for name, mask in wrong.items()).row(0)):
        return good, []
    masks = both.select(mask.alias(name) for name, mask in wrong.items())
    ok = ~masks.select(pl.any_horizontal(pl.all())).to_series()
    return good.filter(ok), _reasons(masks, rows, raw, names)


def _surely_meant(column: pl.Series) -> bool:
    """Whether the extremes of a workload's column tell that each of its values can be meant: a tenth of the work."""
    name = column.name
    if column.dtype != COLUMNS[name] or (name in _NEEDED and column.null_count()):
        return False
    if name == "arrival_s":
        # Extremes pass over NaN, sums do not.
        return _number(column.min()) > -LATEST_S and _number(column.max()) < LATEST_S and isfinite(column.sum())
    if name in _NEVER_WRONG:
        return True
    return column.dtype.is_integer() and (column.null_count() == column.len() or _number(column.min()) >= 0)


def _number(value: object) -> float:
    """A column's extreme; NaN where there is none."""
    return float(value) if isinstance(value, (int, float)) else nan


def _wrong(name: str, given: pl.DataType) -> pl.Expr:
    """Where a value of column ``name`` cannot be meant; ``given`` is the type it came with."""
    value, before = pl.col(name), pl.col(_GIVEN + name)
    if name == "arrival_s":
        return ~(value.abs() < LATEST_S).fill_null(False)
    if name in _LENGTHS:
        wrong = ~(value >= 0).fill_null(False)
    elif name in ITEM_COLUMNS:
        wrong = (value.list.min() < 0).fill_null(False)
    elif name == "think_s":
        wrong = ~(value.is_finite() & (value >= 0)).fill_null(True)
    elif COLUMNS[name].is_integer():
        wrong = (value < 0).fill_null(False) if name != "conversation" else pl.lit(False)
    else:
        wrong = pl.lit(False)
    if given != COLUMNS[name]:
        wrong = wrong | (before.is_not_null() & value.is_null())
        if given.is_float() and COLUMNS[name].is_integer():
            wrong = wrong | (before != value).fill_null(False)
    return wrong


def _reasons(masks: pl.DataFrame, rows: pl.DataFrame, raw: pl.DataFrame, names: Mapping[str, str]) -> list[Bad]:
    """The line and what is wrong, for each row with a mark: the first of its columns that is."""
    bad: list[Bad] = []
    left = pl.repeat(True, rows.height, eager=True)
    for name in masks.columns:
        marked = masks[name] & left
        left = left & ~masks[name]
        if not marked.any():
            continue
        column = names.get(name, name)
        found = rows.filter(marked).select("line", name)
        if column in raw.columns:
            found = found.select("line").join(raw.select("line", column), on="line", how="left", maintain_order="left")
        bad += [(int(line), f"column {column!r} {_is_not(value, name)}") for line, value in found.iter_rows()]
    return bad


def _is_not(value: object, name: str) -> str:
    if value is None or value == "":
        return "is empty"
    most = 2**31 - 1 if COLUMNS[name] == pl.Int32 else 2**15 - 1
    what = _WHAT.get(name, f"a whole number from 0 to {most}")
    return f"is {str(value)[:40]!r}, not {what}" if isinstance(value, str) else f"is {value}, not {what}"
