"""What a person sees of a run: a picture for a terminal, or a line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from groundswell.replay.recent import Figures
from groundswell.units import show_count, show_duration

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MOST_LAG = 0.05
"""The share of the median TTFT from which on our own lag spoils what is measured."""
_WIDE = 110
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Scene:
    """What there is to show: ``requests`` in ``span_s`` to come of the whole run, and how it is now."""

    title: str
    requests: int
    span_s: float
    figures: Figures
    server: Mapping[str, float]
    """Figures under the names of :mod:`groundswell.replay.server_metrics`."""
    server_name: str | None = None


def line_of(scene: Scene) -> str:
    """The run in a line."""
    figures, totals = scene.figures, scene.figures.all
    pieces = [
        f"{time_line(scene)}: asked {_rate(figures.due_per_s)}, sent {_rate(figures.sent_per_s)}, "
        f"ended {_rate(figures.ended_per_s)}, {totals.open:,} open"
        + (f", {totals.held:,} held back" * (totals.held > 0)),
        *(
            f"{name} p50 {show_latency(values.p50_s)}, p99 {show_latency(values.p99_s)}"
            for name, values in (("TTFT", figures.ttft), ("TPOT", figures.tpot), ("lag", figures.lag))
            if not math.isnan(values.p50_s)
        ),
        *([f"{totals.failed:,} failed ({errors_of(figures)})"] if figures.errors else []),
        *([f"{scene.server_name or 'server'} {server_line(scene.server)}"] if scene.server else []),
    ]
    return "; ".join(pieces)


def picture_of(scene: Scene, course: Sequence[float], width: int) -> RenderableType:
    """The run as a picture for rich, on a terminal of ``width`` columns; ``course`` is how TTFT went so far."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [_progress(scene), "", _table(scene, course, width)]
    if scene.title:
        parts.insert(0, Text(plain(scene.title), "bold", no_wrap=True, overflow="ellipsis"))
    rest = _rest(scene)
    if rest.row_count:
        parts += ["", rest]
    return Group(*parts)


def _progress(scene: Scene) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    progress = Table.grid(padding=(0, 2), expand=True)
    progress.add_column(ratio=1)
    progress.add_column(no_wrap=True)
    passed_s = min(max(scene.figures.now_s, 0.0), scene.span_s)
    progress.add_row(ProgressBar(max(scene.span_s, 1e-9), passed_s), time_line(scene))
    return progress


def _table(scene: Scene, course: Sequence[float], width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    def heads(*names: str) -> list[Text]:
        return [Text(name, "dim") for name in names]

    def latencies(values: Sequence[float], style: str = "") -> list[Text]:
        return [Text(show_latency(value), "red" if math.isinf(value) else style) for value in values]

    figures, totals = scene.figures, scene.figures.all
    table = Table.grid(padding=(0, 3))
    table.add_column(no_wrap=True, min_width=10)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True, min_width=8)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_row("", *heads("asked", "sent", "ended"))
    rates = (figures.due_per_s, figures.sent_per_s, figures.ended_per_s)
    tokens = "" if math.isnan(figures.tokens_per_s) else f"{show_count(figures.tokens_per_s)} tokens/s"
    table.add_row("per second", *(_rate(rate).removesuffix("/s") for rate in rates), Text(tokens, "dim"))
    table.add_row("in all", f"{totals.due:,}", f"{totals.sent:,}", f"{totals.ended:,}", _open(figures))
    table.add_row()
    table.add_row("", *heads("p50", "p99", "max", "last 10 s"))
    trend = sparkline(course, width - 80) if width >= _WIDE else ""
    table.add_row(
        "TTFT", *latencies(figures.ttft), Text(f"{trend}  p99 since the begin" if trend.strip() else "", "cyan")
    )
    table.add_row("TPOT", *latencies(figures.tpot))
    style, note = ("bold yellow", "over 5 % of TTFT") if lag_spoils(figures) else ("", "")
    table.add_row(Text("lag", style), *latencies(figures.lag, style), Text(note, style))
    return table


def _rest(scene: Scene) -> Table:
    """What the server says, and errors, where there are any."""
    from rich.table import Table
    from rich.text import Text

    rest = Table.grid(padding=(0, 3))
    rest.add_column(no_wrap=True, min_width=10)
    rest.add_column(overflow="fold")
    if scene.server:
        rest.add_row(scene.server_name or "server", server_line(scene.server))
    if scene.figures.errors:
        rest.add_row(Text("errors", "bold red"), errors_of(scene.figures))
    return rest


def time_line(scene: Scene) -> str:
    """How far the run is, and how long it still takes."""
    figures = scene.figures
    if figures.now_s < 0:
        return f"begins in {_clock(math.ceil(-figures.now_s))}"
    left_s = scene.span_s - figures.now_s
    if left_s > 0:
        return f"{_clock(figures.now_s)} of {_clock(scene.span_s)}, {_clock(left_s)} left"
    unsent = scene.requests - figures.all.sent
    return f"{_clock(figures.now_s)}, " + (
        f"{unsent:,} still to send" if unsent > 0 else f"{figures.all.open:,} still open"
    )


def server_line(server: Mapping[str, float]) -> str:
    """What the server says of itself, under the names of :mod:`groundswell.replay.server_metrics`.

    >>> server_line({"running": 30, "kv_used": 0.631, "prefix_queries": 200, "prefix_hits": 50})
    'running 30 · KV 63 % · prefix hits 25 %'
    """
    pieces = [f"{name} {show_count(server[name])}" for name in ("running", "waiting") if name in server]
    if "kv_used" in server:
        pieces.append(f"KV {server['kv_used']:.0%}".replace("%", " %"))
    if "preemptions" in server:
        pieces.append(f"preempted {show_count(server['preemptions'])}")
    if server.get("prefix_queries", 0) > 0 and "prefix_hits" in server:
        pieces.append(f"prefix hits {100 * server['prefix_hits'] / server['prefix_queries']:.0f} %")
    return " · ".join(pieces)


def errors_of(figures: Figures) -> str:
    """How many requests failed how, in a line: the six most frequent ways."""
    shown = [f"{kind} × {count:,}" for kind, count in figures.errors.items()]
    return " · ".join(shown[:6]) + (f" · {len(shown) - 6} more kinds" if len(shown) > 6 else "")


def lag_spoils(figures: Figures) -> bool:
    """Whether our own lag is a part of the measured TTFT that matters."""
    return figures.lag.p99_s > MOST_LAG * figures.ttft.p50_s


def sparkline(values: Sequence[float], width: int) -> str:
    """The values as at most ``width`` bars from 0, each the largest of as many as it stands for; ``×`` where one is
    infinite, a gap where there is none.

    >>> sparkline([1.0, 8.0, float("inf"), float("nan"), 4.0], 80)
    '▁█× ▄'
    """
    together = max(-(-len(values) // max(width, 1)), 1)
    groups = [[v for v in values[at : at + together] if not math.isnan(v)] for at in range(0, len(values), together)]
    bars = [max(group, default=math.nan) for group in groups]
    top = max((bar for bar in bars if math.isfinite(bar)), default=0.0)

    def mark(bar: float) -> str:
        if math.isnan(bar):
            return " "
        if math.isinf(bar):
            return "×"
        return _BARS[max(math.ceil(bar / top * len(_BARS)) - 1, 0)] if top > 0 else _BARS[0]

    return "".join(map(mark, bars))


def show_latency(seconds: float) -> str:
    """A latency in three figures.

    >>> [show_latency(s) for s in (0.00031, 0.182, 2.5, 31.0, float("inf"), float("nan"))]
    ['0.31 ms', '182 ms', '2.5 s', '31 s', 'failed', '–']
    """
    if math.isnan(seconds):
        return "–"
    if math.isinf(seconds):
        return "failed"
    if seconds < 0.9995:
        return f"{max(seconds, 0.0) * 1000:.3g} ms" if seconds >= 0.00995 else f"{max(seconds, 0.0) * 1000:.2f} ms"
    return f"{seconds:.3g} s" if seconds < 999.5 else show_duration(round(seconds))


def plain(text: str) -> str:
    """``text`` without what could move a terminal's cursor: a server names its models as it likes."""
    return "".join(mark if mark.isprintable() else "�" for mark in text)


def _open(figures: Figures) -> RenderableType:
    from rich.text import Text

    totals = figures.all
    shown = Text(f"{totals.open:,} open", "dim")
    if totals.held:
        shown.append(f"  {totals.held:,} held back", "yellow")
    if totals.failed:
        shown.append(f"  {totals.failed:,} failed", "red")
    return shown


def _rate(per_s: float) -> str:
    return "–" if math.isnan(per_s) else f"{per_s:,.1f}/s"


def _clock(seconds: float) -> str:
    """Time as it is read off a watch, of a width that does not change with each second."""
    minutes, rest = divmod(math.floor(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
