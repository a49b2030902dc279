"""A file's bytes in pieces of whole lines, so that each can be read by itself and knows where in the file it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import DataError

LONGEST_LINE = 2**26
"""A line of more bytes is no row."""
PIECE_BYTES = 2**23
"""So much is read at a time: enough that starting on a piece costs nothing, little enough to stay flat."""


@dataclass(frozen=True)
class Piece:
    """Some whole lines of a file."""

    data: bytes
    line: int
    """The number of the first of them."""


def check_length(path: Path, line: int, length: int) -> None:
    """Raises DataError if a line that is not at its end yet is too long already."""
    if length > LONGEST_LINE:
        raise DataError(f"{path}, line {line}: is longer than {LONGEST_LINE // 2**20} MB; a row is one line")


def pieces(file: IO[bytes], path: Path, line: int, *, quoted: bool) -> Iterator[Piece]:
    """``file`` from where it stands, cut behind line ends; ``quoted`` if one between quotes is part of a value.

    Raises DataError for a line that is too long, so no more than that is ever held.
    """
    rest = b""
    while data := file.read(PIECE_BYTES):
        data = rest + data
        end = _last_end(data, quoted)
        if end:
            yield Piece(data[:end], line)
            line += data.count(b"\n", 0, end)
        rest = data[end:]
        check_length(path, line, len(rest))
    if rest:
        yield Piece(rest, line)


def _last_end(data: bytes, quoted: bool) -> int:
    """Behind the last line end, 0 if there is none."""
    end = data.rfind(b"\n") + 1
    if not quoted:
        return end
    quotes = data.count(b'"', 0, end)
    while end and quotes % 2:
        before = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(b'"', before, end)
        end = before
    return end


def after_record(data: bytes, start: int) -> int:
    """Behind the end of the CSV record that begins at ``start``; 0 if it does not end in ``data``."""
    end, quotes = start, 0
    while (next_end := data.find(b"\n", end) + 1) > 0:
        quotes += data.count(b'"', end, next_end)
        if quotes % 2 == 0:
            return next_end
        end = next_end
    return 0


def record_bounds(data: bytes, *, quoted: bool) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of each record: its first byte, the byte behind it, and how many line ends of ``data`` come before it."""
    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(text == ord("\n")) + 1
    if not ends.size or ends[-1] != text.size:
        ends = np.append(ends, text.size)
    lines = np.arange(1, ends.size + 1)
    if quoted and b'"' in data:
        quotes = np.searchsorted(np.flatnonzero(text == ord('"')), ends)
        closed = quotes % 2 == 0
        closed[-1] = True
        ends, lines = ends[closed], lines[closed]
    starts = np.concatenate([[0], ends[:-1]])
    return starts, ends, np.concatenate([[0], lines[:-1]])
