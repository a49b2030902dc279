"""How verbs open a trace, and what they say of how it was read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from groundswell.cli._stop import StoppedError, stopped_between
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from groundswell.formats.reading import Trace
    from groundswell.replay.source import Source
    from groundswell.table import Workload

Result = TypeVar("Result")

SHOWN = 3
"""So many of the skipped rows are told."""


def open_trace(
    path: Path,
    format: str | None = None,  # noqa: A002 (the word for it)
    columns: Sequence[str] | None = None,
    time_unit: str | None = None,
    client_by: str | None = None,
    bad_rows: Literal["stop", "skip"] = "stop",
    dequantise: bool = False,
    block_tokens: int | None = None,
) -> Trace:
    """The trace that the options of a verb mean; ``columns`` are the texts of ``--map``."""
    from groundswell.formats.reading import read

    return read(
        path,
        format,
        columns=_mapping(columns or ()),
        time_unit=time_unit,
        block_tokens=block_tokens,
        client_by=client_by,
        bad_rows=bad_rows,
        dequantise=dequantise,
    )


def _mapping(texts: Sequence[str]) -> dict[str, str] | None:
    columns: dict[str, str] = {}
    for text in texts:
        ours, equals, theirs = (piece.strip() for piece in text.partition("="))
        if not (ours and equals and theirs):
            raise UsageError(f"--map {text}: say OURS=THEIRS, such as arrival=TIMESTAMP")
        if ours in columns:
            raise UsageError(f"--map {text}: {ours} is given twice")
        columns[ours] = theirs
    return columns or None


def through(trace: Trace, label: str, work: Callable[[Iterator[Workload]], Result]) -> Result:
    """What ``work`` makes of the trace's blocks, which it goes through once; with a progress bar, and Ctrl-C heeded.

    A trace that turns out not to be in order is put in order, and ``work`` starts again.
    """
    from groundswell.formats.reading import in_order
    from groundswell.progress import with_progress

    def once(found: Trace) -> Result:
        with stopped_between(found) as blocks:
            result = work(with_progress(blocks, found.expected_rows, label))
            blocks.heed()
            return result

    try:
        return in_order(trace, once)
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted while {label}; nothing was written") from None


def say_reading(trace: Trace, about: str = "", unsaid: Collection[str] = ()) -> None:
    """What a person should know of how the trace was read, on stderr: what was skipped and why, and notes.

    Each is said ``about`` a file, where there are several; notes that are ``unsaid`` are left out.
    """
    from groundswell.cli._print import note

    reading = trace.reading
    about = f"{about}: " if about else ""
    if reading.skipped:
        shown = [f"{trace.place} {number}: {reason}" for number, reason in reading.first_skipped[:SHOWN]]
        more = "; …" if reading.skipped > SHOWN else ""
        rows = f"{reading.skipped:,} of {reading.rows + reading.skipped:,} rows"
        note(f"{about}{rows} were skipped. {'; '.join(shown)}{more}")
    for text in reading.notes:
        if text not in unsaid:
            note(about + text)


def opened_source(
    path: Path,
    format: str | None = None,  # noqa: A002 (the word for it)
    columns: Sequence[str] | None = None,
    time_unit: str | None = None,
    block_tokens: int | None = None,
    client_by: str | None = None,
    bad_rows: Literal["stop", "skip"] = "stop",
    dequantise: bool = False,
) -> Source:
    """The workload that the options of a verb mean, to be read as often as it is needed."""
    from groundswell.replay.source import opened

    source = opened(
        path,
        format,
        through=lambda trace, work: through(trace, f"reading {path.name}", work),
        columns=_mapping(columns or ()),
        time_unit=time_unit,
        block_tokens=block_tokens,
        client_by=client_by,
        bad_rows=bad_rows,
        dequantise=dequantise,
    )
    if source.trace is not None:
        say_reading(source.trace)
    return source
