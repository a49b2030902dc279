"""A folder of JSON files, each one document: read as lines, one a file, in the order of their names."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from groundswell.errors import DataError
from groundswell.formats.layout import Head
from groundswell.formats.reading.lines import check_length
from groundswell.formats.reading.source import FIRST_ROWS, Source

_ENDING = ".json"


def files_of(folder: Path) -> list[Path]:
    """The files of a folder that are read: those that end in ``.json``."""
    return sorted(path for path in folder.iterdir() if path.suffix == _ENDING and path.is_file())


def examined(folder: Path, files: list[Path]) -> Source:
    """What a folder of ``files`` is. Raises DataError for a first one that is no JSON object."""
    rows = [_object(files[i], i + 1) for i in range(min(len(files), FIRST_ROWS))]
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    return FolderSource(folder, Head(folder, "jsonl", columns, tuple(rows)))


class FolderSource(Source):
    """A folder to read; a row is a file."""

    @property
    def place(self) -> str:
        """What a row's number counts."""
        return "file"

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The files' bytes, a line each."""
        yield cast(IO[bytes], io.BufferedReader(_Lines(files_of(self.path))))

    @property
    def expected_rows(self) -> float:
        """The number of files: nobody knows how many requests each has."""
        return float(len(files_of(self.path)))


class _Lines(io.RawIOBase):
    """Documents as lines, one after the other."""

    def __init__(self, files: list[Path]) -> None:
        self._files = iter(enumerate(files, 1))
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As much of the document at hand as ``buffer`` has room for."""
        if not self._rest:
            number, path = next(self._files, (0, None))
            if path is None:
                return 0
            self._rest = memoryview(_line(path, number))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _line(path: Path, number: int) -> bytes:
    """A document in one line: inside a JSON string line ends are written ``\\n``, so all that are there are blanks."""
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise DataError(f"{path}: cannot be read: {fault.strerror or fault}") from None
    check_length(path, number, len(data))
    return data.strip().removeprefix(b"\xef\xbb\xbf").replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"


def _object(path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(_line(path, number))
    except (ValueError, RecursionError) as fault:
        raise DataError(f"{path}: is not JSON: {fault}") from None
    if not isinstance(row, dict):
        raise DataError(f"{path}: is JSON, but no object")
    return row
