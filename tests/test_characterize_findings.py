"""A verdict follows from a figure, its interval and a bound, in the same way for every finding."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest

from groundswell.characterize.engine import Characterization, characterize
from groundswell.characterize.findings import Finding, findings
from groundswell.characterize.findings.clause import Clause, above, all_of, below, simply
from groundswell.characterize.text import describe
from groundswell.report.overview import summary
from groundswell.stats.estimate import Estimate
from groundswell.warm import everything


@pytest.mark.parametrize(
    ("estimate", "verdict"),
    [
        (Estimate(1.4, 1.2, 1.6), "holds"),
        (Estimate(1.4, 1.2, inf), "holds"),
        (Estimate(1.2, 1.0, 1.4), "cannot be said"),
        (Estimate(1.2, 1.1, 1.4), "cannot be said"),
        (Estimate(1.2, 1.0, inf), "cannot be said"),
        (Estimate(1.2, nan, nan), "cannot be said"),
        (Estimate(1.1, 1.0, 1.2), "does not hold"),
        (Estimate(1.0, 0.8, 1.2), "does not hold"),
        (Estimate(0.8, 0.7, 0.9), "does not hold"),
        (Estimate(0.8, nan, nan), "does not hold"),
    ],
)
def test_a_figure_its_interval_and_a_bound_make_a_verdict(estimate: Estimate, verdict: str) -> None:
    assert above("it", estimate, 1.1).verdict == verdict
    other = Estimate(-estimate.value, -estimate.high, -estimate.low)
    assert below("it", other, -1.1).verdict == verdict


def test_what_cannot_be_said_has_its_reason() -> None:
    across = above("the CV", Estimate(1.2, 1.0, 1.4), 1.1)
    assert across.why == "the interval of the CV, 1 to 1.4, reaches across the bound 1.1"
    assert below("the CV", Estimate(1.0), 1.1).why == "the CV has no interval"
    assert above("the CV", Estimate(1.4, 1.2, 1.6), 1.1).why == ""


def test_one_clause_that_does_not_hold_is_enough_and_one_that_is_open_leaves_all_open() -> None:
    open_ = Clause("cannot be said", "so")
    assert all_of(simply(True), simply(True)).verdict == "holds"
    assert all_of(simply(True), open_) == open_
    assert all_of(open_, simply(False)).verdict == "does not hold"


@pytest.fixture(scope="module")
def whole() -> Characterization:
    return characterize([everything()])


def found(whole: Characterization, key: str) -> Finding:
    return next(finding for finding in findings(whole) if finding.key == key)


def around(value: float, room: float) -> Estimate:
    return Estimate(value, value - room, value + room, 1000)


@pytest.mark.parametrize(
    ("key", "topic", "name", "bound", "side"),
    [
        ("S1", "arrivals", "cv", 1.0, 1),
        ("S4", "lengths", "spearman", 0.3, -1),
        ("S4", "lengths", "spearman", -0.3, 1),
        ("S5", "clients", "gini", 0.5, 1),
        ("S9", "reasoning", "times", 1.0, 1),
        ("S9", "reasoning", "spearman", 0.0, 1),
        ("B2", "arrivals", "day_strength", 0.5, 1),
        ("B5", "failures", "load_ratio", 1.0, 1),
    ],
)
def test_a_finding_whose_interval_reaches_across_its_bound_cannot_be_said(
    whole: Characterization, key: str, topic: str, name: str, bound: float, side: int
) -> None:
    figures = getattr(whole, topic)
    if key == "S1":
        figures = replace(figures, tick_s=0.0)
    if key == "S4":
        figures = replace(figures, together=Estimate())
    if key == "S5":
        figures = replace(figures, top_share={1: around(0.5, 0.1)})
    if key == "S9":
        figures = replace(figures, times=around(2, 0.1), spearman=around(0.5, 0.1), dip_p=0.001)
        figures = replace(figures, reason=replace(figures.reason, n=1000))

    def said(value: float, room: float) -> Finding:
        return found(replace(whole, **{topic: replace(figures, **{name: around(value, room)})}), key)

    assert said(bound + side * 0.2, 0.1).verdict == "holds"
    across = said(bound + side * 0.05, 0.1)
    assert across.verdict == "cannot be said"
    assert f"reaches across the bound {bound:g}" in across.why
    assert across.figure != "–"
    assert said(bound - side * 0.05, 0.1).verdict == "does not hold"
    assert said(bound - side * 0.2, 0.1).verdict == "does not hold"


@pytest.mark.parametrize(
    ("single", "multi", "verdict"),
    [(2.0, 1.0, "holds"), (1.1, 1.0, "cannot be said"), (1.0, 1.1, "does not hold"), (1.0, 2.0, "does not hold")],
)
def test_conversations_are_calmer_by_more_than_both_intervals_allow_for(
    whole: Characterization, single: float, multi: float, verdict: str
) -> None:
    talk, arrivals = whole.conversations, whole.arrivals
    assert talk is not None
    assert arrivals is not None
    talk = replace(talk, single_cv=around(single, 0.1), multi_cv=around(multi, 0.1))
    said = found(replace(whole, conversations=talk, arrivals=replace(arrivals, tick_s=0.0)), "S10")
    assert said.verdict == verdict
    if verdict == "cannot be said":  # 0.1 ± sqrt(0.1² + 0.1²)
        assert said.why == "the interval of the difference of the CVs, -0.0414 to 0.241, reaches across the bound 0"


def test_a_screen_and_a_page_say_which_interval_reaches_across(whole: Characterization) -> None:
    arrivals = whole.arrivals
    assert arrivals is not None
    open_ = replace(whole, arrivals=replace(arrivals, tick_s=0.0, cv=around(1.05, 0.1)))
    open_ = replace(open_, findings=tuple(findings(open_)))
    reason = "the interval of the CV, 0.95 to 1.15, reaches across the bound 1"
    assert f"S1: {reason}" in describe(open_)
    page = summary(open_)
    assert reason in page
    assert "CV 1.05 [0.95, 1.15]" in page


def test_lengths_that_are_all_alike_are_near_a_zipf_law_and_not_zipf_like(whole: Characterization) -> None:
    assert whole.lengths is not None
    field = whole.lengths.fields["input"]
    fits = tuple(replace(fit, family="zipf", ks=0.02, n=1000) for fit in field.fits[:1])
    lengths = replace(whole.lengths, fields={**whole.lengths.fields, "input": replace(field, fits=fits)})

    def said(exponent: Estimate) -> str:
        return found(replace(whole, lengths=replace(lengths, zipf_exponent=exponent)), "B3").verdict

    assert said(around(1.1, 0.1)) == "holds"
    assert said(around(0.55, 0.1)) == "cannot be said"
    assert said(around(0.0, 0.0)) == "does not hold"
    assert said(Estimate(0.0)) == "does not hold"
