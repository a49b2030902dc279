"""Requests that follow on one another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from groundswell.characterize.figures import ConversationFigures
from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Fact, Facts, Figure, Section
from groundswell.report.topics import families
from groundswell.report.topics.context import Context
from groundswell.stats.fits import Curve

SOURCES = {"ids": "as the trace names them", "prefixes": "as their prefix blocks tell"}


def section(talk: ConversationFigures, context: Context) -> Section:
    """Turns, the time between them, the growth of the context, and burstiness with and without conversations."""
    return Section(
        "conversations",
        "Conversations",
        f"Requests that follow on one another, {SOURCES.get(talk.source, words.short(talk.source, 60))}.",
        _facts(talk),
        tuple(_figures(talk)),
        (families.table("Time between turns", [talk.gap_lognormal]),) if talk.gap_lognormal is not None else (),
    )


def _facts(talk: ConversationFigures) -> list[Fact]:
    facts = Facts()
    facts.add("Conversations", talk.conversations)
    facts.add("Requests in conversations of several turns", talk.multi_turn_share, words.share)
    facts.add("Turns of those conversations, mean", talk.mean_turns)
    facts.add("Time between turns, median", talk.gap_p50, words.duration)
    facts.add("Time between turns, 90th percentile", talk.gap_p90, words.duration)
    facts.add("Growth of the input from turn to turn, in tokens", talk.growth_per_turn)
    if talk.sampled < 1:
        facts.add("Share of conversations that was followed", talk.sampled, words.share)
    return facts.rows


def _figures(talk: ConversationFigures) -> Iterator[Figure]:
    n = words.count(talk.conversations, "conversation")
    if talk.turns.x.size:
        yield _turns(talk.turns, n)
    lines = [plot.curve("between arrivals", talk.gap)] if talk.gap.x.size else []
    lines += families.fitted([talk.gap_lognormal]) if talk.gap_lognormal is not None else []
    lines += [plot.curve("think time", talk.think, palette.LIGHT["blue"])] if talk.think.x.size else []
    if lines:
        yield Figure(
            "conversations-gap",
            "Time between turns",
            "The share of turns that are followed by the next within so long"
            + (f": half within {words.duration(talk.gap_p50.value)}." if np.isfinite(talk.gap_p50.value) else "."),
            words.count(talk.gap_p50.n, "pair of turns", "pairs of turns"),
            plot.lines(lines, axes.seconds("time to the next turn"), axes.share("share of turns up to x", whole=True)),
        )
    if talk.gap_by_turn.x.size:
        yield Figure(
            "conversations-gap-by-turn",
            "Time between turns, by turn",
            "The median time to the next turn, and the band that holds 80 % of such times, by the turn it leads from.",
            words.count(talk.gap_by_turn.n.sum(), "pair of turns", "pairs of turns"),
            plot.lines(
                [plot.band("median", talk.gap_by_turn, palette.LIGHT["blue"])],
                axes.turn("turn"),
                axes.seconds("time to the next turn"),
            ),
        )
    if talk.growth.x.size:
        yield Figure(
            "conversations-growth",
            "Growth of the input",
            "The median input, and the band that holds 80 % of inputs, at each turn of a conversation.",
            words.count(talk.growth.n.sum(), "request"),
            plot.lines(
                [plot.band("median input", talk.growth, palette.KINDS["input"])],
                axes.turn("turn"),
                axes.tokens("input tokens"),
            ),
        )
    bursts = {
        "single turns": talk.single_cv,
        "conversations": talk.multi_cv,
        "first turns": talk.starts_cv,
        "all requests": talk.whole_cv,
    }
    known = {name: estimate for name, estimate in bursts.items() if np.isfinite(estimate.value)}
    if known:
        yield Figure(
            "conversations-cv",
            "Burstiness with and without conversations",
            "The CV of the gaps within windows, with its 95 % interval, of requests of one turn, of those in "
            "conversations of several, of the first turns of those, and of all; 1 is Poisson.",
            words.count(talk.whole_cv.n, "request"),
            plot.intervals(list(known), list(known.values()), axes.plain("CV of the gaps")),
        )


def _turns(turns: Curve, n: str) -> Figure:
    most, rest = plot.most_of(turns)
    return Figure(
        "conversations-turns",
        "Turns of a conversation",
        "The share of conversations of exactly so many turns.",
        n + rest,
        plot.histogram(
            most,
            axes.turn("turns"),
            axes.share("share of conversations"),
            palette.LIGHT["blue"],
        ),
    )
