"""A comparison of workloads as a page to read, and as files of figures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from groundswell.fidelity import said
from groundswell.report import words
from groundswell.report.comparison.aspects import aspects
from groundswell.report.comparison.curves import curves
from groundswell.report.comparison.marks import REFERENCE
from groundswell.report.comparison.together import together
from groundswell.report.figure import Figure, Section
from groundswell.report.files import FORMATS, write_each, write_page
from groundswell.report.html import page
from groundswell.units import show_count, show_duration

if TYPE_CHECKING:
    from groundswell.fidelity import Candidate, Comparison


def write_html(comparison: Comparison, path: Path) -> None:
    """The comparison as one page that needs nothing else."""
    write_page(page(title(comparison), _summary(comparison), sections(comparison)), path)


def write_figures(comparison: Comparison, folder: Path, formats: Sequence[str] = tuple(FORMATS)) -> list[Path]:
    """Each figure in each format as a file in ``folder``, named by the figure's key. Gives the files."""
    return write_each(charts(comparison), folder, formats)


def charts(comparison: Comparison) -> list[Figure]:
    """Every figure, in the order of the page."""
    return [figure for section in sections(comparison) for figure in section.figures]


def title(comparison: Comparison) -> str:
    """What is compared with what, by the names of the files."""
    reference, *others = names(comparison)
    return f"{reference} and {others[0]}" if len(others) == 1 else f"{reference} and {len(others)} candidates"


def names(comparison: Comparison) -> list[str]:
    """The reference and the candidates by the ends of their paths, as much of them as tells the candidates apart."""
    ends = words.ends([candidate.name for candidate in comparison.candidates])
    reference = words.short(PurePath(comparison.reference).name or comparison.reference, 60)
    return [reference, *words.labels([REFERENCE, *ends], 40)[1:]]


def sections(comparison: Comparison) -> list[Section]:
    """The aspects, then what is behind them."""
    _, *others = names(comparison)
    return [
        aspects(comparison, others),
        *(section for section in curves(comparison, others) if section.figures),
        together(comparison, others),
    ]


def _summary(comparison: Comparison) -> str:
    """The head of the page, as HTML: what is compared, and a line on each candidate."""
    reference, *others = names(comparison)
    lead = (
        f"The reference is {reference}: {_size(comparison.requests, comparison.span_s)}. A candidate is off in an "
        "aspect where it is further from the reference than 95 % of pairs of draws from the reference are apart."
    )
    rows = "".join(map(_line, others, comparison.candidates))
    return (
        f"<header><h1>{escape(title(comparison))}</h1><p class='quiet'>{escape(lead)}</p></header>"
        f'<div class="card findings"><table><tbody>{rows}</tbody></table></div>'
    )


def _line(name: str, candidate: Candidate) -> str:
    size = _size(candidate.requests, candidate.span_s)
    return (
        f'<tr><th scope="row">{escape(name)}<small>{escape(size)}</small></th>'
        f"<td>{escape(said.summary(candidate))}.</td></tr>"
    )


def _size(requests: int, span_s: float) -> str:
    return f"{show_count(requests)} requests in {show_duration(span_s)}"
