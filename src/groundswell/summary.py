"""What a workload is, in figures a person can read: folded block by block, so the workload need not fit in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.errors import UsageError
from groundswell.histogram import Histogram
from groundswell.table import ITEM_COLUMNS, Workload
from groundswell.units import show_count, show_duration

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PEAK_WINDOW_S = 10.0
"""The peak rate is that of the busiest such stretch, counted from time 0."""

_TOKEN_COLUMNS = ("input_tokens", "output_tokens", "reason_tokens")


@compiled
def _fold(
    arrival_s: Any, code: Any, input_tokens: Any, output_tokens: Any,
    count: Any, input_total: Any, output_total: Any, busy: Any, busy_count: Any,
) -> Any:  # fmt: skip
    """Fill what is known of each client and of each busy stretch; (sum of squared gaps, number of busy stretches)."""
    total, stretches, before, current = 0.0, 0, arrival_s[0], np.int64(-1)
    for i in range(code.size):
        c, t = code[i], arrival_s[i]
        total += (t - before) ** 2
        before = t
        number = np.int64(t / PEAK_WINDOW_S)
        if number != current:
            busy[stretches], current = number, number
            stretches += 1
        busy_count[stretches - 1] += 1
        count[c] += 1
        input_total[c] += input_tokens[i]
        output_total[c] += output_tokens[i]
    return total, stretches


@dataclass(frozen=True, eq=False)
class Senders:
    """For each client: its requests, and the tokens of their inputs and outputs."""

    clients: pl.Enum
    count: Ints
    input_tokens: Ints
    output_tokens: Ints

    @classmethod
    def none(cls, clients: pl.Enum) -> Senders:
        """Nothing sent yet."""
        n = clients.categories.len()
        return cls(clients, *(np.zeros(n, np.int64) for _ in range(3)))

    def __add__(self, other: Senders) -> Senders:
        if self.clients != other.clients:
            both = pl.concat([self.clients.categories, other.clients.categories]).unique(maintain_order=True)
            return self._among(both) + other._among(both)
        return Senders(
            self.clients,
            self.count + other.count,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )

    def _among(self, names: pl.Series) -> Senders:
        """The same, as some of the clients called ``names``."""
        place = self.clients.categories.cast(pl.Enum(names)).to_physical().to_numpy()

        def wider(column: Ints) -> Ints:
            wide = np.zeros(names.len(), np.int64)
            wide[place] = column
            return wide

        return Senders(pl.Enum(names), wider(self.count), wider(self.input_tokens), wider(self.output_tokens))


@dataclass(frozen=True, eq=False)
class Summary:
    """A summary of consecutive blocks. ``a + b`` is that of a's blocks and then b's, which must not begin earlier.

    Memory grows with the span, 16 bytes for every 10 s that see a request, and with the clients; not with the requests.
    """

    requests: int = 0
    first_s: float = np.nan
    last_s: float = np.nan
    squares: float = 0.0
    """The sum of the squares of the gaps between arrivals, in s²."""
    busy: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """The numbers of the stretches of :data:`PEAK_WINDOW_S` in which something arrived, rising."""
    busy_count: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    tokens: dict[str, Histogram] = field(default_factory=dict)
    items: dict[str, Histogram] = field(default_factory=dict)
    with_items: dict[str, int] = field(default_factory=dict)
    senders: Senders | None = None

    @classmethod
    def of(cls, block: Workload) -> Summary:
        """The summary of one block."""
        if not len(block):
            return cls()
        arrival_s = block.arrival_s
        clients = block.frame.schema["client"]
        assert isinstance(clients, pl.Enum)  # noqa: S101 (a Workload's schema)
        known = Senders.none(clients)
        most = min(len(block), int((arrival_s[-1] - arrival_s[0]) / PEAK_WINDOW_S) + 2)
        busy, busy_count = np.zeros(most, np.int64), np.zeros(most, np.int64)
        squares, stretches = _fold(
            arrival_s, block.client_code, block.input_tokens, block.output_tokens,
            known.count, known.input_tokens, known.output_tokens, busy, busy_count,
        )  # fmt: skip
        items = {name: block.frame[name] for name in ITEM_COLUMNS if name in block.frame.columns}
        return cls(
            len(block),
            float(arrival_s[0]),
            float(arrival_s[-1]),
            squares,
            busy[:stretches],
            busy_count[:stretches],
            {
                name: Histogram.of(block.frame[name].to_numpy())
                for name in _TOKEN_COLUMNS
                if name in block.frame.columns
            },
            {name: Histogram.of(sizes.explode(empty_as_null=False, keep_nulls=False)) for name, sizes in items.items()},
            {name: int((sizes.list.len() > 0).sum()) for name, sizes in items.items()},
            known,
        )

    def __add__(self, other: Summary) -> Summary:
        if self.senders is None or other.senders is None:
            return other if self.senders is None else self
        if other.first_s < self.last_s:
            raise UsageError(
                f"summaries add up in time order: one from {other.first_s:g} s cannot follow one to {self.last_s:g} s"
            )
        shared = int(self.busy[-1] == other.busy[0])
        busy_count = np.concatenate([self.busy_count, other.busy_count[shared:]])
        busy_count[self.busy.size - 1] += shared * other.busy_count[0]
        return Summary(
            self.requests + other.requests,
            self.first_s,
            other.last_s,
            self.squares + other.squares + (other.first_s - self.last_s) ** 2,
            np.concatenate([self.busy, other.busy[shared:]]),
            busy_count,
            _added(self.tokens, other.tokens),
            _added(self.items, other.items),
            _added(self.with_items, other.with_items),
            self.senders + other.senders,
        )

    def finish(self, duration_s: float | None = None, top: int = 5) -> Figures:
        """The figures, with the ``top`` busiest clients. The span is ``duration_s``, or from first to last arrival."""
        if self.senders is None:
            return Figures(span_s=duration_s or 0.0)
        between_s = self.last_s - self.first_s
        span_s = between_s if duration_s is None else duration_s
        sent = self.requests if duration_s is not None else self.requests - 1
        senders = self.senders
        chosen = np.argsort(-senders.count, kind="stable")[:top]
        names = senders.clients.categories
        return Figures(
            requests=self.requests,
            span_s=span_s,
            mean_rate_per_s=sent / span_s if span_s > 0 else np.nan,
            peak_rate_per_s=int(self.busy_count.max()) / (min(span_s, PEAK_WINDOW_S) or np.nan),
            cv=_cv(self.requests, between_s, self.squares),
            tokens={name.removesuffix("_tokens"): _tokens(h) for name, h in self.tokens.items()},
            items={
                name.removesuffix("_tokens"): ItemFigures(self.with_items[name] / self.requests, _tokens(h))
                for name, h in self.items.items()
            },
            clients=len(names),
            active_clients=int((senders.count > 0).sum()),
            top=tuple(
                ClientFigures(
                    names[c],
                    int(senders.count[c]),
                    float(senders.count[c] / self.requests),
                    float(senders.input_tokens[c] / senders.count[c]),
                    float(senders.output_tokens[c] / senders.count[c]),
                )
                for c in chosen.tolist()
                if senders.count[c]
            ),
        )


@dataclass(frozen=True)
class TokenFigures:
    """Of numbers of tokens; quantiles to 1 %."""

    count: int
    total: int
    mean: float
    p50: float
    p90: float
    p99: float
    most: float


@dataclass(frozen=True)
class ItemFigures:
    """Of images, audio or video: the share of requests that have some, and the tokens of an item."""

    share: float
    tokens: TokenFigures


@dataclass(frozen=True)
class ClientFigures:
    """Of one client: its share of the requests, and the mean tokens of its inputs and outputs."""

    name: str
    requests: int
    share: float
    mean_input_tokens: float
    mean_output_tokens: float


@dataclass(frozen=True)
class Figures:
    """Of a workload. ``cv`` is the coefficient of variation of the gaps between requests, 1 for a Poisson process."""

    requests: int = 0
    span_s: float = 0.0
    mean_rate_per_s: float = 0.0
    peak_rate_per_s: float = 0.0
    cv: float = np.nan
    tokens: dict[str, TokenFigures] = field(default_factory=dict)
    items: dict[str, ItemFigures] = field(default_factory=dict)
    clients: int = 0
    active_clients: int = 0
    top: tuple[ClientFigures, ...] = ()


def describe(figures: Figures) -> str:
    """The figures as lines of text, for a terminal of 80 columns."""
    if not figures.requests:
        return f"requests  none in {show_duration(figures.span_s)}"
    lines = [
        f"requests  {show_count(figures.requests)} from {figures.active_clients:,} of {figures.clients:,} clients",
        f"span      {show_duration(figures.span_s)}",
        f"rate      {show_count(figures.mean_rate_per_s)} req/s on average, "
        f"{show_count(figures.peak_rate_per_s)} in the busiest {show_duration(PEAK_WINDOW_S)}",
        f"CV        {figures.cv:.3g} of the gaps between requests",
        "",
        f"{'tokens':<14}" + "".join(f"{head:>10}" for head in ("total", "mean", "p50", "p90", "p99", "max")),
    ]
    rows = {name: figures.tokens[name] for name in figures.tokens} | {
        f"per {name}": item.tokens for name, item in figures.items.items()
    }
    for name, t in rows.items():
        numbers = (t.total, t.mean, t.p50, t.p90, t.p99, t.most) if t.count else ()
        lines.append(f"  {name:<12}" + "".join(f"{show_count(round(number, 1)):>10}" for number in numbers))
    for name, item in figures.items.items():
        each = item.tokens.count / (item.share * figures.requests) if item.share else 0.0
        lines.append(f"  {item.share:.1%} of requests have {name}s, {each:.3g} each")
    lines += ["", f"{'top clients':<34}{'requests':>10}{'share':>8}{'mean input':>12}{'output':>10}"]
    for client in figures.top:
        name = client.name if len(client.name) <= 30 else client.name[:29] + "…"
        means = (show_count(round(mean, 1)) for mean in (client.mean_input_tokens, client.mean_output_tokens))
        lines.append(
            f"  {name:<32}{show_count(client.requests):>10}{client.share:>8.1%}" + "{:>12}{:>10}".format(*means)
        )
    return "\n".join(lines)


def _added(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    return {name: a[name] + b[name] if name in a and name in b else (a | b)[name] for name in {**a, **b}}


def _cv(requests: int, between_s: float, squares: float) -> float:
    """The coefficient of variation of n-1 gaps, from their sum and that of their squares; nan for fewer than two."""
    if requests < 3 or not between_s > 0:
        return np.nan
    return float(np.sqrt(max((requests - 1) * squares / between_s**2 - 1.0, 0.0)))


def _tokens(h: Histogram) -> TokenFigures:
    p50, p90, p99 = (h.quantile(q) for q in (0.5, 0.9, 0.99))
    return TokenFigures(h.count, int(h.total), h.mean, p50, p90, p99, h.most if h.count else np.nan)
