"""What stands on top of a run's page: the verdict with its reasons, the clauses of the SLO, the figures to remember."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from groundswell.judge.figures import ClauseHeld, Judgement
from groundswell.report import words
from groundswell.report.figure import Verdict
from groundswell.report.html import verdict_cell
from groundswell.report.run import said
from groundswell.report.run.settings import said_of
from groundswell.report.run.shown import Shown
from groundswell.units import show_duration

VERDICTS = {
    "invalid": Verdict("no", "✗", "invalid"),
    "meets": Verdict("yes", "✓", "meets its SLO"),
    "fails": Verdict("no", "✗", "fails its SLO"),
    "unclear": Verdict("open", "○", "SLO unclear"),
    "measured": Verdict("open", "○", "no SLO"),
}
HELD = {"meets": ("yes", "✓"), "fails": ("no", "✗"), "unclear": ("open", "○")}
MOST_NOTES = 20


def title(runs: Sequence[Shown]) -> str:
    """What the page is of."""
    return " and ".join(run.name for run in runs)


def summary(runs: Sequence[Shown]) -> str:
    """The head of the page, as HTML."""
    lead = f"{_lead(runs[0])}." if len(runs) == 1 else f"{runs[1].name} is held against {runs[0].name}."
    tiles = f'<dl class="tiles">{"".join(_tiles(runs[0]))}</dl>' if len(runs) == 1 else ""
    return (
        f"<header><h1>{escape(title(runs))}</h1><p class='quiet'>{escape(lead)}</p></header>"
        f"{_verdicts(runs)}{tiles}{_notes(runs)}{_clauses(runs)}"
    )


def _lead(run: Shown) -> str:
    """What was run, in a sentence."""
    judgement, given = run.judgement, said_of(run)
    text = f"{words.count(judgement.requests, 'request')} in {show_duration(judgement.window.span_s)}"
    if "Model" in given:
        text += f" to {given['Model']}"
    if "Address" in given:
        text += f" at {given['Address']}"
    if "Simulated fleet" in given:
        text += f", simulated on {given['Simulated fleet']}"
    return text + (f", {given['Started']}" if "Started" in given else "")


def _verdicts(runs: Sequence[Shown]) -> str:
    rows = "".join(_verdict(run, len(runs) > 1) for run in runs)
    return f'<div class="card findings"><table><tbody>{rows}</tbody></table></div>'


def _verdict(run: Shown, described: bool) -> str:
    """A row: the run, its verdict, and why."""
    judgement = run.judgement
    reasons = "".join(
        f"<p>{escape(words.short(reason.text, 300))}<small>{escape(words.short(reason.advice, 300))}</small></p>"
        for reason in judgement.invalid
    )
    why = reasons or escape(_kept(judgement))
    name = escape(run.name) + (f"<small>{escape(_lead(run))}</small>" if described else "")
    return f'<tr><th scope="row">{name}</th>{verdict_cell(VERDICTS[judgement.verdict])}<td>{why}</td></tr>'


def _kept(judgement: Judgement) -> str:
    """A verdict's short ground: how many requests keep the SLO, and by what rule they were chosen."""
    window = judgement.window
    text = f"Of {words.count(window.requests, 'request')} that count"
    if not math.isnan(judgement.attainment.value):
        text += f", {said.estimate(judgement.attainment, words.share)} keep every bound"
    if judgement.failed:
        text += f"; {words.count(judgement.failed, 'request')} of the run failed"
    return f"{text}. {window.rule[:1].upper()}{window.rule[1:]}."


def _tiles(run: Shown) -> Iterator[str]:
    judgement, latencies = run.judgement, run.judgement.latencies
    rates = judgement.rates
    failed = f"; {words.number(judgement.failed)} failed" if judgement.failed else ""
    yield _tile("Rate", words.rate(rates.ended_per_s), f"ended well; {words.rate(rates.asked_per_s)} due{failed}")
    if not math.isnan(rates.goodput_per_s.value):
        yield _tile("Goodput", words.rate(rates.goodput_per_s.value), said.interval(rates.goodput_per_s, words.rate))
    for metric in ("ttft", "tpot", "e2e"):
        spread = latencies.get(metric)
        if spread is not None:
            yield _tile(
                f"Median {said.SHORT[metric]}", said.late(spread.p50.value), f"p99 {said.late(spread.p99.value)}"
            )
    if rates.output_tokens_per_s > 0:
        small = f"and {words.rate(rates.input_tokens_per_s)} of input"
        yield _tile("Output tokens", words.rate(rates.output_tokens_per_s), small)
    if "lag" in latencies:
        yield _tile("Our own lag", said.late(latencies["lag"].p99.value), "99th percentile")


def _tile(name: str, value: str, small: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(small)}</small></dd></div>"


def _notes(runs: Sequence[Shown]) -> str:
    """What a reader must know before believing the figures."""
    notes = [f"{run.name}: {note}" if len(runs) > 1 else note for run in runs for note in run.judgement.notes]
    items = "".join(f"<li>{escape(words.short(note, 400))}</li>" for note in notes[:MOST_NOTES])
    return f'<ul class="notes" aria-label="Notes on the run">{items}</ul>' if items else ""


def _clauses(runs: Sequence[Shown]) -> str:
    """Every clause, of every run below one another."""
    texts = dict.fromkeys(held.text for run in runs for held in run.judgement.clauses)
    if not texts:
        return ""
    rows = "".join(
        _clause(held, run.name if len(runs) > 1 else "")
        for text in texts
        for run in runs
        for held in run.judgement.clauses
        if held.text == text
    )
    columns = ("clause", "verdict", "this run", "requests that keep it")
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    return (
        '<section id="slo" aria-labelledby="slo-title"><h2 id="slo-title">SLO</h2>'
        f'<div class="card findings"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _clause(held: ClauseHeld, name: str) -> str:
    kind, symbol = HELD[held.held]
    below = name or said.MEANING[held.clause.metric]
    figure, share = said.late(held.figure.value), said.known(words.share)(held.share.value)
    between = [said.interval(held.figure), held.why]
    return (
        f'<tr><th scope="row">{escape(held.text)}<small>{escape(below)}</small></th>'
        f"{verdict_cell(Verdict(kind, symbol, held.held))}"
        f'<td data-label="this run">{escape(figure)}<small>{escape("; ".join(filter(None, between)))}</small></td>'
        f'<td data-label="requests that keep it">{escape(share)}'
        f"<small>{escape(said.interval(held.share, words.share))}</small></td></tr>"
    )
