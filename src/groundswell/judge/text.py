"""A judgement as text that a person reads, in 80 columns or more."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from groundswell.judge.figures import ClauseHeld, ErrorKind, Judgement, Part, Spread
from groundswell.stats.estimate import Estimate
from groundswell.units import counted, show_count, show_duration

MARKS = {"meets": "✓", "fails": "✗", "unclear": "○"}
_SAID = {"meets": "MEETS", "fails": "FAILS", "unclear": "UNCLEAR", "invalid": "INVALID"}
_STATISTICS = ("mean", "p50", "p90", "p95", "p99", "max")
_CLIENTS = 10


def describe(found: Judgement, width: int = 80, clients: int = _CLIENTS) -> str:
    """The judgement: what was run, the verdict, latencies, rates, parts, errors, notes; at most ``width`` wide, as far
    as names allow. So many clients are listed."""
    blocks = [
        _head(found, width),
        _verdict(found, width),
        _latencies(found, width),
        _phases(found, width),
        _rates(found, width),
        _parts("client", found.clients, clients, width),
        _parts("prompt", found.input_lengths, len(found.input_lengths), width),
        _errors(found, width),
        [line for note in found.notes for line in _wrapped(f"note: {note}", width)],
    ]
    return "\n\n".join("\n".join(block) for block in map(list, blocks) if block)


def _head(found: Judgement, width: int) -> Iterator[str]:
    run = found.run
    what = [str(run[name]) for name in ("target", "url", "model", "fleet") if run.get(name)]
    if what:
        yield from _wrapped(plain(" · ".join(what)), width)
    window, failed = found.window, f"{found.failed:,} failed" if found.failed else "none failed"
    yield from _wrapped(
        f"{counted(found.requests, 'request')} in {show_duration(window.span_s)}, {failed}. "
        f"Judged: {window.requests:,} due from {show_duration(window.begin_s)} to {show_duration(window.end_s)}; "
        f"{window.rule}.",
        width,
    )


def _verdict(found: Judgement, width: int) -> Iterator[str]:
    if found.verdict == "invalid":
        for reason in found.invalid:
            yield from _wrapped(f"INVALID: {reason.text}", width)
            yield from _wrapped(f"What to do: {reason.advice}.", width, "  ")
    elif found.verdict != "measured":
        yield f"{_SAID[found.verdict]} {found.slo}"
    if found.clauses:
        rows = [_clause(clause) for clause in found.clauses]
        yield from _table(("", "clause", "it is", "95 % interval", "requests within"), rows, {0, 1})
        for clause in found.clauses:
            if clause.why:
                yield from _wrapped(f"{clause.text} {_HELD[clause.held]}: {clause.why}", width)
        yield from _wrapped(
            f"{_share(found.attainment)} of requests keep every bound themselves. Goodput, requests/s: "
            f"{_plain_interval(found.rates.goodput_per_s)}.",
            width,
        )


_HELD = {"meets": "is met", "fails": "is not met", "unclear": "is unclear"}


def _clause(held: ClauseHeld) -> tuple[str, ...]:
    scale, unit = _unit([held.clause.bound_s])
    return (
        MARKS[held.held],
        held.text,
        _figure(held.figure.value * scale) + (f" {unit}" if np.isfinite(held.figure.value) else ""),
        _interval(held.figure, scale),
        _percent(held.share.value),
    )


def _latencies(found: Judgement, width: int) -> Iterator[str]:
    if not found.latencies:
        return
    rows: list[tuple[str, ...]] = []
    for spread in found.latencies.values():
        figures = [getattr(spread, name) for name in _STATISTICS]
        scale, unit = _unit([figure.value for figure in figures[1:5]])
        rows.append((spread.metric, unit, *(_figure(figure.value * scale) for figure in figures)))
        rows.append(("", "", *(_interval(figure, scale) for figure in figures)))
    yield from _table(("", "", *_STATISTICS), rows, {0, 1})
    yield from _wrapped(_legend(list(found.latencies.values())), width)


def _legend(spreads: Sequence[Spread]) -> str:
    text = "ttft, e2e and lag count from when a request was due. Below a figure is its 95 % interval"
    if any(np.isfinite(s.p99.value) and not np.isfinite(s.p99.high) for s in spreads):
        text += ", open where so few requests cannot say how late it may be"
    failed = max(s.failed for s in spreads)
    if failed:
        text += f". {failed:,} that failed count as infinitely late in percentiles, and are not in mean and max"
    return text + "."


def _phases(found: Judgement, width: int) -> Iterator[str]:
    """What the time to first token was spent on."""
    whole = sum(spread.mean.value for spread in found.phases.values())
    if not whole > 0:
        return
    rows = []
    for spread in found.phases.values():
        figures = [getattr(spread, name) for name in _STATISTICS]
        scale, unit = _unit([figure.value for figure in figures[:-1]])
        of_mean = _percent(spread.mean.value / whole)
        rows.append((plain(spread.metric), unit, *(_figure(figure.value * scale) for figure in figures), of_mean))
    yield from _table(("until the first token", "", *_STATISTICS, "of the mean"), rows, {0, 1})
    if found.run.get("stages"):
        n = max(spread.n for spread in found.phases.values())
        yield from _wrapped(f"Of the {counted(n, 'request')} that had something to do before an engine.", width)


def _rates(found: Judgement, width: int) -> Iterator[str]:
    rates, tokens = found.rates, found.tokens
    sent = "" if np.isnan(rates.sent_per_s) else f"{_figure(rates.sent_per_s)} sent, "
    yield from _wrapped(
        f"requests/s: {_figure(rates.asked_per_s)} due, {sent}{_figure(rates.ended_per_s)} answered; "
        f"tokens/s: {_count(rates.input_tokens_per_s)} in, {_count(rates.output_tokens_per_s)} out.",
        width,
    )
    counted = f"tokens of all replies: {tokens.asked:,} asked"
    if tokens.output_counted:
        counted += f", {tokens.output:,} counted by the {_teller(found)}"
        counted += f" ({tokens.reason:,} of them reasoning)" if tokens.reason else ""
    counted += f"; of prompts: {tokens.input:,} asked"
    if tokens.prompt_compared:
        counted += f", {tokens.made:,} made, {tokens.prompt:,} counted"
        counted += f" ({tokens.cached:,} of them cached)" if tokens.cached else ""
    yield from _wrapped(counted + ".", width)
    if found.server:
        totals = "; ".join(f"{t.name.replace('_', ' ')} {t.server:,.0f} (ours {t.ours:,.0f})" for t in found.server)
        yield from _wrapped(f"the {_teller(found)}'s counters: {totals}.", width)


def _teller(found: Judgement) -> str:
    """Who counts tokens: a server, or the fleet of a simulation."""
    return "fleet" if found.run.get("simulated") else "server"


def _parts(what: str, parts: Sequence[Part], most: int, width: int) -> Iterator[str]:
    if len(parts) < 2:
        return
    kept = any(np.isfinite(part.attainment) for part in parts)
    head = (what, "requests", "failed", "in", "out", "ttft p50", "p99", "tpot p50", "p99", *(["SLO"] if kept else []))
    rows = [_part(part, kept) for part in parts[:most]]
    room = width - sum(2 + max(len(row[i]) for row in [head, *rows]) for i in range(1, len(head)))
    shown = [(_cut(row[0], max(room, len(what), 8)), *row[1:]) for row in rows]
    yield from _table(head, shown, {0})
    if len(parts) > most:
        yield f"… and {counted(sum(part.requests for part in parts[most:]), 'request')} of others"


def _cut(name: str, size: int) -> str:
    """A name in at most ``size`` characters, with its end: names of a kind begin alike, and a number tells them apart.

    >>> _cut("chat-large-8", 8), _cut("chat", 8)
    ('cha…ge-8', 'chat')
    """
    head = (size - 1) // 2
    return name if len(name) <= size else f"{name[:head]}…{name[head + 1 - size :]}"


def _part(part: Part, kept: bool) -> tuple[str, ...]:
    cells = (
        plain(part.name),
        show_count(part.requests),
        show_count(part.failed),
        _count(part.input_tokens),
        _count(part.output_tokens),
        *(_time(x) for x in (part.ttft_p50, part.ttft_p99, part.tpot_p50, part.tpot_p99)),
    )
    return (*cells, _percent(part.attainment)) if kept else cells


def _errors(found: Judgement, width: int) -> Iterator[str]:
    for error in found.errors:
        yield from _wrapped(_error(error), width)
        for text in error.examples:
            yield from textwrap.wrap(
                f"“{plain(text)}”", width, initial_indent="  ", subsequent_indent="   ", max_lines=3
            )


def _error(error: ErrorKind) -> str:
    statuses = ", ".join(f"{status}: {count:,}" for status, count in error.statuses)
    return f"{error.count:,} failed ({_percent(error.share)}): {error.kind}" + (f" ({statuses})" if statuses else "")


def plain(text: str) -> str:
    """Text of a server as one line without anything that a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: set[int]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        yield "  ".join(cell for cell, w in zip(cells, widths, strict=True) if w).rstrip()


def _unit(seconds: Sequence[float]) -> tuple[float, str]:
    """What to multiply by, and the unit, so that the greatest finite figure has one to four digits before its point."""
    most = max((x for x in seconds if np.isfinite(x)), default=1.0)
    return (1.0, "s") if most >= 10.0 else (1e3, "ms") if most >= 1e-3 else (1e6, "µs")


def _figure(value: float) -> str:
    """Three digits or all before the point; a dash for what is not known."""
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞"
    return f"{value:,.0f}" if abs(value) >= 99.95 or value == 0 else f"{value:#.3g}"


def _interval(figure: Estimate, scale: float) -> str:
    low, high = figure.low, figure.high
    if (np.isnan(low) and np.isnan(high)) or np.isinf(low):
        return ""
    return f"{'' if np.isnan(low) else _figure(low * scale)}–{'' if np.isnan(high) else _figure(high * scale)}"


def _plain_interval(figure: Estimate) -> str:
    between = _interval(figure, 1.0)
    return _figure(figure.value) + (f" ({between})" if between else "")


def _percent(share: float) -> str:
    """A share without being rounded to all or nothing.

    >>> _percent(1.0), _percent(0.99996), _percent(0.5)
    ('100 %', '99.996 %', '50.0 %')
    """
    if np.isnan(share):
        return "–"
    missing = min(share, 1.0 - share) * 100
    digits = 0 if missing <= 0 else min(max(1 - int(np.floor(np.log10(missing))), 1), 6)
    return f"{share * 100:.{digits}f}".rstrip("0" if missing < 1 and digits else "").rstrip(".") + " %"


def _share(figure: Estimate) -> str:
    if np.isnan(figure.low):
        return _percent(figure.value)
    return f"{_percent(figure.value)} ({_percent(figure.low)} to {_percent(figure.high)})"


def _count(value: float) -> str:
    return "–" if np.isnan(value) else show_count(value) if value >= 10_000 else _figure(value)


def _time(seconds: float) -> str:
    if np.isnan(seconds):
        return "–"
    if np.isinf(seconds):
        return "∞"
    scale, unit = (1.0, "s") if seconds >= 1 else (1e3, "ms")
    return f"{_figure(seconds * scale)}{unit}"
