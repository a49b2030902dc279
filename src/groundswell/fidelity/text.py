"""A comparison on a terminal: one row an aspect, for each candidate, in 80 columns and more."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from groundswell.fidelity import Candidate, Comparison, said
from groundswell.fidelity.resample import Aspect
from groundswell.units import show_count, show_duration

_HEAD = ("", "", "reference", "candidate", "apart", "noise", "× noise")
_LEFT = {0, 1}


def describe(comparison: Comparison, width: int = 100) -> str:
    """The candidates one after the other: what their aspects add up to, then each aspect; at most ``width`` wide."""
    reference = f"reference {comparison.reference}: {_size(comparison.requests, comparison.span_s)}"
    lines = [reference]
    rows = [[_row(aspect) for aspect in candidate.aspects] for candidate in comparison.candidates]
    widths = [max(len(row[i]) for row in [_HEAD, *(row for some in rows for row in some)]) for i in range(len(_HEAD))]
    between = "  " if 2 * len(widths) - 3 + sum(widths) <= width else " "
    for candidate, own in zip(comparison.candidates, rows, strict=True):
        lines += ["", *_candidate(candidate, width), *(_line(row, widths, between) for row in [_HEAD, *own])]
    marks = "   ".join(f"{said.MARKS[verdict]} {words}" for verdict, words in _MARKED.items())
    legend = (
        "apart: how far the candidate is from the reference; of a curve, where the two differ most. "
        "noise: 95 % of pairs of draws from the reference are less apart. Figures of lengths are geometric means, "
        "those of a rate with mean lengths are correlations over short windows."
    )
    return "\n".join([*lines, "", *textwrap.wrap(marks, width), *textwrap.wrap(legend, width)])


_MARKED = {
    "indistinguishable": "indistinguishable at this sample size",
    "differs": "off",
    "cannot be said": "cannot be said",
}


def _candidate(candidate: Candidate, width: int) -> Iterator[str]:
    yield f"{candidate.name}: {_size(candidate.requests, candidate.span_s)}"
    yield from textwrap.wrap(said.summary(candidate), width)


def _size(requests: int, span_s: float) -> str:
    return f"{show_count(requests)} requests in {show_duration(span_s)}"


def _row(aspect: Aspect) -> tuple[str, ...]:
    return (
        said.MARKS[aspect.verdict],
        said.name(aspect),
        said.figure(aspect, aspect.reference),
        said.figure(aspect, aspect.candidate),
        said.apart(aspect),
        said.noise(aspect),
        said.times_noise(aspect) if aspect.verdict == "differs" else "",
    )


def _line(row: Sequence[str], widths: Sequence[int], between: str) -> str:
    cells = [c.ljust(w) if i in _LEFT else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
    return f"{cells[0]} {between.join(cells[1:])}".rstrip()
