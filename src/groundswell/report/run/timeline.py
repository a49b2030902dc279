"""What happened when: load, latency and the server's own metrics, below one another on one axis of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from groundswell.characterize.figures import Series
from groundswell.report import axes, palette, plot, words
from groundswell.report.axes import Axis
from groundswell.report.figure import Figure, Section
from groundswell.report.plot import Line
from groundswell.report.run import summaries
from groundswell.report.run.marks import PANEL, RUNS, Never, Part, lines, n_requests, over_time, said_left_out
from groundswell.report.run.shown import Shown

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
    lead = "What was asked and what came of it; the server's own metrics are below. All share one axis of time."
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


def each(runs: Sequence[Shown]) -> str:
    """How long the stretches of the judgement's figures are."""
    return " and ".join(dict.fromkeys(words.duration(run.judgement.over_time.width_s) for run in runs))


def _load(runs: Sequence[Shown]) -> Iterator[Figure]:
    n, stretches = n_requests(runs), f"in stretches of {each(runs)}"
    parts = [Part("due", INK, _per_s("due")), Part("sent", BLUE, _per_s("sent")), Part("ended", GREEN, _per_s("ended"))]
    if len(runs) > 1:
        del parts[1]
    which = "were due, were sent and ended" if len(runs) == 1 else "were due and ended"
    yield from panel(
        runs, "time-rate", "Requests per second", f"Requests that {which}, {stretches}.", n,
        axes.count("requests per second"), parts,
    )  # fmt: skip
    yield from panel(
        runs, "time-open", "Open requests", f"Requests that were sent and had not ended, on average {stretches}.", n,
        axes.count("open requests"), [Part("open", BLUE, partial(_known, "open"))],
    )  # fmt: skip
    if any(run.judgement.failed for run in runs):
        yield from panel(
            runs, "time-failed", "Failures per second", f"Requests that failed, by when they were due, {stretches}.",
            " and ".join(words.count(run.judgement.failed, "failure") for run in runs),
            axes.count("failures per second"), [Part("failed", RED, _per_s("failed"))],
        )  # fmt: skip
    yield from panel(
        runs, "time-output", "Output tokens per second", f"Tokens of replies, {stretches}.", n,
        axes.count("output tokens per second"), [Part("output", BLUE, partial(_known, "output_tokens_per_s"))],
    )  # fmt: skip


def _latencies(runs: Sequence[Shown]) -> Iterator[Figure]:
    caption = f"The median and the 99th percentile of the requests that were due in stretches of {each(runs)}"
    if any(run.judgement.failed for run in runs):
        caption += "; a request that failed is infinitely late, and a cross is where the 99th percentile is such a one"
    for key, title, y_title in LATENCIES:
        parts = [
            Part("median", BLUE, partial(_known, f"{key}_p50")),
            Part("p99", ORANGE, partial(_known, f"{key}_p99")),
        ]
        colours = RUNS if len(runs) > 1 else (ORANGE,)
        never = [Never(run.never(f"{key}_p99"), colour) for run, colour in zip(runs, colours, strict=False)]
        y = axes.seconds(y_title)
        yield from panel(runs, f"time-{key}", title, f"{caption}.", n_requests(runs), y, parts, never)


def _server(runs: Sequence[Shown]) -> Iterator[Figure]:
    """What the server said of itself."""
    stretches = " and ".join(dict.fromkeys(words.duration(run.width_s) for run in runs))
    n = " and ".join(words.count(run.metric("at_s").size, "reading") for run in runs)
    read = f"What the server said, on average over {stretches}" + (", and the least and the most" * (len(runs) == 1))
    yield from panel(
        runs, "time-queue", "Server: running and waiting requests", f"{read}.", n, axes.count("requests"),
        [Part("running", BLUE, partial(_gauge, "running")), Part("waiting", ORANGE, partial(_gauge, "waiting"))],
    )  # fmt: skip
    yield from panel(
        runs, "time-kv", "Server: KV cache in use", f"{read}.", n, axes.share("share of the KV cache", whole=True),
        [Part("in use", PINK, partial(_gauge, "kv_used"))],
    )  # fmt: skip
    for name, title, colour in (
        ("preemptions", "preemptions", RED),
        ("prompt_tokens", "prompt tokens", BLUE),
        ("output_tokens", "output tokens", GREEN),
    ):
        yield from panel(
            runs, f"time-server-{name.replace('_', '-')}", f"Server: {title} per second",
            f"By how much the server's counter grew a second, over {stretches}.", n,
            axes.count(f"{title} per second"), [Part(title, colour, partial(_counter, name))],
        )  # fmt: skip
    yield from panel(
        runs, "time-server-hits", "Server: prefix cache hits",
        f"Of what the server looked up in its prefix cache, the share that it found, over {stretches}.", n,
        axes.share("share found", whole=True), [Part("found", GREEN, _hits)],
    )  # fmt: skip


def _known(name: str, run: Shown) -> Series:
    return run.over_time(name)


def _per_s(name: str) -> Callable[[Shown], Series]:
    return lambda run: run.per_s(name)


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
