"""A characterization as files: one page, or each figure as SVG, PNG and PDF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from groundswell.report import overview
from groundswell.report.figure import Figure
from groundswell.report.files import FORMATS, write_each, write_page
from groundswell.report.html import page
from groundswell.report.topics import sections

if TYPE_CHECKING:
    from groundswell.characterize.engine import Characterization


def charts(whole: Characterization) -> list[Figure]:
    """Every figure of the report, in the order of the page."""
    return [figure for section in sections(whole) for figure in section.figures]


def write_html(whole: Characterization, path: Path) -> None:
    """The report as one page that needs nothing else, of at most 3 MB whatever the trace."""
    text = page(overview.title(whole), overview.summary(whole), list(sections(whole)))
    write_page(text, path)


def write_figures(whole: Characterization, folder: Path, formats: Sequence[str] = tuple(FORMATS)) -> list[Path]:
    """Each figure in each format as a file in ``folder``, named by the figure's key. Gives the files."""
    return write_each(charts(whole), folder, formats)
