"""A run, or two over one another, as a page to read and as files of figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from groundswell.report.figure import Figure, Section
from groundswell.report.files import FORMATS, write_each, write_page
from groundswell.report.html import page
from groundswell.report.run import differences, errors, lag, latency, parts, phases, settings, timeline
from groundswell.report.run.head import summary, title
from groundswell.report.run.shown import Shown, names

__all__ = ["Shown", "charts", "names", "sections", "write_figures", "write_html"]


def write_html(runs: Sequence[Shown], path: Path) -> None:
    """One run, or two that are held against each other, as one page that needs nothing else; its size does not depend
    on the number of requests."""
    write_page(page(title(runs), summary(runs), sections(runs), "Not in this run"), path)


def write_figures(runs: Sequence[Shown], folder: Path, formats: Sequence[str] = tuple(FORMATS)) -> list[Path]:
    """Each figure in each format as a file in ``folder``, named by the figure's key. Gives the files."""
    return write_each(charts(runs), folder, formats)


def charts(runs: Sequence[Shown]) -> list[Figure]:
    """Every figure, in the order of the page."""
    return [figure for section in sections(runs) for figure in section.figures]


def sections(runs: Sequence[Shown]) -> list[Section]:
    """Every section, in the order of the page. Of two runs the first is what the second is held against."""
    compared = [differences.section(runs)] if len(runs) == 2 else []
    return [
        *compared,
        timeline.section(runs),
        latency.section(runs),
        *([phases.section(runs)] if any(run.judgement.phases for run in runs) else []),
        lag.section(runs),
        parts.lengths(runs),
        parts.clients(runs),
        errors.section(runs),
        settings.section(runs),
    ]
