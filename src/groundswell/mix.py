"""Several workloads, or several pools of clients, as one, each with its share of the requests.

Of a workload whole conversations or clients are left out or come again, as :mod:`groundswell.rescale` does it by its
method ``thin``, so that what hangs together stays together. Names, conversations and prefixes of different sources are
never the same. Of a pool every client sends more or less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import stream_key
from groundswell.clients import ClientPool
from groundswell.clients.join import concat
from groundswell.errors import UsageError
from groundswell.formats.reading.roster import EVERYONE
from groundswell.prefix import flat, runs_of
from groundswell.rescale import Selected, Selection, rescale
from groundswell.rescale._units import TRAFFIC
from groundswell.rescale.thin import Thin
from groundswell.table import BLOCK_SIZE_KEY, COLUMNS, ITEM_COLUMNS, REQUIRED, Workload, client_column, list_column
from groundswell.units import show_duration

_WITHIN = 0.05
"""So far a source's share may be off by chance (one standard error) for whole clients to be chosen."""
TO_SPEAK_OF = 0.01
"""So much longer may a source be than the shortest without a note."""
_IDS = 2**62
_LONGEST_RUN = 2**32
_NOTHING: dict[str, Any] = {"reason_tokens": 0} | {name: [] for name in (*ITEM_COLUMNS, "prefix_runs", "prefix_blocks")}
"""What a request of a source without such a column has there; null, where nothing is said."""


@dataclass(frozen=True)
class Part:
    """A source of a mixture: blocks in order of time, to be gone through several times, and its weight."""

    name: str
    blocks: Iterable[Workload]
    weight: float


@dataclass(frozen=True, eq=False)
class Mixture:
    """A workload that is made while it is read. Iterating gives its blocks in order of time, the same every time."""

    parts: tuple[Part, ...]
    factors: tuple[float, ...]
    """By how much the rate of each source changes."""
    clients: tuple[tuple[str, ...], ...]
    span_s: float
    rate_per_s: float
    thins: tuple[Thin, ...]
    """What of each source is left out or comes again as a whole."""
    seed: int
    notes: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def expected_requests(self) -> float:
        """How many requests are expected."""
        return self.rate_per_s * self.span_s

    def __iter__(self) -> Iterator[Workload]:
        streams = [self._stream(i) for i in range(len(self.parts))]
        firsts = [next(stream, None) for stream in streams]
        size = _block_size(self.parts, firsts)
        common = _Common.of(self.parts, firsts, self.clients)
        metadata = self.metadata | ({} if size is None else {BLOCK_SIZE_KEY: size})
        frames = [
            map(partial(common.frame, i), stream if first is None else chain([first], stream))
            for i, (first, stream) in enumerate(zip(firsts, streams, strict=True))
        ]
        for frame in _merged(frames):
            yield Workload(frame, metadata)

    def _stream(self, i: int) -> Iterator[Workload]:
        """The requests of a source, as many as its share says. Later turns of copies that come after all is over are
        left out.
        """
        chosen = Selected(_knowing(self.parts[i].blocks, self.clients[i]), Selection(end_s=self.span_s))
        for block in rescale(chosen, self.factors[i], self.thins[i], stream_key(self.seed, "mix", i) >> 1):
            within = int(np.searchsorted(block.arrival_s, self.span_s))
            yield block if within == len(block) else Workload(block.frame.head(within), block.metadata)


def mix(parts: Sequence[Part], rate_per_s: float | None = None, *, thin: Thin | None = None, seed: int = 0) -> Mixture:
    """Workloads as one of ``rate_per_s`` requests a second, of which each has the share that its weight says.

    It covers the shortest time that a source covers, from the begin of each. Without a rate, the sources' rates over
    this time are added up. ``thin`` says what is left out or comes again as a whole: ``auto`` is conversations where a
    source names them, else clients where these are so many that the share is met within 5 % (one standard error), else
    requests. Goes once through each source, and again through those that are longer than others.

    Raises :class:`UsageError` for weights and rates that cannot be meant, and for sources whose prefix blocks are of
    different sizes (when it is iterated).
    """
    _check(parts, rate_per_s)
    whole = [_counted(part, math.inf) for part in parts]
    span_s = min(count.covered_s for count in whole)
    for part, count in zip(parts, whole, strict=True):
        if not count.covered_s > 0:
            raise UsageError(f"{part.name}: all its requests are at one time, so nothing can be said of its rate")
    longer = [count.covered_s > span_s for count in whole]
    within = [_counted(part, span_s) if cut else count for part, count, cut in zip(parts, whole, longer, strict=True)]
    own = [count.requests / span_s for count in within]
    total = sum(own) if rate_per_s is None else rate_per_s
    share = np.array([part.weight for part in parts]) / sum(part.weight for part in parts)
    factors = tuple((share * total / np.array(own)).tolist())
    spans = ", ".join(f"{part.name} {show_duration(count.covered_s)}" for part, count in zip(parts, whole, strict=True))
    differ = any(count.covered_s > (1 + TO_SPEAK_OF) * span_s for count in whole)
    notes = [f"Sources cover different times ({spans}); the mixture covers the shortest."] if differ else []
    thins = [_unit(thin or Thin(), count, by) for count, by in zip(within, factors, strict=True)]
    for part, count, unit in zip(parts, within, thins, strict=True):
        if unit.by == "request" and count.senders > 1 and (thin is None or thin.by == "auto"):
            notes.append(
                f"{part.name}: its clients are too few to be chosen among; single requests are, of all of them."
            )
    sources = [
        {"name": part.name, "share": float(s), "rate_per_s": r, "factor": f, "by": unit.by}
        for part, s, r, f, unit in zip(parts, share, own, factors, thins, strict=True)
    ]
    return Mixture(
        parts=tuple(parts),
        factors=factors,
        clients=tuple(count.clients for count in whole),
        span_s=span_s,
        rate_per_s=total,
        thins=tuple(thins),
        seed=seed,
        notes=tuple(notes),
        metadata={"kind": "mix", "sources": sources, "rate_per_s": total, "seed": seed},
    )


def mix_pools(
    pools: Sequence[tuple[str, ClientPool, float]], rate_per_s: float | None = None
) -> tuple[ClientPool, list[float]]:
    """Pools, each with a name and a weight, as one of ``rate_per_s``; and by how much each one's rates changed.

    It covers the time that all of them cover. Without a rate, the pools' mean rates over this time are added up. A
    client's name is led by its pool's where another pool has a client of that name. Raises :class:`UsageError` as
    :func:`mix` does, and for pools that share no time or whose windows do not fit.
    """
    _check([Part(name, (), weight) for name, _, weight in pools], rate_per_s)
    called = _apart([name for name, _, _ in pools], [pool.names for _, pool, _ in pools])
    renamed = [
        pool.renamed(dict(zip(pool.names, names, strict=True)).__getitem__)
        for (_, pool, _), names in zip(pools, called, strict=True)
    ]
    joined = concat(renamed)
    edge = np.cumsum([0, *(len(pool) for pool in renamed)])
    own = [float(joined.mean_rate_per_s[a:b].sum()) for a, b in pairwise(edge.tolist())]
    for (name, _, _), rate in zip(pools, own, strict=True):
        if not rate > 0:
            raise UsageError(f"{name}: sends nothing in the time that all pools cover")
    total = sum(own) if rate_per_s is None else rate_per_s
    weights = np.array([weight for _, _, weight in pools])
    factors = (weights / weights.sum() * total / np.array(own)).tolist()
    return concat([pool.scaled(by) for pool, by in zip(renamed, factors, strict=True)]), factors


def _check(parts: Sequence[Part], rate_per_s: float | None) -> None:
    if len(parts) < 2:
        raise UsageError("a mixture is of two sources or more")
    names = [part.name for part in parts]
    for part in parts:
        if not (math.isfinite(part.weight) and part.weight > 0):
            raise UsageError(f"{part.name}: its share must be a number above 0, not {part.weight:g}")
        if names.count(part.name) > 1:
            raise UsageError(f"two sources are called {part.name!r}")
    if rate_per_s is not None and not (math.isfinite(rate_per_s) and rate_per_s > 0):
        raise UsageError(f"a mixture's rate must be a number above 0, not {rate_per_s:g}")


@dataclass(frozen=True)
class _Count:
    """What a source has in a span."""

    requests: int
    covered_s: float
    clients: tuple[str, ...]
    sent: NDArray[np.float64]
    """The requests of each client."""
    talks: bool
    kinds: bool
    """Whether clients are kinds of traffic, not senders."""

    @property
    def senders(self) -> int:
        """How many clients sent something."""
        return 0 if self.kinds else int((self.sent > 0).sum())


def _unit(thin: Thin, count: _Count, factor: float) -> Thin:
    """``thin`` with what is chosen among, where it leaves that open."""
    if thin.by != "auto":
        return thin
    if count.talks:
        return replace(thin, by="conversation")
    part = factor - math.floor(factor)
    off = math.sqrt(float((count.sent**2).sum()) * part * (1 - part)) / (factor * float(count.sent.sum()))
    return replace(thin, by="client" if count.senders > 1 and off <= _WITHIN else "request")


def _counted(part: Part, end_s: float) -> _Count:
    chosen = Selected(part.blocks, Selection(end_s=end_s), part.name)
    clients: tuple[str, ...] = ()
    sent, talks, kinds = np.zeros(0), False, False
    for block in chosen:
        clients = block.clients
        more = np.bincount(block.client_code, minlength=len(clients)).astype(np.float64)
        more[: sent.size] += sent  # clients that come to be known later leave the numbers of the others as they are
        sent, talks = more, "conversation" in block.frame.columns
        kinds = block.metadata.get("client_is") in TRAFFIC
    return _Count(chosen.requests, chosen.covered_s, clients, sent, talks, kinds)


def _knowing(blocks: Iterable[Workload], clients: tuple[str, ...]) -> Iterator[Workload]:
    """``blocks``, each of which knows all clients of its source."""
    for block in blocks:
        if block.clients == clients:
            yield block
        else:
            yield Workload(block.frame.with_columns(client_column(block.client_code, clients)), block.metadata)


def _block_size(parts: Sequence[Part], firsts: Sequence[Workload | None]) -> int | None:
    """The size of prefix blocks, which must be the same for all that have any."""
    sizes = {
        part.name: first.metadata.get(BLOCK_SIZE_KEY)
        for part, first in zip(parts, firsts, strict=True)
        if first is not None and {"prefix_runs", "prefix_blocks"} & set(first.frame.columns)
    }
    if len(set(sizes.values())) > 1:
        told = " and ".join(f"{size or 'unknown'} in {name}" for name, size in sizes.items())
        raise UsageError(
            f"prefix blocks are of different sizes: {told}; write one in the other's size first, such as "
            "groundswell convert FILE OUT.jsonl --to mooncake:block_tokens=512"
        )
    return next(iter(sizes.values()), None)


@dataclass(frozen=True)
class _Common:
    """What the frames of all sources have in common: columns, and clients that are told apart."""

    columns: dict[str, Any]
    """Their types; that of ``client`` follows from ``names``."""
    names: tuple[str, ...]
    first: tuple[int, ...]
    """The number of each source's first client."""
    ids: int
    """How many ids each source has for itself."""

    @classmethod
    def of(
        cls, parts: Sequence[Part], firsts: Sequence[Workload | None], clients: Sequence[tuple[str, ...]]
    ) -> _Common:
        """From the first block of each source, whose clients are all that it has."""
        held = [clients[i] if first is None else first.clients for i, first in enumerate(firsts)]
        names = _apart([part.name for part in parts], held)
        there = {name for first in firsts if first is not None for name in first.frame.columns}
        if "prefix_runs" in there:
            there.discard("prefix_blocks")
        columns = {name: dtype for name, dtype in COLUMNS.items() if name in REQUIRED or name in there}
        first = np.cumsum([0, *map(len, names)])[:-1].tolist()
        return cls(columns, tuple(chain(*names)), tuple(first), _IDS // len(parts))

    def frame(self, i: int, block: Workload) -> pl.DataFrame:
        """A block of source ``i`` in the columns of all."""
        frame = block.frame
        if "prefix_runs" in self.columns and "prefix_blocks" in frame.columns:
            frame = frame.with_columns(runs_of(frame["prefix_blocks"]))
        made: list[pl.Series | pl.Expr] = []
        for name, dtype in self.columns.items():
            if name == "client":
                made.append(client_column(block.client_code + np.uint32(self.first[i]), self.names))
            elif name not in frame.columns:
                made.append(pl.lit(_NOTHING.get(name), dtype).alias(name))
            elif name == "conversation":
                made.append(pl.select(i * self.ids + (frame[name] & (_IDS - 1)) % self.ids).to_series().alias(name))
            elif name in ("prefix_runs", "prefix_blocks"):
                made.append(self._ids(i, frame[name]))
            else:
                made.append(pl.col(name))
        return frame.select(made)

    def _ids(self, i: int, column: pl.Series) -> pl.Series:
        """Ids in the range of source ``i``; what follows one another still does."""
        count, numbers = flat(column)
        numbers = numbers.copy()
        step = 2 if column.name == "prefix_runs" else 1
        numbers[::step] = i * self.ids + (numbers[::step] & (_IDS - 1)) % (self.ids - _LONGEST_RUN)
        return list_column(column.name, count, numbers)


def _apart(sources: Sequence[str], clients: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Names for the clients of all sources that are all different.

    Led by the source's name is what two sources have, copies of a client included; the one client of a source that
    knows of none goes by the source's name.
    """
    plain = [{_original(name) for name in names} for names in clients]
    both = {name for i, names in enumerate(plain) for other in plain[i + 1 :] for name in names & other}
    called: list[tuple[str, ...]] = []
    for source, names in zip(sources, clients, strict=True):
        if names == (EVERYONE,):
            called.append((source,))
        else:
            called.append(tuple(f"{source}/{name}" if _original(name) in both else name for name in names))
    every = list(chain(*called))
    if len(set(every)) < len(every):
        # a name that is led by one source's name already, or is that name: then all are led
        called = [tuple(f"{source}/{name}" for name in names) for source, names in zip(sources, clients, strict=True)]
    return called


def _original(name: str) -> str:
    """The client whose copy ``a#2`` is."""
    stem, mark, number = name.rpartition("#")
    return stem if mark and number.isdecimal() else name


def _merged(streams: Sequence[Iterator[pl.DataFrame]]) -> Iterator[pl.DataFrame]:
    """Frames that are each in order, and follow one another in each stream, as one stream in order of time.

    Rows of the same time are in the order of the streams, however these are cut. A frame of each stream is held.
    """
    held = {i: frame for i, stream in enumerate(streams) if (frame := _filled(stream)) is not None}
    while held:
        until_s = min(_end_s(frame) for frame in held.values())
        ready = []
        for i, frame in list(held.items()):
            # All that comes at this very time is needed, and may go on in the frames to come.
            while _end_s(frame) == until_s and (more := _filled(streams[i])) is not None:
                frame = pl.concat([frame, more])
            place = int(frame["arrival_s"].to_numpy().searchsorted(until_s, side="right"))
            ready.append(frame[:place])
            held[i] = frame[place:]
            if not held[i].height:
                del held[i]
        yield pl.concat(ready).sort("arrival_s", maintain_order=True)


def _end_s(frame: pl.DataFrame) -> float:
    return float(frame["arrival_s"][-1])


def _filled(stream: Iterator[pl.DataFrame]) -> pl.DataFrame | None:
    """The next frame that has rows."""
    return next((frame for frame in stream if frame.height), None)
