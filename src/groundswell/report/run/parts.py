"""Where latency comes from: the run by client, and by the length of prompts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Figure, Section, Table
from groundswell.report.run import said
from groundswell.report.run.marks import Part, lines
from groundswell.report.run.shown import Shown
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve

if TYPE_CHECKING:
    from groundswell.judge import figures as judged

MOST_NAME = 32


def clients(runs: Sequence[Shown]) -> Section:
    """The clients that sent most."""
    if all(len(run.judgement.clients) < 2 for run in runs):
        return Section("clients", "Clients", missing="there is one client")
    return Section(
        "clients",
        "Clients",
        "The clients that sent most, and the others together.",
        figures=tuple(_by_client(runs[0])) if len(runs) == 1 else (),
        tables=tuple(_table(run, "client", run.judgement.clients, len(runs) > 1) for run in runs),
    )


def lengths(runs: Sequence[Shown]) -> Section:
    """Prompts by their length."""
    if not any(run.judgement.input_lengths for run in runs):
        return Section("lengths", "Prompt lengths", missing="no request was judged")
    return Section(
        "lengths",
        "Prompt lengths",
        "The same figures by the number of input tokens.",
        figures=tuple(_by_length(runs)),
        tables=tuple(_table(run, "input tokens", run.judgement.input_lengths, len(runs) > 1) for run in runs),
    )


def _by_client(run: Shown) -> Iterator[Figure]:
    known = [part for part in run.judgement.clients if 0 < part.ttft_p50 < math.inf]
    if known:
        # What goes from the dot on is up to the 99th percentile, where it is known.
        spans = [
            Estimate(part.ttft_p50, part.ttft_p50, part.ttft_p99 if part.ttft_p99 < math.inf else part.ttft_p50)
            for part in known
        ]
        yield Figure(
            "clients-ttft",
            "Time to first token by client",
            "A dot at the median, with a line to the 99th percentile where there are enough requests that ended well.",
            words.count(sum(part.requests for part in known), "request"),
            plot.intervals([part.name for part in known], spans, axes.seconds("time to first token")),
        )


def _by_length(runs: Sequence[Shown]) -> Iterator[Figure]:
    blue, orange = palette.LIGHT["blue"], palette.LIGHT["orange"]
    for metric in ("ttft", "tpot"):
        parts = [
            Part("median", blue, partial(_along, f"{metric}_p50")),
            Part("p99", orange, partial(_along, f"{metric}_p99")),
        ]
        drawn = lines(runs, parts)
        if drawn:
            yield Figure(
                f"lengths-{metric}",
                f"{said.NAMES[metric]} by prompt length",
                "The median and the 99th percentile of requests whose prompts are about that long.",
                " and ".join(words.count(run.judgement.window.requests, "request") for run in runs),
                plot.lines(drawn, axes.tokens("input tokens"), axes.seconds(said.NAMES[metric].lower())),
            )


def _along(name: str, run: Shown) -> Curve:
    given = run.judgement.input_lengths
    x, y = (np.array([getattr(part, field) for part in given], np.float64) for field in ("input_tokens", name))
    return Curve(x, np.where(np.isfinite(y), y, np.nan))


def _table(run: Shown, what: str, given: Sequence[judged.Part], named: bool) -> Table:
    slo = run.judgement.slo is not None
    head = (what, "requests", "failed", "mean input", "mean output", *(
        f"{said.SHORT[metric]} {level}" for metric in ("ttft", "tpot", "e2e") for level in ("median", "p99")
    ), *(("attainment",) if slo else ()))  # fmt: skip
    names = words.labels([part.name for part in given], MOST_NAME)
    rows = [_row(name, part, slo) for name, part in zip(names, given, strict=True)]
    note = (
        f"Where a percentile is a request that failed it is “{said.NEVER}”; what so few cannot tell is “{said.NONE}”."
    )
    return Table(f"By {what}{f': {run.name}' if named else ''}", head, rows, note)


def _row(name: str, part: judged.Part, slo: bool) -> tuple[str, ...]:
    number, share = said.known(words.number), said.known(words.share)
    latencies = (part.ttft_p50, part.ttft_p99, part.tpot_p50, part.tpot_p99, part.e2e_p50, part.e2e_p99)
    return (
        name, words.number(part.requests), words.number(part.failed), number(part.input_tokens),
        number(part.output_tokens), *map(said.late, latencies), *((share(part.attainment),) if slo else ()),
    )  # fmt: skip
