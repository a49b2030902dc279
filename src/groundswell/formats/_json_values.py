"""What the values of other people's JSON mean: token counts, points in time, and where in an object they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any, TypeGuard

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats.layout import Head
from groundswell.formats.layout.times import unix_s

Path = tuple[str, ...]
"""Where in an object a value is: ``("usage", "prompt_tokens")``."""

_LARGEST = 2**31 - 1
_YEAR_2000_S, _YEAR_2100_S = 946_684_800.0, 4_102_444_800.0
_EARLIER_UNIT = 1e11
"""Above this a number of seconds since 1970 lies in the year 5138 or later: it was counted in a smaller unit."""

_MONGO_DATE = r'"\$date":\s*(?:\{"\$numberLong":\s*)?"?([^"}]+)'


def is_json(head: Head) -> bool:
    """Whether the file is JSON of either kind."""
    return head.kind in ("jsonl", "json")


def tokens(count: pl.Expr) -> pl.Expr:
    """A number as a count of tokens: null where it is negative, not whole or above 2³¹-1."""
    return pl.when((count >= 0) & (count <= _LARGEST) & (count.cast(pl.Float64) % 1 == 0)).then(count).cast(pl.Int32)


def estimated_tokens(chars: pl.Expr, chars_per_token: float) -> pl.Expr:
    """How many tokens a text of so many characters is taken to have, rounded up."""
    return tokens((chars / chars_per_token).ceil())


def check_chars_per_token(chars: float, name: str) -> None:
    """Raises UsageError if ``chars`` cannot be what a token has."""
    if not (isinstance(chars, (int, float)) and 0 < chars < inf):
        raise UsageError(f"{name}: chars_per_token must be above 0, not {chars}")


def turn_number(count: pl.Expr) -> pl.Expr:
    """A number as that of a turn: null where it is negative or above 2¹⁵-1."""
    return pl.when(count.is_between(0, 2**15 - 1)).then(count).cast(pl.Int16)


def finite(number: pl.Expr) -> pl.Expr:
    """``number``, null where it is infinite or none."""
    return pl.when(number.is_finite()).then(number)


def dated(seconds: Iterable[Any]) -> bool:
    """Whether all numbers, of which there is at least one, are Unix seconds of this century."""
    numbers = [s for s in seconds if is_number(s)]
    return bool(numbers) and all(_YEAR_2000_S <= s <= _YEAR_2100_S for s in numbers)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value of JSON is a number one can reckon with; true, false and what no float holds are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e300 < value < 1e300


def instants(values: pl.Series) -> pl.Series:
    """Seconds since 1970 for each value, null where it is none.

    A value is a number of seconds, or of ms, µs or ns if it is large enough, also as text, or a date and time, as such
    or as ISO 8601 writes it; where it has no time zone it is taken for UTC. MongoDB's ``{"$date": …}`` is taken off.

    >>> instants(pl.Series(["1700000000500", "2023-11-14 22:13:20.5Z", "soon"])).to_list()
    [1700000000.5, 1700000000.5, None]
    """
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.epoch("us").cast(pl.Float64) / 1e6
    if values.dtype.is_numeric():
        return _in_seconds(values.cast(pl.Float64))
    return _instants_of_text(values.cast(pl.String))


def _instants_of_text(text: pl.Series) -> pl.Series:
    if text.str.starts_with("{").any():
        text = text.str.extract(_MONGO_DATE).zip_with(text.str.starts_with("{").fill_null(False), text)
    seconds = _in_seconds(text.cast(pl.Float64, strict=False))
    if seconds.null_count() == text.null_count():
        return seconds
    return pl.select(pl.coalesce(seconds, unix_s(pl.lit(text)))).to_series()


def _in_seconds(number: pl.Series) -> pl.Series:
    x = pl.col("x")
    units = (pl.when(x.abs() < _EARLIER_UNIT * per_second).then(x / per_second) for per_second in (1, 1e3, 1e6, 1e9))
    return pl.DataFrame({"x": number}).select(pl.coalesce(*units)).to_series()


def values_at(rows: Iterable[Mapping[str, Any]], path: Path) -> Iterator[Any]:
    """The values at ``path`` in those of ``rows`` that have one: null and a text without letters are none."""
    for row in rows:
        value: Any = row
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None and value != "":
            yield value


def texts_at(rows: Iterable[Mapping[str, Any]], path: Path) -> pl.Series:
    """The values at ``path`` as they would be read into a column of text."""
    texts = [str(value).encode(errors="replace").decode() for value in values_at(rows, path)]
    return pl.Series(texts, dtype=pl.String)


def filled(text: pl.Series) -> pl.Series:
    """``text``, null where it is empty."""
    return text.to_frame("x").select(pl.when(pl.col("x") != "").then("x")).to_series()


def found(rows: Iterable[Mapping[str, Any]], paths: Iterable[Path]) -> tuple[Path, ...]:
    """Those of ``paths`` at which some of ``rows`` has a value, in their order."""
    rows = tuple(rows)
    return tuple(path for path in paths if any(True for _ in values_at(rows, path)))


def schema_of(types: Mapping[Path, pl.DataType]) -> dict[str, pl.DataType]:
    """The columns to read so that each path has a value of its type; objects are structs of what is asked of them."""
    inner: dict[str, dict[Path, pl.DataType]] = {}
    for path, dtype in types.items():
        inner.setdefault(path[0], {})[path[1:]] = dtype
    return {key: rest[()] if () in rest else pl.Struct(schema_of(rest)) for key, rest in inner.items()}


def at(path: Path) -> pl.Expr:
    """The value at ``path`` in a frame of :func:`schema_of`."""
    value = pl.col(path[0])
    for key in path[1:]:
        value = value.struct.field(key)
    return value
