"""``groundswell report``: a run, or two over one another, as a page to read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from groundswell.cli import _options as take
from groundswell.cli.judge import CoolDown, ResultsFile, Slo, WarmUp
from groundswell.errors import UsageError

OtherFile = Annotated[
    Path | None,
    typer.Argument(metavar="OTHER", show_default=False, help="Those of another run, to hold against the first."),
]
Page = Annotated[
    Path | None, take.option("The page to write, which a browser opens without a network.", "FILE", "--output", "-o")
]


def report(
    results: ResultsFile,
    other: OtherFile = None,
    output: Page = None,
    figures: take.FiguresFolder = None,
    slo: Slo = None,
    warm_up: WarmUp = None,
    cool_down: CoolDown = None,
) -> None:
    """Draw what came of a run, or of two over one another: the verdict, latencies, load and the server over time."""
    from groundswell.judge import judge
    from groundswell.judge.slo import SLO
    from groundswell.report.run import Shown, names, write_figures, write_html
    from groundswell.results import Results
    from groundswell.units import parse_duration
    from groundswell.whole_file import check_apart, check_folder, check_place

    if output is None and figures is None:
        raise UsageError("there is nothing to write: name a page with -o page.html, or a folder with --figures FOLDER")
    if output is not None:
        check_place(output)
        check_apart(output, results, other)
    if figures is not None:
        check_folder(figures)
    bounds = None if slo is None else SLO.parse(slo)
    cut = [None if text is None else parse_duration(text) for text in (warm_up, cool_down)]
    paths = [results] if other is None else [results, other]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError(f"{other}: is given twice")
    # Times of single events can be most of a file, and no figure of the page needs them.
    read = [Results.read(path, leave_out=("event_s",)) for path in paths]
    runs = [Shown(name, run, judge(run, bounds, *cut)) for name, run in zip(names(paths), read, strict=True)]
    if output is not None:
        write_html(runs, output)
        print(f"wrote {output}", file=sys.stderr)
    if figures is not None:
        write_figures(runs, figures)
        print(f"wrote the figures to {figures}", file=sys.stderr)
