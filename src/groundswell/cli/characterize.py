"""``groundswell characterize``: what is in a trace, and which of the papers' findings it shows."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundswell.cli import _options as take
from groundswell.cli._groups import with_options
from groundswell.cli._reading import Reading
from groundswell.cli._traces import say_reading, through

if TYPE_CHECKING:
    from groundswell.characterize.engine import Characterization

WIDTHS = (80, 130)
"""Of the text: at least, however narrow the terminal is, and at most."""


@with_options()
def characterize(
    *,
    trace_file: take.TraceFile,
    window: Annotated[
        str, typer.Option(metavar="TIME", help="Within such a stretch arrivals count as steady.")
    ] = "20m",
    period: Annotated[str, typer.Option(metavar="TIME", help="Between such stretches lengths may shift.")] = "6h",
    json: take.Json = False,
    html: take.HtmlPage = None,
    figures: take.FiguresFolder = None,
    seed: take.Seed = 0,
    workers: take.Workers = None,
    reading: Reading,
) -> None:
    """Say what is in a trace, and which of the papers' findings it shows."""
    from groundswell.characterize.as_json import as_json
    from groundswell.characterize.engine import characterize as characterized
    from groundswell.characterize.engine import read_as
    from groundswell.characterize.setting import Setting
    from groundswell.characterize.text import describe
    from groundswell.units import parse_duration
    from groundswell.whole_file import check_apart, check_folder, check_place

    setting = Setting(parse_duration(window), parse_duration(period), seed=seed)
    if html is not None:
        check_place(html)
        check_apart(html, trace_file)
    if figures is not None:
        check_folder(figures)
    trace = reading.trace(trace_file)
    whole = through(
        trace, "characterizing", lambda blocks: characterized(blocks, setting, workers, metadata=trace.metadata)
    )
    whole = read_as(whole, trace.reading.rows, trace.reading.skipped, trace.reading.notes)
    if json:
        sys.stdout.write(as_json(whole).decode())
    else:
        least, most = WIDTHS
        print(describe(whole, min(max(shutil.get_terminal_size((most, 24)).columns, least), most)))
    say_reading(trace)
    _draw(whole, html, figures)


def _draw(whole: Characterization, html: Path | None, figures: Path | None) -> None:
    """The page and the pictures that were asked for."""
    if html is None and figures is None:
        return
    from groundswell.report import write_figures, write_html

    if html is not None:
        write_html(whole, html)
        print(f"wrote {html}", file=sys.stderr)
    if figures is not None:
        write_figures(whole, figures)
        print(f"wrote the figures to {figures}", file=sys.stderr)
