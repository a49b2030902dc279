"""Dates and times as text, to Unix seconds: ISO 8601 with its usual liberties."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from groundswell.chance import compiled

LONGEST = 40
"""No date and time is written in more bytes."""
_POWER = 10.0 ** np.arange(19)


def unix_s(text: pl.Expr) -> pl.Expr:
    """Unix seconds of dates and times such as ``2023-11-16 18:17:03.9799600``, null where the text is none.

    ``T`` or a blank between date and time; ``/`` for ``-``; seconds and their decimals may be missing; at the end
    ``Z``, ``UTC`` or an offset such as ``+08:00``. What names no zone is taken as UTC.
    """
    return text.map_batches(_unix_s, return_dtype=pl.Float64, is_elementwise=True)


def _unix_s(text: pl.Series) -> pl.Series:
    length = text.str.len_bytes()
    alike = length.min() == length.max()
    out = np.full(text.len(), np.nan)
    for size in length.drop_nulls()[:1] if alike else length.unique().drop_nulls():
        if not 10 <= size <= LONGEST:
            continue
        here = (length == size).fill_null(False)
        whole = alike and not text.null_count()
        bytes_ = (text if whole else text.filter(here)).cast(pl.Binary)
        # Texts of one length are one block of bytes, which numpy can look at without an object a row.
        parsed = _parse(bytes_.bin.reinterpret(dtype=pl.Array(pl.UInt8, size)).to_numpy())
        if whole:
            out = parsed
        else:
            out[here.to_numpy()] = parsed
    return pl.Series(text.name, out).fill_nan(None)


@compiled
def _number(row: Any, start: Any, digits: Any) -> Any:
    """The number in ``digits`` digits from ``start`` on, -1 if one is none."""
    if start + digits > row.size:
        return -1
    value = 0
    for i in range(start, start + digits):
        if not 48 <= row[i] <= 57:
            return -1
        value = 10 * value + row[i] - 48
    return value


@compiled
def _days(year: Any, month: Any, day: Any) -> Any:
    """Days from 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms"); years from 1 on."""
    if month <= 2:
        year -= 1
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@compiled
def _month_days(year: Any, month: Any) -> Any:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@compiled
def _zone(row: Any, at: Any) -> Any:
    """Seconds east of Greenwich of what stands from ``at`` to the end, NaN if it is no zone."""
    while at < row.size and row[at] == 32:
        at += 1
    left = row.size - at
    if left == 0 or (left == 1 and row[at] in (90, 122)):
        return 0.0
    if left == 3 and row[at] == 85 and row[at + 1] == 84 and row[at + 2] == 67:
        return 0.0
    if row[at] not in (43, 45):
        return np.nan
    hour = _number(row, at + 1, 2)
    minute = 0
    if left == 6 and row[at + 3] == 58:
        minute = _number(row, at + 4, 2)
    elif left == 5:
        minute = _number(row, at + 3, 2)
    elif left != 3:
        return np.nan
    if hour < 0 or hour > 15 or minute < 0 or minute > 59:
        return np.nan
    east = 3600.0 * hour + 60.0 * minute
    return east if row[at] == 43 else -east


@compiled
def _parse(text: Any) -> Any:
    """Unix seconds of each row of bytes, NaN where it is no date and time."""
    out = np.full(text.shape[0], np.nan)
    for i in range(text.shape[0]):
        row = text[i]
        year, month, day = _number(row, 0, 4), _number(row, 5, 2), _number(row, 8, 2)
        if year < 1 or month < 1 or month > 12 or day < 1 or day > _month_days(year, month):
            continue
        if row[4] not in (45, 47) or row[7] != row[4]:
            continue
        at, second = 10, 0.0
        if row.size > 10:
            if row[10] not in (32, 84, 116) or row.size < 16 or row[13] != 58:
                continue
            hour, minute = _number(row, 11, 2), _number(row, 14, 2)
            if hour < 0 or hour > 23 or minute < 0 or minute > 59:
                continue
            second = 3600.0 * hour + 60.0 * minute
            at = 16
            if row.size > at and row[at] == 58:
                whole = _number(row, at + 1, 2)
                if whole < 0 or whole > 60:
                    continue
                second += whole
                at += 3
                if row.size > at and row[at] in (46, 44):
                    at += 1
                    begin, part = at, np.int64(0)
                    while at < row.size and 48 <= row[at] <= 57:
                        if at < begin + 18:  # as many digits as a whole number holds
                            part = 10 * part + row[at] - 48
                        at += 1
                    if at == begin:
                        continue
                    second += part / _POWER[min(at - begin, 18)]
        out[i] = 86400.0 * _days(year, month, day) + second - _zone(row, at)
    return out
