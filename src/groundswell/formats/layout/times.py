"""Dates and times as text, to Unix seconds: ISO 8601 with its usual liberties."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from groundswell.chance import compiled

LONGEST = 40
"""No date and time is written in more bytes."""
_MINUTE = 16
"""Date, hour and minute take so many bytes."""
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
def _number(text: Any, i: Any, start: Any, digits: Any) -> Any:
    """The number in ``digits`` digits from ``start`` on, -1 if one is none."""
    if start + digits > text.shape[1]:
        return -1
    value = 0
    for j in range(start, start + digits):
        if not 48 <= text[i, j] <= 57:
            return -1
        value = 10 * value + text[i, j] - 48
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
def _zone(text: Any, i: Any, at: Any) -> Any:
    """Seconds east of Greenwich of what stands from ``at`` to the end, NaN if it is no zone."""
    while at < text.shape[1] and text[i, at] == 32:
        at += 1
    left = text.shape[1] - at
    if left == 0 or (left == 1 and text[i, at] in (90, 122)):
        return 0.0
    if left == 3 and text[i, at] == 85 and text[i, at + 1] == 84 and text[i, at + 2] == 67:
        return 0.0
    if text[i, at] not in (43, 45):
        return np.nan
    hour = _number(text, i, at + 1, 2)
    minute = 0
    if left == 6 and text[i, at + 3] == 58:
        minute = _number(text, i, at + 4, 2)
    elif left == 5:
        minute = _number(text, i, at + 3, 2)
    elif left != 3:
        return np.nan
    if hour < 0 or hour > 15 or minute < 0 or minute > 59:
        return np.nan
    east = 3600.0 * hour + 60.0 * minute
    return east if text[i, at] == 43 else -east


@compiled
def _minute(text: Any, i: Any) -> Any:
    """Unix seconds of the date, and the hour and minute if there are any, NaN if they are none."""
    year, month, day = _number(text, i, 0, 4), _number(text, i, 5, 2), _number(text, i, 8, 2)
    if year < 1 or month < 1 or month > 12 or day < 1 or day > _month_days(year, month):
        return np.nan
    if text[i, 4] not in (45, 47) or text[i, 7] != text[i, 4]:
        return np.nan
    days_s = 86400.0 * _days(year, month, day)
    if text.shape[1] == 10:
        return days_s
    if text[i, 10] not in (32, 84, 116) or text.shape[1] < _MINUTE or text[i, 13] != 58:
        return np.nan
    hour, minute = _number(text, i, 11, 2), _number(text, i, 14, 2)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return np.nan
    return days_s + 3600.0 * hour + 60.0 * minute


@compiled
def _second(text: Any, i: Any) -> Any:
    """Seconds into the minute, less the offset of the zone; NaN if what stands behind the minute is neither."""
    at, second = _MINUTE, 0.0
    if text.shape[1] > at and text[i, at] == 58:
        whole = _number(text, i, at + 1, 2)
        if whole < 0 or whole > 60:
            return np.nan
        second = float(whole)
        at += 3
        if text.shape[1] > at and text[i, at] in (46, 44):
            at += 1
            begin, part = at, np.int64(0)
            while at < text.shape[1] and 48 <= text[i, at] <= 57:
                if at < begin + 18:  # as many digits as a whole number holds
                    part = 10 * part + text[i, at] - 48
                at += 1
            if at == begin:
                return np.nan
            second += part / _POWER[min(at - begin, 18)]
    return second - _zone(text, i, at)


@compiled
def _parse(text: Any) -> Any:
    """Unix seconds of each row of bytes, NaN where it is no date and time."""
    out = np.empty(text.shape[0])
    minute_s = np.nan
    for i in range(text.shape[0]):
        # Rows come in order mostly, so the minute is that of the row before.
        same = i > 0
        if same:
            for j in range(min(text.shape[1], _MINUTE)):
                same &= text[i, j] == text[i - 1, j]
        if not same:
            minute_s = _minute(text, i)
        out[i] = minute_s + _second(text, i) if text.shape[1] > 10 else minute_s
    return out
