"""JSON lines in pieces: with the types they should have, and object by object where that fails."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, NamedTuple

import msgspec
import polars as pl

from groundswell.formats.reading.ahead import worked_ahead
from groundswell.formats.reading.check import UNPARSED
from groundswell.formats.reading.document import document
from groundswell.formats.reading.lines import Piece, pieces, record_bounds
from groundswell.formats.reading.outcome import Bad
from groundswell.formats.reading.source import Source
from groundswell.formats.reading.values import NOT, fitting

_FEW = 1024
"""Of a piece that cannot be read, parts of so many lines are looked at one by one."""


_NARROW = (pl.Int8, pl.Int16, pl.UInt8, pl.UInt16)


class _Attempt(NamedTuple):
    """The rows of a piece read with these columns ``as_floats``, None if some of them cannot be."""

    as_floats: frozenset[str]
    frame: pl.DataFrame | None


class JsonRows:
    """The rows of JSON lines, or of one JSON document, whose items then are its lines."""

    def __init__(self, source: Source, raw: Mapping[str, pl.DataType]) -> None:
        self.source = source
        self.raw = raw
        # Polars does not read whole numbers of fewer bits from JSON.
        self.as_floats = frozenset(name for name, dtype in raw.items() if dtype in _NARROW)

    def __iter__(self) -> Generator[tuple[pl.DataFrame, list[Bad]], None, None]:
        source = self.source
        with source.opened() as file:
            if source.head.kind == "json":
                whole = document(file, source.path)
                yield self._rows(whole, self._attempt(whole))
                return
            parts = pieces(file, source.path, source.first_line, quoted=False)
            for piece, attempt in worked_ahead(parts, self._attempt):
                yield self._rows(piece, attempt if attempt.as_floats == self.as_floats else self._attempt(piece))

    def _attempt(self, piece: Piece) -> _Attempt:
        """The rows of a piece with the types they should have, whatever comes of the pieces before."""
        as_floats = self.as_floats
        frame = self._typed(piece.data, as_floats)
        offset = None if frame is None else _offsets(piece, frame.height)
        return _Attempt(as_floats, None if frame is None or offset is None else frame.insert_column(0, offset))

    def _rows(self, piece: Piece, attempt: _Attempt) -> tuple[pl.DataFrame, list[Bad]]:
        if attempt.frame is None:
            return self._one_by_one(piece)
        return fitting(attempt.frame, {name: self.raw[name] for name in attempt.as_floats})

    def _typed(self, data: bytes, as_floats: frozenset[str] | None = None) -> pl.DataFrame | None:
        wide = self.as_floats if as_floats is None else as_floats
        schema = {name: pl.Float64() if name in wide else dtype for name, dtype in self.raw.items()}
        try:
            return pl.read_ndjson(data, schema=schema)
        except UNPARSED:
            return None

    def _one_by_one(self, piece: Piece) -> tuple[pl.DataFrame, list[Bad]]:
        """The rows of a piece of which some cannot be read, and those."""
        bad: list[Bad] = []
        start, end, before = record_bounds(piece.data, quoted=False)
        frames = [pl.DataFrame(schema={**self.raw, "line": pl.UInt32()})]
        waiting = [(0, start.size)]
        while waiting:
            low, high = waiting.pop()
            part = Piece(piece.data[start[low] : end[high - 1]], piece.line + int(before[low]))
            frame = self._typed(part.data)
            if frame is None and high - low > _FEW:
                middle = (low + high) // 2
                waiting += [(middle, high), (low, middle)]
                continue
            offset: pl.Series | None = None if frame is None else _offsets(part, frame.height)
            if frame is None or offset is None:
                frame, offset = self._readable(part, bad)
            frame = frame.with_columns(offset)
            frame, wrong = fitting(frame, {name: self.raw[name] for name in self.as_floats})
            bad += wrong
            frames.append(frame.select(frames[0].columns))
        return pl.concat(frames), bad

    def _readable(self, part: Piece, bad: list[Bad]) -> tuple[pl.DataFrame, pl.Series]:
        """Those of a few lines that can be read, and their numbers; the others are added to ``bad``."""
        kept: list[bytes] = []
        place: list[int] = []
        for i, line in enumerate(part.data.split(b"\n")):
            if not line.strip():
                continue
            why = self._wrong(line)
            if why is None:
                kept.append(line)
                place.append(i)
            else:
                bad.append((part.line + i, why))
        frame = self._typed(b"\n".join(kept))
        if frame is None or frame.height != len(kept):
            frame, place = self._singly(kept, place, part, bad)
        return frame, pl.Series("line", [part.line + i for i in place], pl.UInt32)

    def _singly(
        self, lines: list[bytes], place: list[int], part: Piece, bad: list[Bad]
    ) -> tuple[pl.DataFrame, list[int]]:
        """As above, for what polars alone can tell: a type deep in a value."""
        frames, kept = [self._typed(b"")], []
        for line, i in zip(lines, place, strict=True):
            frame = self._typed(line)
            if frame is None or frame.height != 1:
                bad.append((part.line + i, f"is of other types than {', '.join(self.raw)} should be"))
            else:
                frames.append(frame)
                kept.append(i)
        return pl.concat([frame for frame in frames if frame is not None]), kept

    def _wrong(self, line: bytes) -> str | None:
        """What is wrong with one line, if a look at its values can tell."""
        try:
            row = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            return f"is not JSON: {str(fault).split(' - at')[0]}"
        if not isinstance(row, dict):
            return f"is {_shown(row)}, not a JSON object"
        for name, dtype in self.raw.items():
            value = row.get(name)
            if value is not None and not self._is(value, name, dtype):
                return f"column {name!r} is {_shown(value)}, not {NOT(dtype)}"
        return None

    def _is(self, value: Any, name: str, dtype: pl.DataType) -> bool:
        if dtype.is_integer():
            if isinstance(value, float) and value.is_integer():
                self.as_floats |= {name}
                value = int(value)
            whole = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64
            return whole and pl.Series([value]).cast(dtype, strict=False)[0] is not None
        if dtype.is_float():
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(dtype, pl.Boolean):
            return isinstance(value, bool)
        if isinstance(dtype, pl.List):
            return isinstance(value, list)
        return isinstance(value, dict) if isinstance(dtype, pl.Struct) else True


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 42 else text[:40] + "…"


def _offsets(piece: Piece, rows: int) -> pl.Series | None:
    """The column ``line`` for the ``rows`` objects of a piece; None if they are another number of rows."""
    if piece.lines == rows:
        return pl.int_range(piece.line, piece.line + rows, dtype=pl.UInt32, eager=True).alias("line")
    filled = [piece.line + i for i, line in enumerate(piece.data.split(b"\n")) if line.strip()]
    return pl.Series("line", filled, pl.UInt32) if len(filled) == rows else None
