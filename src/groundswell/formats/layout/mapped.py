"""Any table whose columns a person names, and our own, whose columns have our names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import polars as pl

from groundswell.errors import UsageError
from groundswell.formats._block_sizes import block_range, too_many, usual_size
from groundswell.formats._blocks import block_size
from groundswell.formats._ids import id_numbers, is_secret, said_of, shown
from groundswell.formats.layout import REFUSED, Head, Layout
from groundswell.formats.layout.columns import Column, column_of, shown_columns
from groundswell.formats.layout.lists import whole_numbers
from groundswell.formats.layout.times import unix_s
from groundswell.table import BLOCK_SIZE_KEY, COLUMNS, ITEM_COLUMNS, list_column

UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""How many of a unit of time are a second."""

_KEYS = (*COLUMNS, "arrival")
_COUNTED = {f"{name.removesuffix('_tokens')}_{part}" for name in ITEM_COLUMNS for part in ("count", "total_tokens")}
_NAMES = {"client", "model", "conversation"}
"""One column may be several of these."""
_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_MOST_ITEMS = 10_000
_UNIX_S = (5e8, 1e11)  # 1985 to the year 5138
_TRUE, _FALSE = ("true", "1", "yes", "error", "failed"), ("false", "0", "no", "ok", "success", "")


def mapped(
    head: Head, columns: Mapping[str, str], time_unit: str | None = None, block_tokens: int | None = None
) -> Layout:
    """How to read a file whose columns are named: ``columns`` says where each column of a workload is, and
    ``block_tokens`` how many tokens each of its prefix blocks stands for.

    What it does not say is taken from columns that have our names. Inside JSON, ``usage.prompt_tokens`` is a value in
    an object. Raises UsageError for a name that is none, and if the times or lengths are nowhere.
    """
    names = _where(head, columns)
    _check_unit(time_unit)
    arrival = _arrival(head, column_of(head, names["arrival_s"]), time_unit, named="arrival_s" not in head.columns)
    taken = {name: column_of(head, place) for name, place in names.items() if name != "arrival_s"}
    types = {name: _raw_type(head, name, column) for name, column in taken.items()}
    raw: dict[str, pl.DataType] = {}
    arrival.column.add_to(raw, arrival.dtype)
    for name, column in taken.items():
        if len(column.path) > 1 or column.path[0] not in raw:
            column.add_to(raw, types[name])
    counted = [name for name in head.columns if name in _COUNTED and head.kind == "csv"]
    raw.update(dict.fromkeys(counted, pl.Int32()))

    told = {name: place for name, place in names.items() if name in ("client", "model")}

    size = _block_size(head, taken) if block_tokens is None else _stated(head, taken, block_tokens)
    wrong = [] if block_tokens is None else [_refused(names["prefix_blocks"], block_tokens)]
    if {"conversation", "turn"} <= set(taken):
        wrong.append(_astray(names["turn"], names["conversation"]))
    refused = [pl.coalesce(wrong).alias(REFUSED)] if wrong else []

    def rows(frame: pl.DataFrame) -> pl.DataFrame:
        values = [_value(name, column.value, types[name]).alias(name) for name, column in taken.items()]
        out = frame.select("line", arrival.seconds.alias("arrival_s"), *values, *_items(frame))
        return out.with_columns(*(shown(pl.col(name), place) for name, place in told.items()), *refused)

    metadata: dict[str, Any] = {"dated": arrival.dated}
    if columns.get("client"):
        metadata["client_is"] = columns["client"]
    if size is not None:
        metadata[BLOCK_SIZE_KEY] = size
    return Layout(raw, rows, metadata, names, (*arrival.notes, *said_of(told.values())))


def ours(head: Head) -> bool:
    """Whether the file's columns have our names."""
    return {"arrival_s", "input_tokens", "output_tokens"} <= set(head.columns)


def _where(head: Head, columns: Mapping[str, str]) -> dict[str, str]:
    """Which column of the file is which of a workload's."""
    unknown = [key for key in columns if key not in _KEYS]
    if unknown:
        raise UsageError(
            f"{unknown[0]!r} is no column of a workload; it has {', '.join(COLUMNS)} (and arrival for short)"
        )
    if "arrival" in columns and "arrival_s" in columns:
        raise UsageError("'arrival' and 'arrival_s' are the same column; name it once")
    said = {"arrival_s" if key == "arrival" else key: place for key, place in columns.items()}
    for key, place in said.items():
        if not column_of(head, place).there:
            raise UsageError(f"{head.path}: has no column {place!r} for {key}; it has {shown_columns(head.columns)}")
    names = {name: said.get(name, name) for name in COLUMNS if name in said or name in head.columns}
    for name, place in names.items():
        twice = [other for other in names if names[other] == place and not {name, other} <= _NAMES]
        if len(twice) > 1:
            raise UsageError(f"{head.path}: column {place!r} cannot be both {' and '.join(twice)}")
    for name in ("arrival_s", "input_tokens", "output_tokens"):
        if name not in names:
            raise UsageError(
                f"{head.path}: which column is {name.removesuffix('_s')}? It has {shown_columns(head.columns)}; "
                f"say --map {name.removesuffix('_s')}=COLUMN"
            )
    return names


def _check_unit(time_unit: str | None) -> None:
    if time_unit is not None and time_unit not in UNITS:
        raise UsageError(f"time unit {time_unit!r}: must be one of {', '.join(UNITS)}")


@dataclass(frozen=True)
class _Arrival:
    """How the column of arrivals is read."""

    column: Column
    dtype: pl.DataType
    seconds: pl.Expr
    dated: bool
    notes: tuple[str, ...] = ()


def _arrival(head: Head, column: Column, time_unit: str | None, *, named: bool) -> _Arrival:
    """Numbers in ``time_unit``, dates as text or as Parquet's own type; what is not said, the first rows tell.

    ``named``: the column is not called ``arrival_s``, so that nothing says its numbers are seconds.
    """
    given = head.types.get(column.path[0])
    if given is not None and given.is_temporal():
        if not isinstance(given, (pl.Datetime, pl.Date)):
            raise UsageError(f"{head.path}: column {column.path[0]!r} is {given}, not a date and time or a number")
        seconds = column.value.cast(pl.Datetime("ns")).dt.epoch("ns") / 1e9
        return _Arrival(column, given, seconds, dated=True)
    values = [value for row in head.first if (value := column.of(row)) not in (None, "")]
    numbers = [number for value in values if (number := _number(value)) is not None]
    if 2 * len(numbers) < len(values) and not (given is not None and given.is_numeric()):
        return _Arrival(column, pl.String(), unix_s(column.value), dated=True)
    largest = max(map(abs, numbers), default=0.0)
    unit = time_unit or (_unit_of(largest) if named else "s")
    guessed = time_unit is None and named and largest >= _UNIX_S[0]
    quoted = head.kind in ("json", "jsonl") and any(isinstance(value, str) for value in values)
    count = column.value.cast(pl.Float64, strict=False) if quoted else column.value
    seconds = count if unit == "s" else count / UNITS[unit]
    taken = f"Column {'.'.join(column.path)!r} is taken for Unix time in {_WORDS[unit]}, by its size."
    dated = _UNIX_S[0] <= largest / UNITS[unit] < _UNIX_S[1]
    return _Arrival(column, pl.String() if quoted else pl.Float64(), seconds, dated, (taken,) if guessed else ())


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _unit_of(largest: float) -> str:
    """The unit in which a number of this size is Unix time of our days; seconds for small ones."""
    return next((unit for unit, per_s in UNITS.items() if largest < _UNIX_S[1] * per_s), "ns")


def _raw_type(head: Head, name: str, column: Column) -> pl.DataType:
    """How a column of values is read: as what it will be, or as text where that says more."""
    if name == "client":
        given = head.types.get(column.path[0])
        return given if isinstance(given, pl.Enum) and not is_secret(column.path[-1]) else pl.String()
    if name == "failed" and head.kind == "parquet":
        return pl.Boolean()
    if name == "conversation":
        return pl.Int64() if _all_whole(column.of(row) for row in head.first) else pl.String()
    if name == "failed" or (head.kind == "csv" and isinstance(COLUMNS[name], pl.List)):
        return pl.String()
    return COLUMNS[name]


def _all_whole(values: Iterable[Any]) -> bool:
    return all(value in (None, "") or str(value).removeprefix("-").isdecimal() for value in values)


def _value(name: str, value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A workload's value from that of a column that was read as ``dtype``."""
    if dtype != pl.String():
        return value
    if name == "conversation":
        return value.map_batches(id_numbers, return_dtype=pl.Int64)
    if name == "failed":
        low = value.str.strip_chars().str.to_lowercase()
        return pl.when(low.is_in(_TRUE)).then(True).when(low.is_in(_FALSE)).then(False)
    if isinstance(COLUMNS[name], pl.List):
        return whole_numbers(value)
    return value


def _block_size(head: Head, taken: Mapping[str, Column]) -> int | None:
    """The size of prefix blocks, if the first rows tell it: where prompts have as many blocks as they have room for."""
    if not {"prefix_blocks", "input_tokens"} <= set(taken):
        return None
    rows = ({name: taken[name].of(row) for name in ("prefix_blocks", "input_tokens")} for row in head.first)
    low, high = block_range(rows, "input_tokens", "prefix_blocks")
    return usual_size(low, high) if high < inf else None


def _stated(head: Head, taken: Mapping[str, Column], block_tokens: int) -> int:
    """The size of prefix blocks as a person says it. Raises UsageError if it is none, or there are no blocks."""
    size = block_size(block_tokens, str(head.path))
    if "prefix_blocks" not in taken:
        raise UsageError(
            f"{head.path}: which column has prefix blocks of {size} tokens? It has {shown_columns(head.columns)}; "
            f"say --map prefix_blocks=COLUMN"
        )
    return size


def _refused(place: str, size: int) -> pl.Expr:
    """What is wrong with a row that has more ids than its prompt has blocks of ``size``, and null for others."""
    count = pl.col("prefix_blocks").list.len().cast(pl.Int64)
    prompt = pl.col("input_tokens").cast(pl.Int64, strict=False)
    said = f"column {place!r} has {{}} ids, more than there are blocks of {size} tokens in a prompt of {{}}"
    return pl.when(too_many(count, prompt, size)).then(pl.format(said, count, prompt))


def _astray(turn: str, conversation: str) -> pl.Expr:
    """What is wrong with a later turn of no conversation, and null for others."""
    said = f"column {turn!r} is {{}}, but column {conversation!r} is empty: a later turn needs its conversation"
    later = (pl.col("turn") > 1) & pl.col("conversation").is_null()
    return pl.when(later).then(pl.format(said, "turn"))


def _items(frame: pl.DataFrame) -> list[pl.Series]:
    """Lists of equal sizes from how many items there are and what they are together, as our CSV has them."""
    lists = []
    for name in ITEM_COLUMNS:
        kind = name.removesuffix("_tokens")
        if f"{kind}_count" in frame.columns and f"{kind}_total_tokens" in frame.columns:
            count = frame[f"{kind}_count"].fill_null(0).clip(0, _MOST_ITEMS).to_numpy().astype(np.int64)
            total = frame[f"{kind}_total_tokens"].fill_null(0).to_numpy().astype(np.int64)
            each = np.repeat(total // np.maximum(count, 1), count)
            rest = np.repeat(total % np.maximum(count, 1), count)
            place = np.arange(each.size) - np.repeat(np.cumsum(count) - count, count)
            lists.append(list_column(name, count, (each + (place < rest)).astype(np.int32)))
    return lists
