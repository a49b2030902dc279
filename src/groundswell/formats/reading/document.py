"""A file that is one JSON document: a list of objects, or one object, made into lines."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import msgspec

from groundswell.errors import DataError
from groundswell.formats.reading.lines import Piece

LARGEST = 2**29
"""A document must fit in memory; beyond this many bytes it should be lines."""

_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


def document(file: IO[bytes], path: Path) -> Piece:
    """The items of the document as lines, numbered from 1; a document that is no list is one item."""
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise DataError(
            f"{path}: is one JSON document of more than {LARGEST // 2**20} MB; write one object a line: jq -c '.[]'"
        )
    data = data.strip().removeprefix(b"\xef\xbb\xbf").strip()
    try:
        items = _ITEMS.decode(data) if data.startswith(b"[") else [msgspec.json.decode(data, type=msgspec.Raw)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise DataError(f"{path}: is neither JSON lines nor one JSON document: {fault}") from None
    # A line end inside a JSON string is written \n, so those that are there are blanks between tokens.
    lines = [bytes(item).replace(b"\n", b" ").replace(b"\r", b" ") for item in items]
    return Piece(b"\n".join(lines), 1)


def first_items(path: Path, gzipped: bool, most: int) -> list[dict[str, Any]]:
    """The first objects of a document."""
    from groundswell.formats.reading.source import unpacked

    with unpacked(path, gzipped) as file:
        lines = document(file, path).data.split(b"\n", most)[:most]
    try:
        rows = [msgspec.json.decode(line) for line in lines if line]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise DataError(f"{path}: is neither JSON lines nor one JSON document: {fault}") from None
    return [row for row in rows if isinstance(row, dict)]
