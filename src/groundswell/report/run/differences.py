"""Two runs: every figure of both, how far apart they are, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Figure, Section, Table, Verdict
from groundswell.report.run import said
from groundswell.report.run.marks import n_requests
from groundswell.report.run.shown import Shown
from groundswell.report.words import Say
from groundswell.stats.difference import change, difference
from groundswell.stats.estimate import Estimate

LEVELS = ("mean", "p50", "p90", "p95", "p99")


@dataclass(frozen=True)
class Row:
    """A figure of both runs. ``better`` is 1 where more of it is, −1 where less is, and 0 for neither."""

    name: str
    say: Say
    better: int
    first: Estimate
    second: Estimate
    in_points: bool = False
    """Whether it is a share, whose change is a difference and no ratio."""

    @property
    def change(self) -> Estimate:
        """By how much the second run's is more, as a share of the first's, or in points."""
        return (difference if self.in_points else change)(self.first, self.second)

    @property
    def sign(self) -> int | None:
        """1 or −1 where the second run's is surely more or less, 0 where that is open, None if no interval is known."""
        low, high = self.change.low, self.change.high
        if math.isnan(low) and math.isnan(high):
            # A percentile that is infinite has no ratio; it still is above one whose whole interval is below its own.
            low, high = self.second.low - self.first.high, self.second.high - self.first.low
        if math.isnan(low) and math.isnan(high):
            return None
        return 1 if low > 0 else -1 if high < 0 else 0


def section(runs: Sequence[Shown]) -> Section:
    """The table of all differences, and those of latencies in a picture."""
    rows = list(of(*runs))
    drawn = [row for row in rows if not row.in_points and row.change.known]
    first, second = (run.name for run in runs)
    return Section(
        "differences",
        "Differences",
        f"By how much {second} is above or below {first}. An interval that does not reach over 0 % is a difference "
        "that the length of these runs does not explain; of so many figures about one in twenty is so by chance.",
        figures=(_figure(drawn, runs),) if drawn else (),
        tables=(_table(rows, runs),),
    )


def of(first: Shown, second: Shown) -> Iterator[Row]:
    """Every figure that both runs have."""
    a, b = first.judgement, second.judgement

    def rate(name: str, better: int, of: Callable[[Shown], float]) -> Row:
        return Row(name, words.rate, better, Estimate(of(first)), Estimate(of(second)))

    yield rate("Requests due", 0, lambda run: run.judgement.rates.asked_per_s)
    yield rate("Requests that ended well", 1, lambda run: run.judgement.rates.ended_per_s)
    yield Row("Goodput", words.rate, 1, a.rates.goodput_per_s, b.rates.goodput_per_s)
    yield Row("Attainment", words.share, 1, a.attainment, b.attainment, in_points=True)
    failed = [Estimate(run.failed / run.requests if run.requests else math.nan, n=run.requests) for run in (a, b)]
    yield Row("Failed requests", words.share, -1, failed[0], failed[1], in_points=True)
    yield rate("Output tokens", 1, lambda run: run.judgement.rates.output_tokens_per_s)
    for metric in said.NAMES:
        both = [run.latencies.get(metric) for run in (a, b)]
        if both[0] is None or both[1] is None:
            continue
        for level in LEVELS:
            label = f"{said.SHORT[metric]} {'median' if level == 'p50' else level}"
            yield Row(label, said.late, -1, getattr(both[0], level), getattr(both[1], level))


def _table(rows: Sequence[Row], runs: Sequence[Shown]) -> Table:
    shown = [row for row in rows if not (math.isnan(row.first.value) and math.isnan(row.second.value))]
    head = ("figure", *(run.name for run in runs), "change", "verdict")
    note = "Intervals are of 95 %; that of a change follows from those of its two figures, which are independent."
    return Table("All figures", head, [_row(row) for row in shown], note)


def _row(row: Row) -> tuple[str | Verdict, ...]:
    say = said.known(row.say)
    return (row.name, said.estimate(row.first, say), said.estimate(row.second, say), _change(row), _verdict(row))


def _change(row: Row) -> str:
    found = row.change
    if math.isnan(found.value):
        return said.NONE
    if row.in_points:
        return f"{said.estimate(found, _points)} points"
    return said.estimate(found, _percent)


def _verdict(row: Row) -> Verdict:
    sign = row.sign
    if sign is None:
        return Verdict("open", "", said.NONE)
    if sign == 0:
        return Verdict("open", "○", "not told apart")
    kind = "open" if not row.better else "yes" if sign == row.better else "no"
    return Verdict(kind, "▲" if sign > 0 else "▼", "higher" if sign > 0 else "lower")


def _percent(value: float) -> str:
    """A change.

    >>> _percent(0.123), _percent(-0.5), _percent(4.0)
    ('+12.3 %', '−50 %', '+400 %')
    """
    if value >= 9:
        return f"{words.number(1 + value)}×"
    return f"{'−' if value < 0 else '+'}{words.share(abs(value))}"


def _points(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{words.number(100 * abs(value))}"


def _figure(rows: Sequence[Row], runs: Sequence[Shown]) -> Figure:
    first, second = (run.name for run in runs)
    x = axes.Axis(f"change from {first} to {second}", _percent, label="format(datum.value, '+~%')")
    spec = plot.intervals([row.name for row in rows], [row.change for row in rows], x)
    zero = {"type": "rule", "stroke": palette.LIGHT["muted"], "strokeDash": [3, 3]}
    channel = {key: value for key, value in spec["layer"][0]["encoding"]["x"].items() if key != "field"}
    spec["layer"].insert(0, {"data": {"values": [{"z": 0}]}, "mark": zero, "encoding": {"x": {"field": "z"} | channel}})
    return Figure(
        "differences-all",
        "Changes with their intervals",
        f"By how much each figure of {second} is above (right) or below (left) that of {first}; what has an "
        "open interval is in the table alone.",
        n_requests(runs),
        spec,
    )
