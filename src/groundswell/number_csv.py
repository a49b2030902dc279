"""CSV files that hold nothing but numbers: a curve, a table of lengths, a small trace."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.errors import DataError, UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NumberTable:
    """Columns of finite numbers, of one length; ``names`` is empty where the file had no header line."""

    names: tuple[str, ...]
    columns: tuple[Floats, ...]


def read_numbers(path: str | Path) -> NumberTable:
    """The numbers of a CSV, with or without a header line (a first line of which no cell is a number).

    Every cell must be a finite number; blank lines are passed over. Raises ``UsageError`` where there is no such file,
    and ``DataError`` with the line where it holds something else.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as fault:
        raise UsageError(f"{path}: cannot be read: {fault.strerror}") from fault
    try:
        text = pl.read_csv(io.BytesIO(content), has_header=False, infer_schema=False)
    except pl.exceptions.NoDataError as fault:
        raise DataError(f"{path}: is empty; expected a CSV of numbers") from fault
    except pl.exceptions.PolarsError as fault:
        reason = str(fault).splitlines()[0].rstrip(".")
        raise DataError(f"{path}: cannot be read as a CSV of numbers: {reason}") from fault
    text = text.with_row_index("line", 1).filter(~pl.all_horizontal(pl.exclude("line").is_null()))
    stripped = text.with_columns(pl.exclude("line").str.strip_chars())
    number = stripped.with_columns(pl.exclude("line").cast(pl.Float64, strict=False))
    names: tuple[str, ...] = ()
    if number.height and all(cell is None for cell in number.row(0)[1:]):
        names = tuple(str(cell or "") for cell in stripped.row(0)[1:])
        number, stripped = number[1:], stripped[1:]
    if not number.height:
        raise DataError(f"{path}: holds no line of numbers")
    bad = number.select(pl.any_horizontal(~pl.exclude("line").is_finite().fill_null(False))).to_series().arg_max()
    if bad is not None and not all(cell is not None and np.isfinite(cell) for cell in number.row(bad)[1:]):
        found = ",".join(str(cell) if cell is not None else "" for cell in stripped.row(bad)[1:])
        raise DataError(f"{path}:{number.row(bad)[0]}: expected {number.width - 1} numbers, found {found[:60]!r}")
    return NumberTable(names, tuple(number[name].to_numpy() for name in number.columns[1:]))
