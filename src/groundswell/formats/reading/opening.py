"""Opening a trace: finding out what a file is, and how its rows are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from groundswell.errors import DataError, UsageError
from groundswell.formats import FORMATS
from groundswell.formats.layout import Head, Layout
from groundswell.formats.layout.columns import shown_columns
from groundswell.formats.layout.mapped import mapped, ours
from groundswell.formats.reading.order import FRAME_ROWS
from groundswell.formats.reading.outcome import BadRows
from groundswell.formats.reading.senders import by_sender
from groundswell.formats.reading.source import examine
from groundswell.formats.reading.trace import Trace

OURS = ("csv", "jsonl", "parquet")


def read(
    path: str | Path,
    format: str | None = None,  # noqa: A002 (the word for it)
    *,
    columns: Mapping[str, str] | None = None,
    time_unit: str | None = None,
    block_tokens: int | None = None,
    client_by: str | None = None,
    bad_rows: BadRows = "stop",
    dequantise: bool = False,
    block_rows: int = FRAME_ROWS,
) -> Trace:
    """The trace in a file, to be iterated for its blocks; memory does not grow with it.

    ``format`` is the text of a part, such as ``azure`` or ``mooncake:block_tokens=16``; None looks at the content.
    ``columns`` names the columns of any other table instead: ``{"arrival": "TIMESTAMP", "client": "user"}``, with
    ``time_unit`` (s, ms, us, ns) where arrivals are numbers and ``block_tokens``, the size of its prefix blocks.
    ``client_by`` makes another column the client, or several joined by ``+``. ``bad_rows`` says whether a row that
    cannot be meant ends the reading or is left out and counted. ``dequantise`` spreads the rows of a coarse clock's
    tick over it.

    Raises :class:`UsageError` for what cannot be meant, a missing column included, :class:`DataError` for a file that
    is no trace.
    """
    if bad_rows not in ("stop", "skip"):
        raise UsageError(f"bad_rows {bad_rows!r}: must be stop or skip")
    if block_rows < 1:
        raise UsageError(f"block_rows {block_rows}: must be at least 1")
    source = examine(Path(path))
    head = source.head
    name, how = _how(head, format, columns, time_unit, block_tokens)

    def layout() -> Layout:
        # A layout may remember what it saw, so that each reading begins with a new one.
        found = how()
        found = found if client_by is None else by_sender(found, head, client_by)
        return replace(found, notes=(*found.notes, *_said_twice(head, found)))

    return Trace(
        source,
        name,
        layout,
        bad_rows=bad_rows,
        dequantise=dequantise,
        block_rows=block_rows,
        sure_of_unit=time_unit is not None,
    )


def _how(
    head: Head,
    text: str | None,
    columns: Mapping[str, str] | None,
    time_unit: str | None,
    block_tokens: int | None,
) -> tuple[str, Callable[[], Layout]]:
    """The name of the format, and what makes a layout of it."""
    if columns or time_unit is not None or block_tokens is not None:
        own = "jsonl" if head.kind == "json" else head.kind
        if block_tokens is not None and not columns and time_unit is None:
            _check_states_no_blocks(head, text, block_tokens)
        if text is not None and text != own:
            raise UsageError(f"{head.path}: either name its columns or say {text}, not both")
        return own, lambda: mapped(head, columns or {}, time_unit, block_tokens)
    name = text if text is not None else sniffed(head)
    part: Any = FORMATS.build(name)
    if not hasattr(part, "layout"):
        raise UsageError(f"{head.path}: {name} is a format that is written, not read")
    if name in OURS and name != head.kind and (name, head.kind) != ("jsonl", "json"):
        raise UsageError(f"{head.path}: is {head.kind}, not {name}")
    return name.partition(":")[0], lambda: part.layout(head)


def _check_states_no_blocks(head: Head, text: str | None, block_tokens: int) -> None:
    """Raises UsageError for a file of a format that says in its own words how large its blocks are."""
    name = (text or ("" if ours(head) else sniffed(head))).partition(":")[0]
    if name and name not in OURS and "block_tokens" in FORMATS.signature(name):
        raise UsageError(f"{head.path}: is {name}; say {name}:block_tokens={block_tokens} for its format")


def _said_twice(head: Head, layout: Layout) -> list[str]:
    """What to say of columns that are read and have the same name as another."""
    twice = [name for name in layout.raw if head.columns.count(name) > 1]
    return [f"There are several columns {name!r}; the first of them is read." for name in twice]


def sniffed(head: Head) -> str:
    """The format that recognises a file. Raises DataError if none does, UsageError if several do."""
    readable = [name for name in FORMATS if hasattr(FORMATS[name], "recognises")]
    found = [name for name in readable if FORMATS[name].recognises(head)]  # type: ignore[attr-defined]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{head.path}: may be {' or '.join(found)}; say which")
    raise DataError(
        f"{head.path}: its columns are {shown_columns(head.columns)}, which is none of {', '.join(readable)}; name "
        f"those that count (--map arrival=COLUMN --map input_tokens=COLUMN --map output_tokens=COLUMN){_inside(head)}"
    )


def _inside(head: Head) -> str:
    """Where the requests are, if a document of one object holds them in a list."""
    if head.kind == "parquet" or len(head.first) != 1:
        return ""
    lists = {name: value for name, value in head.first[0].items() if isinstance(value, list) and name.isidentifier()}
    rows = [name for name, value in lists.items() if value and isinstance(value[0], dict)]
    return f"; if {rows[0]!r} are its rows, write them one a line: jq -c '.{rows[0]}[]'" if rows else ""
