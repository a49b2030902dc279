"""How replies think."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundswell.characterize.figures import ReasoningFigures
from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Fact, Facts, Figure, Section
from groundswell.report.topics import families, lengths
from groundswell.report.topics.context import Context


def section(reasoning: ReasoningFigures, context: Context) -> Section:
    """Lengths of reasoning and answer, and the share of reasoning in a reply."""
    fields = [field for field in (reasoning.reason, reasoning.answer) if field.n]
    figures = [figure for field in fields for figure in lengths.of_field(field, "reasoning", context)]
    return Section(
        "reasoning",
        "Reasoning",
        "How replies think: how long reasoning and answers are, and how much of a reply is reasoning.",
        _facts(reasoning),
        (*_ratios(reasoning, context), *figures),
        tuple(families.table(f"Laws of {field.name} lengths", field.fits) for field in fields if field.fits),
    )


def _facts(reasoning: ReasoningFigures) -> list[Fact]:
    facts = Facts()
    facts.add("Requests that reason", reasoning.share, words.share)
    facts.add("Reasoning tokens over answer tokens", reasoning.times)
    facts.add("Reasoning tokens, mean", reasoning.reason.mean)
    facts.add("Answer tokens, mean", reasoning.answer.mean)
    facts.add("Rank correlation of reasoning and answer", reasoning.spearman)
    if reasoning.modes:
        modes = ", ".join(words.share(mode) for mode in reasoning.modes[:6])
        facts.rows.append(Fact("Modes of reasoning's share of a reply", modes))
    facts.add("Dip of that share", reasoning.dip)
    facts.add("… odds of as large a dip from one mode", reasoning.dip_p, words.p_value)
    return facts.rows


def _ratios(reasoning: ReasoningFigures, context: Context) -> Iterator[Figure]:
    x, y = axes.share("reasoning tokens over output tokens", whole=True), axes.share("share of requests")
    n = words.count(reasoning.reason.n, "request")
    if reasoning.ratio.x.size:
        peaks = " and ".join(words.share(mode) for mode in reasoning.modes)
        yield Figure(
            "reasoning-ratio",
            "Reasoning's share of a reply",
            "How requests spread over the share of their reply that is reasoning"
            + (f", with {words.count(len(reasoning.modes), 'mode')} near {peaks}." if peaks else "."),
            n,
            plot.histogram(reasoning.ratio, x, y, palette.KINDS["reason"]),
        )
    if len(reasoning.ratio_periods) > 1:
        names = [context.clock.brief(start_s) for start_s, _ in reasoning.ratio_periods]
        yield Figure(
            "reasoning-ratio-periods",
            "Reasoning's share of a reply, by period",
            "The same in each of several periods: lines on one another mean that the shape stays.",
            n,
            plot.lines(_lines(names, reasoning, palette.SERIES), x, y),
        )
    if reasoning.ratio_clients:
        clients = [name for name, _ in reasoning.ratio_clients]
        lines = [
            plot.curve(name, curve, colour)
            for (name, curve), colour in zip(reasoning.ratio_clients, context.colours(clients), strict=True)
        ]
        yield Figure(
            "reasoning-ratio-clients",
            "Reasoning's share of a reply, by client",
            "The same of each of the busiest clients.",
            words.count(len(lines), "client"),
            plot.lines(lines, x, y),
        )
    if reasoning.by_reason.x.size:
        yield Figure(
            "reasoning-answer-by-reason",
            "Answer against reasoning",
            "The median answer, and the band that holds 90 % of answers, of replies with so many tokens of reasoning.",
            words.count(reasoning.by_reason.n.sum(), "request"),
            plot.lines(
                [plot.band("median answer", reasoning.by_reason, palette.KINDS["answer"])],
                axes.tokens("reasoning tokens"),
                axes.tokens("answer tokens"),
            ),
        )


def _lines(names: Sequence[str], reasoning: ReasoningFigures, colours: Sequence[str]) -> list[plot.Line]:
    dashes = ((1, 0), (7, 3), (2, 2), (9, 2, 2, 2))
    periods = zip(names, reasoning.ratio_periods, colours, dashes, strict=False)
    return [plot.curve(name, curve, colour, dash) for name, (_, curve), colour, dash in periods]
