"""A file's bytes in pieces of whole lines, so that each can be read by itself and knows where in the file it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.errors import DataError

LONGEST_LINE = 2**26
"""A line of more bytes is no row."""
PIECE_BYTES = 2**22
"""So much is read at a time: enough that starting on a piece costs nothing, little enough to stay flat."""


@dataclass(frozen=True)
class Piece:
    """Some whole lines of a file."""

    text: bytes
    """A header, which is no part of the file, and the lines."""
    line: int
    """The number of the first of them."""
    begin: int = 0
    """Where in ``text`` they begin."""

    @property
    def data(self) -> bytes:
        """The lines."""
        return self.text[self.begin :] if self.begin else self.text

    @cached_property
    def lines(self) -> int:
        """How many they are."""
        return count_lines(self.text, self.begin)

    @property
    def quotes(self) -> bool:
        """Whether there are quotes in them."""
        return self.text.find(b'"', self.begin) >= 0


def check_length(path: Path, line: int, length: int) -> None:
    """Raises DataError if a line that is not at its end yet is too long already."""
    if length > LONGEST_LINE:
        raise DataError(
            f"{path}, line {line}: is longer than {LONGEST_LINE // 2**20} MB, or a quote in it is not closed"
        )


def pieces(file: IO[bytes], path: Path, line: int, *, quoted: bool, header: bytes = b"") -> Iterator[Piece]:
    """``file`` from where it stands, cut behind line ends, each piece with ``header`` before it.

    ``quoted``: a line end between quotes is part of a value. Raises DataError for a line that is too long, so no more
    than that is ever held.
    """
    # New memory costs as much as filling it, so the same is read into each time. The C library gives what is freed back
    # at once, unless a larger block has been: then it keeps it for the next piece.
    bytes(4 * PIECE_BYTES)
    buffer = bytearray(PIECE_BYTES)
    view = memoryview(buffer)
    rest: list[bytes] = []
    held, odd = 0, False
    while size := file.readinto(buffer):  # type: ignore[attr-defined]
        end = _last_end(buffer, size, odd) if quoted else buffer.rfind(b"\n", 0, size) + 1
        if end:
            piece = Piece(b"".join((header, *rest, view[:end])), line, len(header))
            yield piece
            line += piece.lines
            rest, held, odd = [], 0, False
        rest.append(bytes(view[end:size]))
        held += size - end
        odd ^= quoted and _count(rest[-1], b'"') % 2 == 1
        check_length(path, line, held)
    if held:
        yield Piece(b"".join((header, *rest)), line, len(header))


def _last_end(data: bytearray, size: int, odd: bool) -> int:
    """Behind the last line end before ``size`` that is not between quotes, 0 if there is none.

    ``odd`` if ``data`` begins between quotes.
    """
    end = data.rfind(b"\n", 0, size) + 1
    if not odd and data.find(b'"', 0, end) < 0:
        return end
    quotes = data.count(b'"', 0, end) + odd
    while end and quotes % 2:
        before = data.rfind(b"\n", 0, max(data.rfind(b'"', 0, end), 0)) + 1
        quotes -= data.count(b'"', before, end)
        end = before
    return end


def count_lines(text: bytes, begin: int = 0) -> int:
    """How many lines stand from ``begin`` on, the last one with or without an end."""
    return _count(text, b"\n", begin) + (len(text) > begin and not text.endswith(b"\n"))


def _count(text: bytes, byte: bytes, begin: int = 0) -> int:
    return int(_number_of(np.frombuffer(text, np.uint8)[begin:], np.uint8(byte[0])))


@compiled
def _number_of(text: Any, byte: Any) -> Any:
    """How often ``byte`` is in ``text``: ten times as fast as ``bytes.count`` where it is often."""
    number = 0
    for i in range(text.size):
        number += text[i] == byte
    return number


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
