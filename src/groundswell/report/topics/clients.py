"""Who sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from groundswell.characterize.figures import ClientFigures
from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Fact, Facts, Figure, Section, Table
from groundswell.report.topics.context import Context


def section(clients: ClientFigures, context: Context) -> Section:
    """The skew over clients, how they differ, and the busiest alone."""
    return Section(
        "clients",
        "Clients",
        "Who sends"
        + (f", a client being {words.short(clients.what, 60)}" if clients.what != "client" else "")
        + ": how unequal they are, and what the busiest do.",
        _facts(clients),
        tuple(_figures(clients, context)),
        (_top(clients),) if clients.top else (),
    )


def _facts(clients: ClientFigures) -> list[Fact]:
    facts = Facts()
    facts.add("Clients", clients.count)
    for share, needed in clients.needed.items():
        facts.add(f"Clients that make {share} % of requests", needed)
    for k, estimate in clients.top_share.items():
        facts.add(f"Share of the {k} busiest" if k > 1 else "Share of the busiest", estimate, words.share)
    facts.add("Gini coefficient of requests over clients", clients.gini)
    facts.add("Requests from bursty clients (CV above 1.2)", clients.bursty_share, words.share)
    facts.add("Drift of a client's own mean input (median client)", clients.own_drift)
    facts.add("Drift of the whole's mean input", clients.whole_drift)
    facts.add("Share of the whole's drift that the mix of clients explains", clients.mix_explains, words.share)
    return facts.rows


def _figures(clients: ClientFigures, context: Context) -> Iterator[Figure]:
    n = words.count(clients.count, "client")
    if clients.skew.x.size:
        yield Figure(
            "clients-skew",
            "Share of the busiest clients",
            "The share of requests that the x busiest clients make together"
            + (f": {clients.needed[90]:,} of {clients.count:,} make 90 %." if 90 in clients.needed else "."),
            n,
            plot.lines(
                [plot.curve("share", clients.skew, palette.LIGHT["blue"])],
                axes.count("busiest clients", log=True),
                axes.share("share of requests", whole=True),
            ),
        )
    of_requests = axes.share("share of requests from clients up to x", whole=True)
    if clients.rate_cdf.x.size:
        yield Figure(
            "clients-rate",
            "Rates of clients",
            "The share of requests that comes from clients of at most so many requests per second.",
            f"{n}, weighted by requests",
            plot.lines(
                [plot.curve("rate", clients.rate_cdf, palette.LIGHT["blue"])],
                axes.plain("requests per second of a client", log=True),
                of_requests,
            ),
        )
    if clients.cv_cdf.x.size:
        yield Figure(
            "clients-cv",
            "Burstiness of clients",
            "The share of requests that comes from clients whose own gaps have at most this CV"
            + (f", in windows of {words.duration(clients.window_s)}" if clients.window_s else "")
            + "; 1 is Poisson.",
            f"{n}, weighted by requests",
            plot.lines(
                [
                    plot.curve(name, cdf, colour)
                    for name, cdf, colour in (
                        ("of clients", clients.cv_cdf, palette.LIGHT["red"]),
                        ("of their single windows", clients.window_cv_cdf, palette.LIGHT["grey"]),
                    )
                    if cdf.x.size
                ],
                axes.plain("CV of a client's gaps", log=True),
                of_requests,
            ),
        )
    lengths = [("input", clients.input_cdf), ("output", clients.output_cdf)]
    if any(cdf.x.size for _, cdf in lengths):
        yield Figure(
            "clients-lengths",
            "Mean lengths of clients",
            "The share of requests that comes from clients whose mean length is at most so many tokens.",
            f"{n}, weighted by requests",
            plot.lines(
                [plot.curve(f"mean {name}", cdf, palette.KINDS[name]) for name, cdf in lengths if cdf.x.size],
                axes.tokens("mean tokens of a client"),
                of_requests,
            ),
        )
    yield from _alone(clients, context)
    known = {k: estimate for k, estimate in clients.explained.items() if np.isfinite(estimate.value)}
    if known:
        yield Figure(
            "clients-explained",
            "What the busiest explain of the total",
            "The share of the variance of the total rate over windows that moves with the busiest clients, "
            "with its 95 % interval.",
            n,
            plot.intervals(
                [f"{k} busiest" if k > 1 else "busiest" for k in known],
                list(known.values()),
                axes.share("share of the variance of the total rate"),
            ),
        )


def _alone(clients: ClientFigures, context: Context) -> Iterator[Figure]:
    """The busiest clients over time, each in its colour."""
    colours = context.colours([client.name for client in clients.top])
    kinds: tuple[tuple[Literal["rate", "input", "output"], str, str], ...] = (
        ("rate", "requests per second", "Requests per second of each"),
        ("input", "mean input tokens", "The mean input of each"),
        ("output", "mean output tokens", "The mean output of each"),
    )
    for kind, title, words_first in kinds:
        lines = [
            plot.series(client.name, getattr(client, kind), colour)
            for client, colour in zip(clients.top, colours, strict=True)
            if np.isfinite(getattr(client, kind).value).any()
        ]
        if lines:
            yield Figure(
                f"clients-top-{kind}",
                f"The busiest clients: {title}",
                f"{words_first} of the busiest clients over time.",
                words.count(sum(client.requests for client in clients.top), "request")
                + f" of {words.count(len(clients.top), 'client')}",
                plot.lines(lines, context.clock.axis(), axes.count(title)),
            )


def _top(clients: ClientFigures) -> Table:
    rows = [
        (
            words.short(client.name, 60),
            words.share(client.share),
            words.number(client.rate_per_s),
            words.number(client.cv),
            words.number(client.mean_input),
            words.number(client.mean_output),
            f"{words.share(client.input_drift)}, {words.share(client.output_drift)}",
        )
        for client in clients.top
    ]
    head = ("client", "share", "requests/s", "CV", "mean input", "mean output", "drift of input, output")
    return Table("The busiest clients", head, rows, "Drift is the CV of the means of periods, sampling noise removed.")
