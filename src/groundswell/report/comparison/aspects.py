"""In each aspect, how far the candidates are from the reference, over the noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from groundswell.fidelity import said
from groundswell.report import plot
from groundswell.report.comparison.marks import colour
from groundswell.report.figure import Figure, Section, Table, Verdict
from groundswell.units import show_count

if TYPE_CHECKING:
    from groundswell.fidelity import Aspect, Candidate, Comparison

KINDS = {"indistinguishable": "yes", "differs": "no", "cannot be said": "open"}


def aspects(comparison: Comparison, others: Sequence[str]) -> Section:
    """All candidates in one figure, and a table of each."""
    figures = [_all_aspects(comparison, others)] if any(map(_ratios, comparison.candidates)) else []
    return Section(
        "aspects",
        "Aspects",
        "In each aspect, how far a candidate is from the reference, and how far apart two draws of the reference are: "
        "its stretches of time are drawn again from near where they were (a local block bootstrap), two hundred times.",
        figures=figures,
        tables=[_table(name, candidate) for name, candidate in zip(others, comparison.candidates, strict=True)],
    )


def _table(name: str, candidate: Candidate) -> Table:
    note = (
        "Of a curve, the figures are those where the two differ most; of lengths, geometric means; of a rate with mean "
    )
    note += (
        "lengths, correlations, and the distance is an energy distance in standard deviations (SD) of the reference."
    )
    head = ("aspect", "reference", "candidate", "apart", "noise", "verdict")
    return Table(name, head, [_row(aspect) for aspect in candidate.aspects], note)


def _row(aspect: Aspect) -> tuple[str | Verdict, ...]:
    verdict = Verdict(KINDS[aspect.verdict], said.MARKS[aspect.verdict], said.verdict(aspect))
    figures = (said.figure(aspect, aspect.reference), said.figure(aspect, aspect.candidate))
    return (said.name(aspect), *figures, said.apart(aspect), said.noise(aspect), verdict)


def _ratios(candidate: Candidate) -> list[tuple[Aspect, float]]:
    """The aspects that can be judged, with their distance over the noise."""
    judged = [aspect for aspect in candidate.aspects if aspect.verdict != "cannot be said"]
    return [(a, a.distance / a.noise if a.noise > 0 else np.inf if a.distance > 0 else 0.0) for a in judged]


def _all_aspects(comparison: Comparison, others: Sequence[str]) -> Figure:
    given = [
        plot.Apart(name, said.NAMES[aspect.key], ratio, said.apart(aspect))
        for key in said.NAMES
        for name, candidate in zip(others, comparison.candidates, strict=True)
        for aspect, ratio in _ratios(candidate)
        if aspect.key == key
    ]
    return Figure(
        "aspects-all",
        "All aspects",
        "The distance from the reference over the noise: left of 1, on green, sampling noise explains it. "
        f"What is nearer than {plot.LEAST:g} is drawn there.",
        f"{show_count(comparison.requests)} requests of the reference",
        plot.apart(given, others, [colour(i) for i in range(len(others))], "distance over noise"),
    )
