"""What a file is, from its first bytes: text or Parquet, packed or not, CSV or JSON, and its columns."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import polars as pl

from groundswell.errors import DataError, UsageError
from groundswell.formats.layout import Head, Kind
from groundswell.formats.reading.lines import after_record, check_length
from groundswell.whole_file import is_stream

BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 2**20
FIRST_ROWS = 100
_GZIP = b"\x1f\x8b"
_PACKED = {b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_SEPARATORS = ",;\t|"
_PLACE = {"csv": "line", "jsonl": "line", "json": "item", "parquet": "row"}


@dataclass(frozen=True)
class Source:
    """A file to read: its head, and where and how its rows begin."""

    path: Path
    head: Head
    gzipped: bool = False
    separator: str = ","
    begin: int = 0
    """So many bytes stand before the first row."""
    first_line: int = 1
    """The number of the first row's line."""

    @property
    def place(self) -> str:
        """What a row's number counts."""
        return _PLACE[self.head.kind]

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The file's bytes, unpacked, from its first row on. What fails while they are read is a DataError."""
        with unpacked(self.path, self.gzipped) as file:
            file.read(self.begin)
            yield file

    @property
    def expected_rows(self) -> float:
        """A guess from the size of the file and of its first rows; for Parquet the number."""
        if self.head.kind == "parquet":
            return float(pl.scan_parquet(self.path).select(pl.len()).collect().item())
        with self.opened() as file:
            sample = file.read(2**16)
        lines = max(sample.count(b"\n"), 1)
        packed = 4.0 if self.gzipped else 1.0
        return max((self.path.stat().st_size * packed - self.begin) * lines / max(len(sample), 1), 0.0)


@contextmanager
def unpacked(path: Path, gzipped: bool) -> Iterator[IO[bytes]]:
    """The bytes of a file; what fails while they are read is a DataError."""
    try:
        with gzip.open(path, "rb") if gzipped else path.open("rb") as file:
            yield cast(IO[bytes], file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise DataError(f"{path}: is packed with gzip, but not whole: {' '.join(str(fault).split())}") from None
    except OSError as fault:
        raise DataError(f"{path}: cannot be read: {fault.strerror or fault}") from None


def examine(path: Path) -> Source:
    """What the file at ``path`` is. Raises UsageError where there is none to read, DataError for what is no table."""
    if path.is_dir():
        from groundswell.formats.reading.folder import examined, files_of

        if files := files_of(path):
            return examined(path, files)
        raise UsageError(f"{path}: is a folder without .json files; name a file in it")
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    if is_stream(path):
        raise UsageError(f"{path}: is a pipe or a device, and a trace is read more than once; save it to a file first")
    with unpacked(path, gzipped=False) as file:
        start = file.read(8)
    if not start:
        raise DataError(f"{path}: is empty")
    if start.startswith(b"PAR1"):
        return _parquet(path)
    for magic, name in _PACKED.items():
        if start.startswith(magic):
            raise DataError(f"{path}: is packed with {name}; unpack it first (gzip is read as it is)")
    gzipped = start.startswith(_GZIP)
    with unpacked(path, gzipped) as file:
        begin = file.read(_HEAD_BYTES)
        _check_text(path, begin)
        while b"\n" not in begin.lstrip() and (more := file.read(_HEAD_BYTES)):
            begin += more
            check_length(path, 1, len(begin))
    if not begin.strip():
        raise DataError(f"{path}: {'holds blank lines alone' if begin else 'is empty'}")
    bare = begin.removeprefix(BOM)
    if bare.lstrip()[:1] in (b"{", b"["):
        return _json(path, bare, gzipped, len(begin) - len(bare))
    return _csv(path, bare, gzipped, len(begin) - len(bare))


def _check_text(path: Path, begin: bytes) -> None:
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: is text in UTF-16; save it as UTF-8")
    at = begin.find(b"\0")
    if at >= 0:
        raise DataError(f"{path}: is neither text nor Parquet: its byte {at} is NUL")
    part = begin[:4096]
    control = sum(byte < 9 or 13 < byte < 32 for byte in part)
    if control > len(part) / 20:
        raise DataError(f"{path}: is neither text nor Parquet: it begins {part[:12]!r}")


def _parquet(path: Path) -> Source:
    try:
        file = pl.scan_parquet(path, glob=False)
        schema = file.collect_schema()
        first = file.head(FIRST_ROWS).collect()
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise DataError(f"{path}: not a readable Parquet file: {' '.join(str(fault).split())[:200]}") from None
    return Source(path, Head(path, "parquet", tuple(schema), tuple(first.iter_rows(named=True)), dict(schema)))


def _json(path: Path, begin: bytes, gzipped: bool, mark: int) -> Source:
    lines = [line for line in begin.split(b"\n")[:FIRST_ROWS] if line.strip()]
    if begin.lstrip()[:1] == b"{":
        objects = [row for row in map(_object, lines) if row is not None]
        if _object(lines[0]) is not None or any(_object(line) for line in lines[1:5]):
            return Source(path, _json_head(path, "jsonl", objects), gzipped, begin=mark)
    from groundswell.formats.reading.document import first_items

    rows = first_items(path, gzipped, FIRST_ROWS)
    return Source(path, _json_head(path, "json", rows), gzipped, begin=mark)


def _json_head(path: Path, kind: Kind, rows: list[dict[str, Any]]) -> Head:
    if not any(rows):
        raise DataError(f"{path}: is JSON, but holds no objects with values")
    return Head(path, kind, tuple(dict.fromkeys(key for row in rows for key in row)), tuple(rows))


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _csv(path: Path, begin: bytes, gzipped: bool, mark: int) -> Source:
    blank = len(begin) - len(begin.lstrip(b"\r\n"))
    end = after_record(begin, blank) or len(begin)
    try:
        header = begin[blank:end].decode().strip("\r\n")
    except UnicodeDecodeError as fault:
        raise DataError(f"{path}: its first line is not UTF-8 text (byte {fault.start}); save it as UTF-8") from None
    bare = "".join(header.split('"')[::2])
    if "\r" in bare:
        raise DataError(f"{path}: its lines end in CR alone, as on Macs long ago; save it with LF or CR LF")
    separator = max(_SEPARATORS, key=bare.count)
    names = tuple(name.strip() for name in next(_records(header, separator), []))
    first = tuple(dict(zip(names, row, strict=False)) for row in _first_records(begin[end:], separator))
    return Source(path, Head(path, "csv", names, first), gzipped, separator, mark + end, 1 + begin.count(b"\n", 0, end))


def _first_records(rows: bytes, separator: str) -> Iterator[list[str]]:
    text = rows.decode(errors="replace")
    if len(text) > _HEAD_BYTES // 2:
        text = text[: text.rfind("\n") + 1]
    filled = (row for row in _records(text, separator) if any(row))
    return islice(filled, FIRST_ROWS)


def _records(text: str, separator: str) -> Iterator[list[str]]:
    """The records of a CSV as far as they can be read: this is for a first look."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    while True:
        try:
            yield next(reader)
        except (StopIteration, csv.Error):
            return
