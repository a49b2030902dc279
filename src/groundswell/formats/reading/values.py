"""Values that should be of a type: what an error calls it, and numbers that came as floats made whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from groundswell.formats.reading.outcome import Bad


def NOT(dtype: pl.DataType) -> str:  # noqa: N802 (reads so where it is used)
    """What a value of this type is, in a person's words."""
    if dtype.is_integer():
        return f"a whole number of {str(dtype).lstrip('UInt')} bits"
    if dtype.is_float():
        return "a number"
    if isinstance(dtype, pl.Boolean):
        return "true or false"
    if isinstance(dtype, pl.List):
        return "a list"
    return "an object" if isinstance(dtype, pl.Struct) else str(dtype)


def fitting(frame: pl.DataFrame, types: Mapping[str, pl.DataType]) -> tuple[pl.DataFrame, list[Bad]]:
    """``frame`` with floats made the whole numbers that ``types`` says, and the rows where they are none."""
    bad: list[Bad] = []
    for name, dtype in types.items():
        number = frame[name]
        whole = number.cast(dtype, strict=False)
        wrong = number.is_not_null() & ~(whole.cast(pl.Float64) == number).fill_null(False)
        if wrong.any():
            rows = frame.filter(wrong).select("line", name).iter_rows()
            bad += [(line, f"column {name!r} is {value:g}, not {NOT(dtype)}") for line, value in rows]
            frame, whole = frame.filter(~wrong), whole.filter(~wrong)
        frame = frame.with_columns(whole)
    return frame, bad


def nothing_in(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """``frame`` without the rows in which all of ``columns`` are empty: blank lines."""
    if not columns or not all(frame[name].null_count() for name in columns):
        return frame
    return frame.filter(~pl.all_horizontal(pl.col(columns).is_null()))
