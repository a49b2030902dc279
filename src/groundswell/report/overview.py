"""What stands on top of a characterization's page: what the trace is, and the findings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from groundswell.report import words
from groundswell.report.axes import Clock
from groundswell.report.figure import Verdict
from groundswell.report.html import verdict_cell
from groundswell.units import show_count, show_duration

if TYPE_CHECKING:
    from groundswell.characterize.engine import Characterization
    from groundswell.characterize.findings import Finding

VERDICTS = {"holds": ("yes", "✓"), "does not hold": ("no", "✗"), "cannot be said": ("open", "○")}


def title(whole: Characterization) -> str:
    """The trace's name."""
    return words.short(PurePath(str(whole.source.get("source", "A trace"))).name or "A trace", 80)


def summary(whole: Characterization) -> str:
    """The head of the page, as HTML."""
    return (
        f"<header><h1>{escape(title(whole))}</h1><p class='quiet'>{escape(_lead(whole))}</p></header>"
        f'<dl class="tiles">{"".join(_tiles(whole))}</dl>{_notes(whole)}{_findings(whole.findings)}'
    )


def _lead(whole: Characterization) -> str:
    """What the trace is, in a sentence or two."""
    figures, source = whole.summary, whole.source
    clock = Clock.of(figures.span_s, source.get("start_unix_s"), whole.setting.midnight_s)
    text = f"{show_count(figures.requests)} requests in {show_duration(figures.span_s)}"
    if figures.active_clients > 1:
        text += f" from {figures.active_clients:,} clients"
    if clock.start_unix_s is not None:
        text += f", from {clock.say(0)} ({clock.zone})"
    if "format" in source:
        text += f"; read as {words.short(str(source['format']), 60)}"
    return f"{text}." + (f" Made by: {words.short(str(source['command']), 200)}" if "command" in source else "")


def _tiles(whole: Characterization) -> Iterator[str]:
    figures, arrivals = whole.summary, whole.arrivals
    yield _tile("Requests", show_count(figures.requests), f"in {show_duration(figures.span_s)}")
    if math.isfinite(figures.mean_rate_per_s):
        peak = f"{words.rate(figures.peak_rate_per_s)} in the busiest 10 s"
        yield _tile("Rate", words.rate(figures.mean_rate_per_s), peak)
    if arrivals is not None and math.isfinite(arrivals.cv.value):
        between = words.interval(arrivals.cv)
        yield _tile("CV of the gaps", words.number(arrivals.cv.value), between or "1 is Poisson")
    for name, tokens in figures.tokens.items():
        if tokens.count:
            small = f"median {words.number(tokens.p50)}, 99 % up to {words.number(tokens.p99)}"
            yield _tile(f"Mean {name} tokens", words.number(tokens.mean), small)
    for name, item in figures.items.items():
        yield _tile(f"With {name}", words.share(item.share), f"{words.number(item.tokens.mean)} tokens an item")
    if figures.clients > 1:
        needed = whole.clients.needed.get(90) if whole.clients is not None else None
        yield _tile("Clients", f"{figures.active_clients:,}", f"{needed:,} make 90 %" if needed is not None else "")


def _tile(name: str, value: str, small: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(small)}</small></dd></div>"


def _notes(whole: Characterization) -> str:
    """What a reader must know before believing the figures: rows that were skipped, and what reading noticed."""
    notes = []
    skipped = whole.source.get("skipped")
    if isinstance(skipped, (int, float)) and skipped:
        rows = whole.source.get("rows")
        of = f" of {show_count(rows)}" if isinstance(rows, (int, float)) else ""
        notes.append(f"{show_count(skipped)}{of} rows could not be read and were skipped.")
    elif skipped:
        notes.append(f"Skipped: {skipped}")
    given: Any = whole.source.get("notes") or ()
    notes += [given] if isinstance(given, str) else [str(note) for note in given]
    items = "".join(f"<li>{escape(words.short(note, 300))}</li>" for note in notes[:20])
    return f'<ul class="notes" aria-label="Notes on the trace">{items}</ul>' if items else ""


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    counts = {verdict: sum(f.verdict == verdict for f in findings) for verdict in VERDICTS}
    said = ", ".join(f"{verdict} {n}" for verdict, n in counts.items() if n)
    head = "".join(f'<th scope="col">{name}</th>' for name in ("finding", "verdict", "this trace", "the paper"))
    rows = "".join(map(_finding, sorted(findings, key=lambda f: f.verdict == "cannot be said")))
    return (
        '<section id="findings" aria-labelledby="findings-title"><h2 id="findings-title">Findings</h2>'
        "<p>What ServeGen (S) and BurstGPT (B) found in their traffic, and whether this trace shows it too: "
        f"{said}.</p>"
        f'<div class="card findings"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _finding(finding: Finding) -> str:
    silent = finding.figure == "–"
    rule = "" if silent else f"<small>{escape(finding.why)}</small>"
    return (
        f"<tr{' class=silent' if silent else ''}>"
        f'<th scope="row"><span class="key">{escape(finding.key)}</span>{escape(finding.statement)}{rule}</th>'
        f"{verdict_cell(Verdict(*VERDICTS[finding.verdict], finding.verdict))}"
        f'<td data-label="this trace">{escape(finding.why if silent else finding.figure)}</td>'
        f'<td data-label="the paper">{escape(finding.paper)}</td></tr>'
    )
