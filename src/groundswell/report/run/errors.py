"""Requests that failed: of which kinds, when, and what servers said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from groundswell.characterize.figures import Series
from groundswell.report import axes, palette, words
from groundswell.report.figure import Figure, Section, Table
from groundswell.report.run.marks import Part
from groundswell.report.run.shown import Shown
from groundswell.report.run.timeline import each, panel

MOST_KINDS = 6
MOST_WORDS = 200
COLOURS = tuple(palette.LIGHT[name] for name in ("red", "orange", "pink", "brown", "sky", "grey"))


def section(runs: Sequence[Shown]) -> Section:
    """The kinds of errors in a table, and each over time."""
    if not any(run.judgement.failed for run in runs):
        return Section("errors", "Errors", missing="no request failed")
    return Section(
        "errors",
        "Errors",
        "Requests of the whole run that failed, by how. They count as infinitely late, and keep no bound.",
        figures=tuple(_figures(runs)),
        tables=tuple(_table(run, len(runs) > 1) for run in runs if run.judgement.errors),
        stacked=True,
    )


def _figures(runs: Sequence[Shown]) -> Iterator[Figure]:
    """Of one run the kinds; of two, how many failed is over time already."""
    if len(runs) > 1:
        return
    (run,) = runs
    kinds = [error.kind for error in run.judgement.errors[:MOST_KINDS]]
    yield from panel(
        runs, "errors-time", "Failures per second by kind",
        f"Requests that failed, by when they were due, in stretches of {each(runs, 'rate_width_s')}.",
        words.count(run.judgement.failed, "failure"), axes.count("failures per second"),
        [Part(kind, colour, partial(_over_time, kind)) for kind, colour in zip(kinds, COLOURS, strict=False)],
    )  # fmt: skip


def _over_time(kind: str, run: Shown) -> Series:
    return run.rate("due_s", (run.results.frame["error"] == kind).fill_null(False).to_numpy())


def _table(run: Shown, named: bool) -> Table:
    rows = [
        (
            error.kind,
            words.number(error.count),
            words.share(error.share),
            ", ".join(f"{status} ({words.number(count)})" for status, count in error.statuses[:6]) or "–",
            " · ".join(words.short(text, MOST_WORDS) for text in error.examples) or "–",
        )
        for error in run.judgement.errors
    ]
    head = ("error", "requests", "of all", "HTTP status", "what was said")
    return Table(f"Errors{f' of {run.name}' if named else ''}", head, rows, prose=(4,))
