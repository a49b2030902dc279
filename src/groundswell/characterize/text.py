"""A characterization on a terminal: what the trace is, and the findings, on one screen."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from groundswell.characterize.engine import Characterization
from groundswell.characterize.findings import Finding
from groundswell.units import show_count, show_duration

MARKS = {"holds": "✓", "does not hold": "✗", "cannot be said": "·"}
_SHARES = (0.36, 0.40, 0.24)  # of the width that mark and key leave


def describe(whole: Characterization, width: int = 100) -> str:
    """The summary, then a row for each finding that can be judged, then what cannot be said and why."""
    judged = [finding for finding in whole.findings if finding.verdict != "cannot be said"]
    silent = [finding for finding in whole.findings if finding.verdict == "cannot be said"]
    lines = [*_summary(whole), "", *_rows(["", "", "finding", "in this trace", "in the paper"], width)]
    for finding in judged:
        lines += _rows([MARKS[finding.verdict], *_cells(finding)], width)
    lines += ["", f"{MARKS['holds']} holds   {MARKS['does not hold']} does not hold   [95 % intervals]"]
    if silent:
        lines += ["", "cannot be said from this trace:"]
    for reason in dict.fromkeys(finding.why for finding in silent):
        keys = ", ".join(finding.key for finding in silent if finding.why == reason)
        lines += textwrap.wrap(f"{keys}: {reason}", width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def _summary(whole: Characterization) -> list[str]:
    figures = whole.summary
    clients = f" from {figures.active_clients:,} clients" if figures.active_clients > 1 else ""
    named = "" if not isinstance(whole.source.get("source"), str) else f"{whole.source['source']}: "
    lines = [
        f"{named}{show_count(figures.requests)} requests{clients} in {show_duration(figures.span_s)}: "
        f"{show_count(figures.mean_rate_per_s)}/s, {show_count(figures.peak_rate_per_s)}/s in the busiest 10 s",
        f"{'tokens':<10}" + "".join(f"{head:>9}" for head in ("mean", "p50", "p90", "p99", "max")),
    ]
    for name, t in figures.tokens.items():
        numbers = (t.mean, t.p50, t.p90, t.p99, t.most) if t.count else ()
        lines.append(f"  {name:<8}" + "".join(f"{show_count(round(number, 1)):>9}" for number in numbers))
    if whole.source.get("skipped"):
        lines.append(f"skipped: {whole.source['skipped']:,} of the rows, which could not be read")
    return lines


def _cells(finding: Finding) -> list[str]:
    return [finding.key, finding.statement, finding.figure, finding.paper]


def _rows(cells: Sequence[str], width: int) -> list[str]:
    """One row of the table, as high as its highest cell."""
    left = width - 6 - 2 * 2
    widths = [2, 4, *(max(int(share * left), 12) for share in _SHARES)]
    wrapped = [textwrap.wrap(cell, w) or [""] for cell, w in zip(cells, widths, strict=True)]
    height = max(map(len, wrapped))
    rows = []
    for i in range(height):
        row = [(column[i] if i < len(column) else "").ljust(w) for column, w in zip(wrapped, widths, strict=True)]
        rows.append((row[0] + row[1] + "  ".join(row[2:])).rstrip())
    return rows
