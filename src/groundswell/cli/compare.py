"""``groundswell compare``: how far workloads are from a reference, against the noise of redrawing that."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundswell.cli import _options as take
from groundswell.cli._reading import Reading
from groundswell.cli._traces import say_reading, through
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from groundswell.fidelity import Comparison
    from groundswell.fidelity.profile import Profile
    from groundswell.formats.reading import Trace

WIDTHS = (80, 110)
"""Of the text: at least, however narrow the terminal is, and at most."""

Candidates = Annotated[
    list[Path], typer.Argument(metavar="CANDIDATE...", show_default=False, help="The traces to hold against it.")
]


def compare(
    reference: take.TraceFile,
    candidates: Candidates,
    json: take.Json = False,
    html: take.HtmlPage = None,
    figures: take.FiguresFolder = None,
    from_: take.From = None,
    columns: take.Map = None,
    time_unit: take.TimeUnit = None,
    block_tokens: take.TableBlockTokens = None,
    bad_rows: take.BadRows = "stop",
    dequantise: take.Dequantise = False,
) -> None:
    """Say how far traces are from a reference, aspect by aspect, against the noise of drawing that again.

    --format, --map, --time-unit and --block-tokens are for the reference; candidates are read as their content says.
    --bad-rows and --dequantise are for all.
    """
    from groundswell.characterize.as_json import as_json
    from groundswell.fidelity import held
    from groundswell.fidelity.text import describe
    from groundswell.whole_file import check_apart, check_folder, check_place

    if html is not None:
        check_place(html)
        check_apart(html, reference, *candidates)
    if figures is not None:
        check_folder(figures)
    names = [str(path) for path in candidates]
    if len(set(names)) < len(names):
        raise UsageError(f"{max(names, key=names.count)}: is given twice")
    # All are opened before the first is read, so that a wrong name shows itself at once.
    reading = Reading(from_, columns, time_unit, block_tokens, None, bad_rows, dequantise)
    against = reading.trace(reference)
    others = [Reading(bad_rows=bad_rows, dequantise=dequantise).trace(path) for path in candidates]
    profile = _profile(against, reference)
    found = profile.finds_conversations
    profiles = [_profile(trace, path, find=found) for trace, path in zip(others, candidates, strict=True)]
    _say_readings([against, *others])
    comparison = held(str(reference), profile, dict(zip(names, profiles, strict=True)))
    if json:
        sys.stdout.write(as_json(comparison).decode())
    else:
        least, most = WIDTHS
        print(describe(comparison, min(max(shutil.get_terminal_size((most, 24)).columns, least), most)))
    _draw(comparison, html, figures)


def _profile(trace: Trace, path: Path, *, find: bool = False) -> Profile:
    from groundswell.fidelity import profile

    return through(trace, f"reading {path.name}", lambda blocks: profile(blocks, str(path), trace.metadata, find=find))


def _say_readings(traces: Sequence[Trace]) -> None:
    """How each was read. That one has no ticks to spread is no news where another has."""
    from groundswell.formats.reading.clock import NO_TICK

    ticks = any(trace.reading.tick_s is not None for trace in traces)
    for trace in traces:
        say_reading(trace, str(trace.path), {NO_TICK} if ticks else ())


def _draw(comparison: Comparison, html: Path | None, figures: Path | None) -> None:
    """The page and the pictures that were asked for."""
    if html is None and figures is None:
        return
    from groundswell.report.comparison import write_figures, write_html

    if html is not None:
        write_html(comparison, html)
        print(f"wrote {html}", file=sys.stderr)
    if figures is not None:
        write_figures(comparison, figures)
        print(f"wrote the figures to {figures}", file=sys.stderr)
