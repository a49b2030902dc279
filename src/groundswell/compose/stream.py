"""Compose a pool into a workload: blocks in time order, made on all cores, the same whatever their number or size."""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import stream_keys, words
from groundswell.clients import ClientPool
from groundswell.compose.geometry import Geometry, lay_out
from groundswell.compose.parts import PartedWindow, Placed, whole
from groundswell.compose.plan import Pieces, Planner, Stretch
from groundswell.compose.render import Joint, Renderer, Senders
from groundswell.compose.renewal import Sent, Walkers
from groundswell.compose.settle import settled
from groundswell.compose.shapes import Shapes
from groundswell.compose.sources import length_source
from groundswell.compose.talking import Talking
from groundswell.compose.talks import Talks
from groundswell.compose.turn_rows import Block
from groundswell.errors import UsageError
from groundswell.rates import Rate, parse_rate
from groundswell.table import BLOCK_SIZE_KEY, Workload

Task = Callable[[], Block]

USUAL_BLOCK = 16
"""Tokens of a prefix block where nothing else is said: as in vLLM."""
MOST_REQUESTS = 1e13  # some hundred terabytes


@dataclass(frozen=True, eq=False)
class Composition:
    """A workload that is made while it is read. Iterating gives its blocks in time order, the same every time."""

    pool: ClientPool
    geometry: Geometry
    planner: Planner
    renderer: Renderer
    workers: int
    notes: tuple[str, ...]
    """What a reader should know: clients dropped, lengths borrowed, gaps filled. One line each."""
    metadata: dict[str, Any]
    """Where the workload comes from: the pool's origin, the seed, and what was asked for. Plain enough for JSON."""

    @property
    def clients(self) -> tuple[str, ...]:
        """The names of the clients that may send, in the order of the blocks' categories."""
        return self.pool.names

    @property
    def duration_s(self) -> float:
        """How long the workload is."""
        return self.geometry.duration_s

    @cached_property
    def expected_requests(self) -> float:
        """How many requests are expected; a measured workload has this many, up to rounding."""
        return float(self.planner.expected_per_window[self.geometry.warm :].sum())

    def collect(self) -> Workload:
        """The whole workload in memory."""
        return dataclasses.replace(Workload.concat(list(self)), metadata=self.metadata)

    def __iter__(self) -> Iterator[Workload]:
        """Blocks in time order; at least one, which may be empty."""
        blocks = self._made()
        return (block.due for block in blocks) if self.planner.talks is None else settled(blocks)

    def _made(self) -> Iterator[Block]:
        """Blocks in the order in which they begin."""
        ahead: deque[Future[Block]] = deque()
        made = 0
        with ThreadPoolExecutor(self.workers) as threads:
            try:
                for task in self._tasks(threads):
                    ahead.append(threads.submit(task))
                    if len(ahead) > 2 * self.workers:
                        made += 1
                        yield ahead.popleft().result()
                while ahead:
                    made += 1
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()
        if not made:
            none = np.empty(0, np.int64)
            nobody = Senders(np.empty(0, np.int32), none, np.empty(0, np.uint64), none, np.empty(0))
            yield self.renderer.block(_nothing(), nobody, self.duration_s)

    def _tasks(self, threads: ThreadPoolExecutor) -> Iterator[Task]:
        """One task a block, in time order. Free clients walk while tasks are handed out, as each step needs the
        last.
        """
        walkers = None if self.planner.measured.all() else Walkers(self.planner)
        for stretch, pieces in self.planner.measured_pieces():
            parted = None
            if stretch.parts > 1:
                parted = PartedWindow.of(pieces, stretch.parts, self.planner.shapes, threads.map)
            for k in range(stretch.parts):
                free = [] if walkers is None else _walk(walkers, stretch, k)
                make = partial(whole, pieces, self.planner.shapes) if parted is None else partial(parted.part, k)
                until_s = self.geometry.end_s(stretch.high - 1, (k + 1) / stretch.parts)
                yield partial(self._render, make, pieces, free, until_s)

    def _render(self, make: Callable[[], Placed], pieces: Pieces, free: list[Sent], until_s: float) -> Block:
        placed = make()
        senders = Senders(pieces.client, pieces.window, pieces.length_key, pieces.count, pieces.phase)
        if free:
            placed, senders = _with_free(placed, senders, free, self._length_keys, self.geometry)
        return self.renderer.block(placed, senders, until_s)

    @cached_property
    def _length_keys(self) -> NDArray[np.uint64]:
        return stream_keys(self.planner.seed, self.pool.names, "lengths")


def compose(
    pool: ClientPool,
    rate: str | float | Sequence[tuple[float, float]] | NDArray[Any] | Rate | None = None,
    duration_s: float | None = None,
    seed: int = 0,
    *,
    start_s: float | None = None,
    counts: str | None = None,
    joint: str = "independent",
    activity: bool = True,
    weibull: str = "cv",
    no_dataset: str = "drop",
    talking: Talking | None = None,
    workers: int | None = None,
    block_rows: int = 262_144,
) -> Composition:
    """The workload of ``pool``'s clients at a total ``rate`` for ``duration_s`` seconds from ``start_s`` on the pool's
    clock.

    ``rate`` is a number of requests a second, a curve's (time_s, rate_per_s) points, a text as
    :func:`groundswell.rates.parse_rate` reads it, or a ``Rate``;
    None is the pool's own. Clients keep their shares of each window. Without ``start_s`` and ``duration_s`` the run
    begins and ends with the time that the pool covers (:attr:`ClientPool.covered_s`), which is most often all of it.

    ``counts`` is "measured" (each client's window holds its share of requests, within 1), "renewal" (counts vary as the
    process says), or None: measured for recorded clients, renewal for stated ones. ``joint`` says how a client's input
    and output lengths hang together (:class:`Joint`). ``activity=False`` spreads a measured window's requests over all
    of it even where the record says that the client was active in a part. ``weibull="recorded"`` takes Weibull shapes
    as recorded rather than from the CV. ``no_dataset`` is "drop" or "borrow", for clients without lengths.

    Where clients of the pool converse, ``rate`` is of requests all the same; ``talking`` says how fast replies come,
    how long contexts may be, and how large prefix blocks are (:class:`Talking`). Conversations that began before the
    run are going on in it.

    The same pool and seed give the same rows whatever ``workers`` and ``block_rows``; at the pool's own rate, adding a
    client leaves the rows of the others as they are. Raises :class:`UsageError` for what cannot be meant.
    """
    for what, value, known in (
        ("counts", counts, (None, "measured", "renewal")),
        ("weibull", weibull, ("cv", "recorded")),
        ("no_dataset", no_dataset, ("drop", "borrow")),
    ):
        if value not in known:
            raise UsageError(f"{what} {value!r} is none of {', '.join(str(k) for k in known if k)}")
    if block_rows < 1 or (workers is not None and workers < 1):
        raise UsageError("workers and block_rows must be at least 1")
    joined = Joint.parse(joint)
    pool, notes = _with_lengths(pool, no_dataset)
    source = length_source(pool)
    talks = Talks.of(pool, seed, _talking(pool, talking))
    covered_from_s, covered_to_s = pool.covered_s
    start_s = covered_from_s if start_s is None else start_s
    if duration_s is None:
        duration_s = (covered_to_s if start_s < covered_to_s else pool.end_s) - start_s
    asked_rate = parse_rate(rate)
    geometry = lay_out(pool, asked_rate, start_s, duration_s)
    if not pool.rate_per_s[:, geometry.window].any():
        raise UsageError(f"no client of the pool sends anything between {start_s:g} s and {start_s + duration_s:g} s")
    if geometry.filled:
        notes.append(
            f"{geometry.filled} of {geometry.window.size} windows hold no client's requests in the pool; "
            "they took the clients of the nearest window that does"
        )
    if talks is not None:
        geometry = geometry.warmed(pool, asked_rate, float(talks.lead_s.max(initial=0.0)))
    measured = ~pool.stated if counts is None else np.full(len(pool), counts == "measured")
    shapes = Shapes(pool, weibull == "recorded", activity, talks)
    planner = Planner(pool, geometry, shapes, seed, measured, block_rows, talks)
    expected = float(planner.expected_per_window.sum())
    if not expected <= MOST_REQUESTS:
        raise UsageError(
            f"that would be {expected:.3g} requests; a run has at most {MOST_REQUESTS:g}, "
            "so ask for a lower rate or less time"
        )
    renderer = Renderer(pool.names, geometry, source, joined, talks)
    asked: dict[str, Any] = {"rate": str(asked_rate), "start_s": start_s, "duration_s": duration_s, "seed": seed}
    asked |= {"counts": counts, "joint": joint, "activity": activity, "weibull": weibull, "no_dataset": no_dataset}
    if talks is not None:
        asked |= {key: value for key, value in asdict(talks.talking).items() if value is not None}
        if size := asked.pop("block_tokens"):
            asked[BLOCK_SIZE_KEY] = size
    return Composition(
        pool,
        geometry,
        planner,
        renderer,
        workers or os.cpu_count() or 1,
        tuple(notes),
        {"source": pool.origin, **asked},
    )


def _talking(pool: ClientPool, asked: Talking | None) -> Talking:
    """What is asked, or what goes without saying: blocks are as large as those that the pool was fitted to."""
    asked = asked or Talking()
    own = pool.origin.get(BLOCK_SIZE_KEY)
    if asked.block_tokens is not None:
        return asked
    return dataclasses.replace(asked, block_tokens=own if isinstance(own, int) and own > 0 else USUAL_BLOCK)


def _with_lengths(pool: ClientPool, no_dataset: str) -> tuple[ClientPool, list[str]]:
    """``pool`` with its clients that have no lengths dropped, or kept to borrow; and a note that says so."""
    without = ~pool.has_lengths
    if pool.sessions is not None:
        without &= np.diff(pool.sessions.first) == 0  # recorded conversations have theirs
    if not without.any() or not pool.has_lengths.any():
        return pool, []
    total = pool.mean_rate_per_s.sum()
    share = pool.mean_rate_per_s[without].sum() / total if total > 0 else 0.0
    who = f"{int(without.sum())} of {len(pool)} clients, {share:.1%} of the rate, have no lengths"
    if no_dataset == "borrow":
        return pool, [f"{who}: each of their requests borrows those of another client, chosen by rate"]
    return pool.take(~without), [f"{who} and were left out; --no-dataset borrow keeps them"]


def _nothing() -> Placed:
    return Placed(np.empty(0), np.empty(0, np.int32), np.empty(0, np.int64))


def _walk(walkers: Walkers, stretch: Stretch, part: int) -> list[Sent]:
    """What free clients send in part number ``part`` of ``stretch``, window by window."""
    sent = []
    for w in range(stretch.low, stretch.high):
        if part == 0:
            walkers.enter(w)
        sent.append(walkers.walk((part + 1) / stretch.parts))
        if part + 1 == stretch.parts:
            walkers.leave()
    return sent


def _with_free(
    placed: Placed, senders: Senders, free: list[Sent], length_keys: NDArray[np.uint64], geometry: Geometry
) -> tuple[Placed, Senders]:
    """Placed requests and their pieces, with the free clients' behind them."""
    us, ofs, numbers = [placed.u], [placed.of], [placed.number]
    clients, windows, keys = [senders.client], [senders.window], [senders.key]
    pieces = senders.client.size
    for sent in free:
        us.append(sent.u)
        ofs.append(sent.of + np.int32(pieces))
        numbers.append(sent.number)
        clients.append(sent.client.astype(np.int32))
        windows.append(np.full(sent.client.size, sent.w))
        keys.append(words(length_keys[sent.client], geometry.number[sent.w]))
        pieces += sent.client.size
    more = pieces - senders.client.size
    return (
        Placed(np.concatenate(us), np.concatenate(ofs), np.concatenate(numbers)),
        Senders(
            np.concatenate(clients),
            np.concatenate(windows),
            np.concatenate(keys),
            np.append(senders.count, np.zeros(more, np.int64)),
            np.append(senders.phase, np.zeros(more)),
        ),
    )
