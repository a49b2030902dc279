"""Requests that failed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from groundswell.characterize.figures import FailureFigures
from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Fact, Facts, Figure, Section
from groundswell.report.topics.context import Context


def section(failures: FailureFigures, context: Context) -> Section:
    """How many fail, when, under what load and of which kind."""
    return Section(
        "failures",
        "Failures",
        "Requests that failed: when, under what load, and of which kind.",
        _facts(failures),
        tuple(_figures(failures, context)),
    )


def _facts(failures: FailureFigures) -> list[Fact]:
    facts = Facts()
    facts.add("Failed requests", failures.failed)
    facts.add("Share of requests that failed", failures.rate, words.share)
    facts.add("Failure rate in the busiest tenth of minutes over the rest", failures.load_ratio)
    return facts.rows


def _figures(failures: FailureFigures, context: Context) -> Iterator[Figure]:
    red = palette.LIGHT["red"]
    n = f"{words.count(failures.failed, 'failure')} of {words.count(failures.rate.n, 'request')}"
    if np.isfinite(failures.over_time.value).any():
        yield Figure(
            "failures-over-time",
            "Failures over time",
            f"The share of requests that failed, in stretches of {words.duration(failures.over_time.width_s)}.",
            n,
            plot.lines(
                [plot.series("failed", failures.over_time, red)], context.clock.axis(), axes.share("share that failed")
            ),
        )
    if failures.by_load.x.size:
        yield Figure(
            "failures-by-load",
            "Failures against load",
            "The share of requests that failed, with its 95 % interval, against the requests per second of the "
            f"{words.duration(failures.load_s)} they fell in.",
            f"{n}, tenths of all stretches by load",
            plot.lines(
                [plot.band("failed", failures.by_load, red)],
                axes.plain("requests per second"),
                axes.share("share that failed"),
            ),
        )
    for key, title, shares in (
        ("model", "Failures by model", failures.by_model),
        ("client", "Failures by client", failures.by_client),
    ):
        if shares:
            yield Figure(
                f"failures-by-{key}",
                title,
                f"The share of requests that failed, with its 95 % interval, of each {key}"
                + (" among the busiest." if key == "client" else "."),
                n,
                plot.intervals(list(shares)[:24], list(shares.values())[:24], axes.share("share that failed"), red),
            )
