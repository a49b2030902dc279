"""CSV in pieces: with the types it should have, and as text where that fails, to find the rows that are wrong."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import NamedTuple

import polars as pl

from groundswell.formats.reading.ahead import worked_ahead
from groundswell.formats.reading.check import UNPARSED
from groundswell.formats.reading.lines import Piece, pieces, record_bounds
from groundswell.formats.reading.outcome import Bad
from groundswell.formats.reading.source import Source
from groundswell.formats.reading.values import NOT, fitting, nothing_in

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


class _Attempt(NamedTuple):
    """The rows of a piece read with these columns ``as_floats``, None if some of them cannot be."""

    as_floats: frozenset[str]
    frame: pl.DataFrame | None


class CsvRows:
    """The rows of a CSV: a frame of the raw columns and ``line`` for each piece, and what could not be read."""

    def __init__(self, source: Source, raw: Mapping[str, pl.DataType]) -> None:
        self.source = source
        self.raw = raw
        columns = source.head.columns
        # Names of our own: theirs may be empty, twice the same, or hold line ends.
        self.header = source.separator.join(f"c{i}" for i in range(len(columns))).encode() + b"\n"
        self.place = {name: f"c{columns.index(name)}" for name in raw if name in columns}
        self.as_floats: frozenset[str] = frozenset()

    def __iter__(self) -> Generator[tuple[pl.DataFrame, list[Bad]], None, None]:
        with self.source.opened() as file:
            parts = pieces(file, self.source.path, self.source.first_line, quoted=True, header=self.header)
            for piece, attempt in worked_ahead(parts, self._attempt):
                yield self._rows(piece, attempt if attempt.as_floats == self.as_floats else self._attempt(piece))

    def _attempt(self, piece: Piece) -> _Attempt:
        """The rows of a piece with the types they should have, whatever comes of the pieces before."""
        as_floats = self.as_floats
        types = {name: pl.Float64() if name in as_floats else self.raw[name] for name in self.place}
        try:
            frame = self._read(piece.text, types)
        except UNPARSED:
            return _Attempt(as_floats, None)
        offset = _offsets(piece, frame.height)
        return _Attempt(as_floats, None if offset is None else frame.insert_column(0, offset))

    def _rows(self, piece: Piece, attempt: _Attempt) -> tuple[pl.DataFrame, list[Bad]]:
        if attempt.frame is None:
            return self._as_text(piece)
        frame, bad = fitting(attempt.frame, {name: self.raw[name] for name in attempt.as_floats})
        return self._complete(frame), bad

    def _read(self, text: bytes, types: Mapping[str, pl.DataType]) -> pl.DataFrame:
        frame = pl.read_csv(
            text,
            columns=list(self.place.values()),
            schema_overrides={place: types[name] for name, place in self.place.items()},
            infer_schema=False,
            separator=self.source.separator,
            truncate_ragged_lines=True,
        )
        return frame.rename({place: name for name, place in self.place.items()})

    def _complete(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Without rows in which nothing stands, and with a column for those the file does not have."""
        frame = nothing_in(frame, list(self.place))
        lacking = [pl.lit(None, dtype).alias(name) for name, dtype in self.raw.items() if name not in self.place]
        return frame.with_columns(lacking) if lacking else frame

    def _as_text(self, piece: Piece) -> tuple[pl.DataFrame, list[Bad]]:
        """The rows of a piece of which some cannot be read, and those."""
        bad: list[Bad] = []
        frames = []
        for text in self._texts(piece, bad):
            frame, wrong = self._cast(text)
            frames.append(frame)
            bad += wrong
        schema = {"line": pl.UInt32(), **{name: self.raw[name] for name in self.place}}
        whole = pl.concat([pl.DataFrame(schema=schema), *(frame.select(list(schema)) for frame in frames)])
        return self._complete(whole), bad

    def _texts(self, piece: Piece, bad: list[Bad], quoted: bool = True) -> Iterator[pl.DataFrame]:
        """The piece as text, in parts that polars can read; a record it cannot is added to ``bad``.

        If that spans lines, a quote in it may be the fault, and its lines are tried each by itself: not ``quoted``.
        """
        data = piece.data
        start, end, before = record_bounds(data, quoted=quoted)
        waiting = [(0, start.size)]
        while waiting:
            low, high = waiting.pop()
            text = self.header + data[start[low] : end[high - 1]]
            part = Piece(text, piece.line + int(before[low]), len(self.header))
            frame = self._text(text)
            lines = None if frame is None else _offsets(part, frame.height)
            if frame is not None and lines is not None:
                yield frame.with_columns(lines)
            elif high - low > 1:
                middle = (low + high) // 2
                waiting += [(middle, high), (low, middle)]
            elif quoted and part.lines > 1:
                yield from self._texts(part, bad, quoted=False)
            else:
                bad.append((part.line, _malformed(part.data)))

    def _text(self, text: bytes) -> pl.DataFrame | None:
        try:
            return self._read(text, dict.fromkeys(self.place, pl.String()))
        except UNPARSED:
            return None

    def _cast(self, text: pl.DataFrame) -> tuple[pl.DataFrame, list[Bad]]:
        """The rows whose values can be read as the types say, and the others with the first value that cannot."""
        casts = {name: self._as(name) for name in self.place}
        typed = text.select("line", **casts)
        wrong = [pl.col(name).is_not_null() & typed[name].is_null() for name in self.place]
        said = [
            pl.when(mask).then(pl.format("column {} is {}, not {}", *_quoted(name), pl.lit(NOT(self.raw[name]))))
            for mask, name in zip(wrong, self.place, strict=True)
        ]
        reason = text.select(pl.coalesce(said)).to_series() if said else pl.Series([None] * text.height)
        for name in self.place:
            if self.raw[name].is_integer() and self._has_floats(text[name], typed[name]):
                self.as_floats |= {name}
        bad = [(int(line), why) for line, why in zip(text["line"], reason, strict=True) if why is not None]
        return typed.filter(reason.is_null()), bad

    def _has_floats(self, text: pl.Series, typed: pl.Series) -> bool:
        return bool((typed.is_not_null() & text.cast(self.raw[text.name], strict=False).is_null()).any())

    def _as(self, name: str) -> pl.Expr:
        dtype, text = self.raw[name], pl.col(name).str.strip_chars()
        if isinstance(dtype, pl.Boolean):
            low = text.str.to_lowercase()
            return pl.when(low.is_in(_TRUE)).then(True).when(low.is_in(_FALSE)).then(False)
        if dtype.is_integer():
            number = text.cast(pl.Float64, strict=False)
            whole = pl.when(number == number.round()).then(number).cast(dtype, strict=False)
            return text.cast(dtype, strict=False).fill_null(whole)
        return pl.col(name) if isinstance(dtype, pl.String) else text.cast(dtype, strict=False)


def _quoted(name: str) -> tuple[pl.Expr, pl.Expr]:
    return pl.lit(repr(name)), pl.format("'{}'", pl.col(name).str.head(40))


def _offsets(piece: Piece, rows: int) -> pl.Series | None:
    """The column ``line`` for the ``rows`` rows of a piece; None if they are another number of rows."""
    if piece.lines == rows:
        return pl.int_range(piece.line, piece.line + rows, dtype=pl.UInt32, eager=True).alias("line")
    before = record_bounds(piece.data, quoted=True)[2]
    return pl.Series("line", before + piece.line, pl.UInt32) if before.size == rows else None


def _malformed(record: bytes) -> str:
    try:
        record.decode()
    except UnicodeDecodeError as fault:
        return f"byte {fault.start + 1} of it is not UTF-8 text ({record[fault.start : fault.start + 1]!r})"
    return "its quotes are not closed, or stand inside a value" if b'"' in record else "cannot be read as CSV"
