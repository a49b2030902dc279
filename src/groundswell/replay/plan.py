"""What a run would send, in figures: one pass over the workload, which also finds what could not be sent."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.replay._columns import SENT, Columns, Lists
from groundswell.replay._turns import Ends
from groundswell.replay.source import Source
from groundswell.replay.wire import ALONE
from groundswell.table import BLOCK_SIZE_KEY
from groundswell.units import show_count, show_duration

PEAK_WINDOW_S = 10.0
"""Peaks are those of the busiest such stretch, counted from time 0."""


_KINDS = {"images", "audio", "video"}


@dataclass(frozen=True)
class Items:
    """Images, audio or video: of how many requests, how many, and their tokens."""

    requests: int = 0
    count: int = 0
    tokens: int = 0

    @classmethod
    def of(cls, lists: Lists) -> Items:
        """Of the lists of their sizes."""
        return cls(int((lists.count > 0).sum()), lists.value.size, int(lists.value.sum(dtype=np.int64)))

    def __add__(self, other: Items) -> Items:
        return Items(self.requests + other.requests, self.count + other.count, self.tokens + other.tokens)


@dataclass(frozen=True)
class Plan:
    """What would be sent. Peaks are means over the busiest 10 s."""

    source: str
    requests: int = 0
    first_s: float = nan
    last_s: float = nan
    """When the first and the last request arrive, on the workload's clock."""
    peak_rate_per_s: float = 0.0
    input_tokens: int = 0
    peak_input_tokens_per_s: float = 0.0
    longest_prompt: int = 0
    output_tokens: int = 0
    peak_output_tokens_per_s: float = 0.0
    longest_reply: int = 0
    empty_prompts: int = 0
    empty_replies: int = 0
    """Requests of no tokens, and for none: servers refuse them."""
    clients: int = 0
    """Those that send."""
    conversations: int = 0
    turns: int = 0
    """Requests that belong to a conversation."""
    thinks: bool = False
    """Whether the workload tells how long a later turn waits."""
    with_prefix: int = 0
    """Requests whose prompt has named blocks."""
    block_tokens: int | None = None
    """The size of these, where it is known."""
    images: Items = Items()
    audio: Items = Items()
    video: Items = Items()
    digest: str = ""
    """SHA-256 of all that decides what is sent when: arrivals, lengths, conversations, pauses, prefixes, items. It does
    not depend on the file's format, its name or its blocks."""

    @property
    def span_s(self) -> float:
        """From the first arrival to the last."""
        return self.last_s - self.first_s if self.requests else 0.0

    @property
    def mean_rate_per_s(self) -> float:
        """Requests a second; nan for a single time."""
        return (self.requests - 1) / self.span_s if self.span_s > 0 else nan

    def per_s(self, total: float) -> float:
        """A total of all requests but about one, a second."""
        return total / self.requests * self.mean_rate_per_s if self.requests else nan

    def text(self) -> str:
        """The plan as lines, for a terminal of 80 columns."""
        if not self.requests:
            return f"nothing to send in {self.source}"
        clients = f"{self.clients:,} client{'s' * (self.clients != 1)}"
        head = f"{show_count(self.requests)} requests from {clients} in {show_duration(self.span_s)}"
        facts = [f"{name:<14}{told}" for name, told in _facts(self)]
        return "\n".join([head, "", *_table(self), *([""] if facts else []), *facts])


@dataclass
class _Busiest:
    """The busiest of equal windows, of what comes in order of time: a count and two totals for each."""

    number: int = -1
    now: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    most: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))

    def add(self, block: Columns) -> None:
        number = (block.arrival_s / PEAK_WINDOW_S).astype(np.int64)
        begin = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
        counted = np.diff(begin, append=number.size)
        tokens = (
            np.add.reduceat(column, begin, dtype=np.int64) for column in (block.input_tokens, block.output_tokens)
        )
        sums = np.stack([counted, *tokens])
        if number[0] == self.number:
            sums[:, 0] += self.now
        self.most = np.maximum(self.most, sums.max(axis=1))
        self.number, self.now = int(number[-1]), sums[:, -1]


class _Digest:
    """A hash of columns, each of which comes in pieces."""

    def __init__(self) -> None:
        self._columns: dict[str, Any] = {}

    def add(self, block: Columns, names: Collection[str]) -> None:
        self._take("arrival_s", block.arrival_s, "<f8")
        self._take("input_tokens", block.input_tokens, "<i4")
        self._take("output_tokens", block.output_tokens, "<i4")
        if "conversation" in names:
            self._take("talk", block.talk, "<i8")
        if "think_s" in names:
            self._take("think_s", block.think_s, "<f8")
        for name, lists in block.lists.items():
            self._take(f"{name} count", lists.count, "<i4")
            self._take(name, lists.value, "<i8")

    def _take(self, name: str, column: NDArray[Any], kind: str) -> None:
        self._columns.setdefault(name, hashlib.sha256()).update(np.ascontiguousarray(column, kind))

    def told(self) -> str:
        """The hash of the columns' names and hashes, as hexadecimal digits."""
        columns = sorted((name, column.hexdigest()) for name, column in self._columns.items())
        return hashlib.sha256(repr(columns).encode()).hexdigest()


def survey(source: Source, until_s: float = inf) -> Plan:
    """What a run of ``source`` would send, of what arrives before ``until_s``.

    Every value is looked at: raises DataError, with column and row, for one that could not be sent. Memory grows with
    the number of conversations, not of requests.
    """
    busiest, digest, ends = _Busiest(), _Digest(), Ends()
    sends = np.zeros(len(source.clients), np.bool_)
    totals: Counter[str] = Counter()
    items: dict[str, Items] = {}
    longest = np.zeros(2, np.int64)
    first_s = last_s = nan
    for frame in source.blocks(("client", "video_tokens", *SENT), until_s=until_s):
        block = Columns.of(frame, source.name)
        if not len(block):
            continue
        busiest.add(block)
        digest.add(block, source.columns)
        ends.add(block.row, block.talk)
        sends[frame["client"].to_numpy()] = True
        totals.update(_counted(block))
        longest = np.maximum(longest, [block.input_tokens.max(), block.output_tokens.max()])
        for name in _KINDS & block.lists.keys():
            items[name] = items.get(name, Items()) + Items.of(block.lists[name])
        first_s = first_s if totals["requests"] > len(block) else float(block.arrival_s[0])
        last_s = float(block.arrival_s[-1])
    requests, inputs, outputs = (busiest.most / (min(last_s - first_s, PEAK_WINDOW_S) or nan)).tolist()
    counted: dict[str, Any] = {**totals, **items}
    return Plan(
        source.name,
        first_s=first_s,
        last_s=last_s,
        peak_rate_per_s=requests,
        peak_input_tokens_per_s=inputs,
        longest_prompt=int(longest[0]),
        peak_output_tokens_per_s=outputs,
        longest_reply=int(longest[1]),
        clients=int(sends.sum()),
        conversations=ends.talk.size,
        thinks="think_s" in source.columns,
        block_tokens=source.metadata.get(BLOCK_SIZE_KEY),
        digest=digest.told(),
        **counted,
    )


def _counted(block: Columns) -> dict[str, int]:
    runs = block.lists.get("runs")
    return {
        "requests": len(block),
        "input_tokens": int(block.input_tokens.sum(dtype=np.int64)),
        "output_tokens": int(block.output_tokens.sum(dtype=np.int64)),
        "empty_prompts": int((block.input_tokens == 0).sum()),
        "empty_replies": int((block.output_tokens == 0).sum()),
        "turns": int((block.talk != ALONE).sum()),
        "with_prefix": 0 if runs is None else int((runs.count > 0).sum()),
    }


def _table(plan: Plan) -> Iterator[str]:
    """Rates, a line each."""
    busiest = f"busiest {show_duration(PEAK_WINDOW_S)}"
    yield f"{'':<14}{'total':>10}{'a second':>12}{busiest:>14}{'longest':>10}"
    for name, total, peak, longest in (
        ("requests", plan.requests, plan.peak_rate_per_s, ""),
        ("input tokens", plan.input_tokens, plan.peak_input_tokens_per_s, show_count(plan.longest_prompt)),
        ("output tokens", plan.output_tokens, plan.peak_output_tokens_per_s, show_count(plan.longest_reply)),
    ):
        mean, most = (show_count(pace) if isfinite(pace) else "–" for pace in (plan.per_s(total), peak))
        yield f"{name:<14}{show_count(total):>10}{mean:>12}{most:>14}{longest:>10}".rstrip()


def _facts(plan: Plan) -> Iterator[tuple[str, str]]:
    """What else there is to say, and its names."""
    if plan.conversations:
        each = f"{plan.turns / plan.conversations:.3g} requests each"
        alone = f"; {show_count(plan.requests - plan.turns)} requests stand alone" * (plan.turns < plan.requests)
        yield "conversations", f"{show_count(plan.conversations)}, {each}{alone}"
    if plan.with_prefix:
        size = "of unknown size" if plan.block_tokens is None else f"of {plan.block_tokens} tokens"
        yield "prefixes", f"{show_count(plan.with_prefix)} requests name blocks {size}"
    for name, items in (("images", plan.images), ("audio", plan.audio)):
        if items.count:
            of = f"{show_count(items.count)} in {show_count(items.requests)} requests"
            yield name, f"{of}, {show_count(items.tokens)} tokens"
    if plan.video.count:
        yield "video", f"cannot be sent: {show_count(plan.video.requests)} requests go without theirs"
    if plan.empty_prompts:
        yield "no prompt", f"{show_count(plan.empty_prompts)} requests have a prompt of 0 tokens"
    if plan.empty_replies:
        yield "no reply", f"{show_count(plan.empty_replies)} requests ask for 0 tokens"
