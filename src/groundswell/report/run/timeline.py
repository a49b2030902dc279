"""What happened when: load, latency and the server's or fleet's own metrics, below one another on one axis of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from groundswell.characterize.figures import Series
from groundswell.report import axes, palette, plot, words
from groundswell.report.axes import Axis
from groundswell.report.figure import Figure, Section
from groundswell.report.plot import Line
from groundswell.report.run import summaries
from groundswell.report.run.marks import PANEL, RUNS, Never, Part, lines, n_requests, over_time, said_left_out
from groundswell.report.run.shown import Shown, arrived, teller

BLUE, ORANGE, GREEN, RED, PINK, INK = (
    palette.LIGHT[name] for name in ("blue", "orange", "green", "red", "pink", "ink")
)
LATENCIES = (
    ("ttft", "Time to first token", "time to first token"),
    ("tpot", "Time per output token", "time per output token"),
    ("e2e", "End-to-end latency", "end-to-end latency"),
)


def section(runs: Sequence[Shown]) -> Section:
    """Every panel that there is something to draw in."""
    lead = f"What was asked and what came of it; the {teller(runs)}'s own metrics are below. "
    lead += "All share one axis of time."
    return Section(
        "timeline",
        "Over time",
        f"{lead} {said_left_out(runs)}".strip(),
        figures=(*_load(runs), *_latencies(runs), *_server(runs)),
        stacked=True,
    )


def panel(
    runs: Sequence[Shown],
    key: str,
    title: str,
    caption: str,
    n: str,
    y: Axis,
    parts: Sequence[Part],
    never: Sequence[Never] = (),
    height: int = PANEL,
) -> Iterator[Figure]:
    """A panel, if a run has one of its quantities."""
    drawn = lines(runs, parts)
    if drawn:
        yield Figure(key, title, caption, n, over_time(runs, drawn, y, never, height))


def each(runs: Sequence[Shown], which: Literal["rate_width_s", "width_s"] | None = None) -> str:
    """How long the stretches of the runs are: those of the judgement's figures, or others."""
    widths = [run.judgement.over_time.width_s if which is None else getattr(run, which) for run in runs]
    return " and ".join(dict.fromkeys(map(words.duration, widths)))


def _load(runs: Sequence[Shown]) -> Iterator[Figure]:
    n, stretches = n_requests(runs), f"in stretches of {each(runs)}"
    counted = f"in stretches of {each(runs, 'rate_width_s')}"
    parts = [Part("due", INK, _due), Part("sent", BLUE, _sent), Part("ended", GREEN, _ended)]
    if len(runs) > 1:
        del parts[1]
    sent = len(runs) == 1 and "sent_s" in runs[0].results
    which = "were due, were sent and ended well" if sent else "were due and ended well"
    yield from panel(
        runs, "time-rate", "Requests per second", f"Requests that {which}, {counted}.", n,
        axes.count("requests per second"), parts,
    )  # fmt: skip
    yield from panel(
        runs, "time-open", "Open requests", f"Requests that {arrived(runs)} and had not ended, on average {stretches}.",
        n,
        axes.count("open requests"), [Part("open", BLUE, partial(_known, "open"))],
    )  # fmt: skip
    if any(run.judgement.failed for run in runs):
        yield from panel(
            runs, "time-failed", "Failures per second", f"Requests that failed, by when they were due, {counted}.",
            " and ".join(words.count(run.judgement.failed, "failure") for run in runs),
            axes.count("failures per second"), [Part("failed", RED, _failed)],
        )  # fmt: skip
    yield from panel(
        runs, "time-output", "Output tokens per second", f"Tokens of replies, {stretches}.", n,
        axes.count("output tokens per second"), [Part("output", BLUE, partial(_known, "output_tokens_per_s"))],
    )  # fmt: skip


def _latencies(runs: Sequence[Shown]) -> Iterator[Figure]:
    for key, title, y_title in LATENCIES:
        p50, p99 = f"{key}_p50", f"{key}_p99"
        parts = [Part("median", BLUE, partial(_known, p50)), Part("p99", ORANGE, partial(_known, p99))]
        never = [Never(run.never(p99), RUNS[i] if len(runs) > 1 else ORANGE) for i, run in enumerate(runs)]
        crossed = any(times.at_s.size for times in never)
        ranked = crossed or any(np.isfinite(run.over_time(p99).value).any() for run in runs)
        caption = f"The median{' and the 99th percentile' if ranked else ''} of the requests that were due in "
        caption += f"stretches of {each(runs)}"
        caption += "" if ranked else ", of which none has enough for a 99th percentile"
        if crossed:
            caption += "; a request that failed is infinitely late, and a cross is where the percentile is such a one"
        y = axes.seconds(y_title)
        yield from panel(runs, f"time-{key}", title, f"{caption}.", n_requests(runs), y, parts, never)


def _server(runs: Sequence[Shown]) -> Iterator[Figure]:
    """What the server, or a simulated fleet, said of itself."""
    who = teller(runs)
    stretches = each(runs, "width_s")
    n = " and ".join(words.count(run.metric("at_s").size, "reading") for run in runs)
    read = f"What the {who} said, on average over {stretches}" + (", and the least and the most" * (len(runs) == 1))
    yield from panel(
        runs, "time-queue", f"{who.capitalize()}: running and waiting requests", f"{read}.", n, axes.count("requests"),
        [Part("running", BLUE, partial(_gauge, "running")), Part("waiting", ORANGE, partial(_gauge, "waiting"))],
    )  # fmt: skip
    yield from panel(
        runs, "time-kv", f"{who.capitalize()}: KV cache in use", f"{read}.", n,
        axes.share("share of the KV cache", whole=True), [Part("in use", PINK, partial(_gauge, "kv_used"))],
    )  # fmt: skip
    if any(np.ptp(run.metric("instances")) > 0 for run in runs if run.metric("instances").size):
        yield from panel(
            runs, "time-instances", "Instances", f"Instances that take requests, on average over {stretches}.", n,
            axes.count("instances"), [Part("instances", INK, partial(_gauge, "instances"))],
        )  # fmt: skip
    for name, title, colour in (
        ("preemptions", "preemptions", RED),
        ("prompt_tokens", "prompt tokens", BLUE),
        ("output_tokens", "output tokens", GREEN),
    ):
        yield from panel(
            runs, f"time-server-{name.replace('_', '-')}", f"{who.capitalize()}: {title} per second",
            f"By how much the {who}'s counter grew a second, over {stretches}.", n,
            axes.count(f"{title} per second"), [Part(title, colour, partial(_counter, name))],
        )  # fmt: skip
    yield from panel(
        runs, "time-server-hits", f"{who.capitalize()}: prefix cache hits",
        f"Of what the {who} looked up in its prefix cache, the share that it found, over {stretches}.", n,
        axes.share("share found", whole=True), [Part("found", GREEN, _hits)],
    )  # fmt: skip


def _known(name: str, run: Shown) -> Series:
    return run.over_time(name)


def _due(run: Shown) -> Series:
    return run.rate("due_s")


def _sent(run: Shown) -> Series | None:
    return run.rate("sent_s") if "sent_s" in run.results else None


def _ended(run: Shown) -> Series:
    return run.rate("done_s", ~run.results.failed)


def _failed(run: Shown) -> Series:
    return run.rate("due_s", run.results.failed)


def _gauge(name: str, run: Shown) -> Line | None:
    value = run.metric(name)
    if not value.size:
        return None
    mean, low, high = summaries.gauge(run.metric("at_s"), value, run.span_s, run.width_s)
    return replace(plot.series(name, mean), low=low, high=high)


def _counter(name: str, run: Shown) -> Series | None:
    """A counter's growth, if it grew."""
    value = run.metric(name)
    grown = summaries.counter(run.metric("at_s"), value, run.span_s, run.width_s) if value.size else None
    return grown if grown is not None and np.nansum(grown.value) > 0 else None


def _hits(run: Shown) -> Series | None:
    queries, hits = _counter("prefix_queries", run), _counter("prefix_hits", run)
    if queries is None:
        return None
    found = np.zeros_like(queries.value) if hits is None else hits.value
    share = np.divide(found, queries.value, out=np.full(found.shape, np.nan), where=queries.value > 0)
    return replace(queries, value=share)
