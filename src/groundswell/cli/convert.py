"""``groundswell convert``: a trace from one format into another."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundswell.cli import _options as take
from groundswell.cli._files import with_turns, write_workload
from groundswell.cli._groups import with_options
from groundswell.cli._reading import Reading
from groundswell.cli._stop import StoppedError, stopped_between
from groundswell.cli._traces import say_reading

if TYPE_CHECKING:
    from groundswell.formats.reading import Trace

Out = Annotated[Path, typer.Argument(metavar="OUT", show_default=False, help="The file to write.")]


@with_options()
def convert(
    *,
    trace_file: take.TraceFile,
    output: Out,
    to: take.To = None,
    turns: take.Turns = None,
    reading: Reading,
) -> None:
    """Convert a trace from one format into another.

    Arrivals count from the earliest row.
    """
    began_s = time.perf_counter()
    from groundswell import formats
    from groundswell.formats.reading import in_order
    from groundswell.units import show_bytes, show_count
    from groundswell.whole_file import check_apart, check_place, is_stream

    check_place(output)
    to = with_turns(output, to, turns)
    formats.FORMATS.build(formats.format_of(output, to))
    trace = reading.trace(trace_file)
    check_apart(output, trace_file)
    command = shlex.join(["groundswell", "convert", trace_file.name, output.name])
    try:
        rows = in_order(trace, lambda found: _write(found, output, to, {"command": command}))
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted; nothing was written to {output}") from None
    say_reading(trace)
    took_s = time.perf_counter() - began_s
    # the words must not run into the data
    place = sys.stderr if is_stream(output) else sys.stdout
    requests = "request" if rows == 1 else "requests"
    size = "" if is_stream(output) else f", {show_bytes(output.stat().st_size)}"
    print(
        f"wrote {output}{size}: {rows:,} {requests} from {trace_file} ({trace.format}) in {took_s:.1f} s "
        f"({show_count(rows / took_s)} requests/s)",
        file=place,
    )


def _write(trace: Trace, output: Path, to: str | None, record: dict[str, Any]) -> int:
    """The number of rows written."""
    from groundswell import formats
    from groundswell.progress import with_progress

    if formats.format_of(output, to) == "parquet":
        # A Parquet file has one list of clients, which is known when all rows have been read.
        with stopped_between(trace) as blocks:
            trace.learn_clients(with_progress(blocks, trace.expected_rows, "reading clients"))
    with stopped_between(trace) as blocks:
        # What the first block tells of the trace, its second 0 for one, some formats write with their first row.
        first: Iterable[Any] = [next(blocks)]
        shown = with_progress(chain(first, blocks), trace.expected_rows, "converting")
        return write_workload(shown, output, to, {**trace.metadata, **record})
