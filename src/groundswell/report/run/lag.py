"""How late we ourselves were: the time from when a request was due until it was sent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

from groundswell.judge.validity import LAG_SHARE
from groundswell.report import axes, palette, words
from groundswell.report.figure import Fact, Facts, Figure, Section
from groundswell.report.plot.chart import HEIGHT
from groundswell.report.run import said
from groundswell.report.run.latency import of_metric, slo_bounds
from groundswell.report.run.marks import Bound, Part
from groundswell.report.run.shown import Shown
from groundswell.report.run.timeline import each, panel


def section(runs: Sequence[Shown]) -> Section:
    """The lag's distribution, and its 99th percentile over time."""
    if not any("lag" in run.judgement.latencies for run in runs):
        why = "the results do not say when requests were sent"
        if all(run.simulated for run in runs):
            why = "nothing is sent in a simulation, so nothing is late"
        return Section("lag", "Our own lag", missing=why)
    return Section(
        "lag",
        "Our own lag",
        "How long after it was due each request was sent. Latencies include it; where it is not small against them, "
        "it is we who were slow and not the server.",
        _facts(runs[0]) if len(runs) == 1 else (),
        tuple(_figures(runs)),
    )


def _facts(run: Shown) -> Sequence[Fact]:
    facts = Facts()
    lag, ttft = run.judgement.latencies["lag"], run.judgement.latencies.get("ttft")
    facts.add("Median lag", lag.p50, said.late)
    facts.add("99th percentile of the lag", lag.p99, said.late)
    facts.add("Longest lag", lag.max, said.late)
    if ttft is not None and 0 < ttft.p50.value < math.inf:
        facts.add("99th percentile over the median TTFT", lag.p99.value / ttft.p50.value, words.share)
    return facts.rows


def _figures(runs: Sequence[Shown]) -> Iterator[Figure]:
    *_, tail = [None, *of_metric(runs, "lag", [*slo_bounds(runs, "lag"), *_allowed(runs)])]
    if tail is not None:
        yield tail
    known = [run.judgement.latencies["lag"].n for run in runs if "lag" in run.judgement.latencies]
    yield from panel(
        runs,
        "lag-time",
        "Our own lag over time",
        f"The 99th percentile of the lag of requests that were due in stretches of {each(runs)}.",
        " and ".join(words.count(n, "request") for n in known),
        axes.seconds("99th percentile of the lag"),
        [Part("lag", palette.LIGHT["blue"], partial(Shown.over_time, name="lag_p99"))],
        height=HEIGHT,
    )


def _allowed(runs: Sequence[Shown]) -> Iterator[Bound]:
    """Where a run becomes invalid, if there is one run: two have a bound each."""
    ttft = runs[0].judgement.latencies.get("ttft")
    if len(runs) == 1 and ttft is not None and 0 < ttft.p50.value < math.inf:
        share = f"{words.share(LAG_SHARE)} of the median TTFT"
        yield Bound(LAG_SHARE * ttft.p50.value, 0.99, share, palette.LIGHT["muted"])
