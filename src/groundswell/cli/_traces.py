"""How verbs go through a trace, and what they say of how it was read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, TypeVar

from groundswell.cli._stop import StoppedError, stopped_between

if TYPE_CHECKING:
    from groundswell.formats.reading import Trace
    from groundswell.table import Workload

Result = TypeVar("Result")

SHOWN = 3
"""So many of the skipped rows are told."""


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
