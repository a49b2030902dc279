"""Units and their copies: who they are, what they share, and when they come."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import stream_key, uniforms
from groundswell.prefix import expanded, flat, runs_of
from groundswell.rescale._firsts import Firsts
from groundswell.rescale._talks import Talks
from groundswell.rescale._units import CHOICE, Names, Units
from groundswell.rescale._waiting import named, numbered
from groundswell.table import Workload, list_column

Floats = NDArray[np.float64]

_ROWS = 2**18
"""So many rows are made at a time."""
_FEWEST_ROWS = 2**10
_POSITIVE = np.int64(2**63 - 1)
_START, _PHASE = "start_s", "phase"


def cloned(
    blocks: Iterable[Workload], factor: float, by: str, jitter_s: float, seed: int
) -> Iterator[tuple[Workload, float]]:
    """The requests of ``blocks`` and of their units' copies, not in order; and the time before which nothing will come.

    Of a factor of 2.3 each unit has one copy, and 30 % have two. Copies have names of their own: conversations are
    numbered anew, and clients, where they are the units, are called ``a#2``. A copy sends the prefix blocks that others
    had brought in before its original sent them, and ids of its own where its original was the first.
    """
    each = math.ceil(factor)
    units, talks, copier, stretches = Units(by, seed), Talks(), Copier(each, seed), Stretches(jitter_s)
    now_s = 0.0
    latest: Workload | None = None
    for block, runs in _parts(blocks, max(_ROWS // each, _FEWEST_ROWS)):
        word = units.words(block)
        start_s = block.arrival_s if units.kind == "request" else talks.follow(block)[0]
        count = math.floor(factor) + (uniforms(word, CHOICE) < factor - math.floor(factor))
        latest, *copies = copier.of(block, word, units.kind, runs)
        for k, copy in enumerate(copies, start=1):
            moving = (pl.Series(_START, start_s), pl.Series(_PHASE, uniforms(word, k)))
            stretches.add(numbered(copy.frame).with_columns(moving).filter(pl.Series(count > k)))
        now_s = float(block.arrival_s[-1])
        moved = stretches.placed(now_s)
        both = latest.frame if moved is None else pl.concat([latest.frame, named(moved, latest)])
        yield Workload(both, block.metadata), stretches.until_s
    if latest is not None and (moved := stretches.placed(now_s, at_end=True)) is not None:
        yield Workload(named(moved, latest), latest.metadata), math.inf


def _parts(blocks: Iterable[Workload], rows: int) -> Iterator[tuple[Workload, bool]]:
    """``blocks`` in parts of at most ``rows``, with prefix blocks instead of runs; and whether there were runs."""
    for block in blocks:
        for part in expanded([block]):
            for frame in part.frame.iter_slices(rows):
                if frame.height:
                    yield Workload(frame, block.metadata), "prefix_runs" in block.frame.columns


class Copier:
    """Makes copies of blocks, which are given in order of time, each once; all rows of a block are copied."""

    def __init__(self, each: int, seed: int) -> None:
        self.each = each
        self.seed = seed
        self.firsts = Firsts()
        self.names = Names(each)

    def of(self, block: Workload, word: NDArray[np.uint64], kind: str, runs: bool) -> list[Workload]:
        """The block, and then its copies: ``word`` is of each request's unit, ``runs`` asks for prefixes in runs."""
        prefixes = self._prefixes(block, word)
        copies = []
        for k in range(self.each):
            columns = [self.names.column(block, k)] if kind == "client" else []
            columns += self._talk(block.frame, k, kind) if k else []
            blocks = prefixes(k)
            if blocks is not None:
                columns.append(runs_of(blocks) if runs else blocks)
            made = block.frame.with_columns(columns)
            copies.append(Workload(made.drop("prefix_blocks", strict=False) if runs else made, block.metadata))
        return copies

    def _talk(self, frame: pl.DataFrame, k: int, kind: str) -> list[pl.Series]:
        """The columns of copy ``k`` that say which conversation it belongs to: none where requests are copied alone."""
        if kind == "request":
            there = [name for name in ("conversation", "turn", "think_s") if name in frame.columns]
            return [pl.Series(name, [None], frame.schema[name]).new_from_index(0, frame.height) for name in there]
        if "conversation" not in frame.columns:
            return []
        return [pl.select((frame["conversation"] + self._shift("conversation", k)) & _POSITIVE).to_series()]

    def _prefixes(self, block: Workload, word: NDArray[np.uint64]) -> Callable[[int], pl.Series | None]:
        """What gives the prefix blocks of copy ``k``."""
        if "prefix_blocks" not in block.frame.columns:
            return lambda _: None
        count, ids = flat(block.frame["prefix_blocks"])
        own = self.firsts.own(ids, count, word, block.arrival_s)

        def of_copy(k: int) -> pl.Series:
            moved = np.where(own, (ids + self._shift("blocks", k)) & _POSITIVE, ids) if k else ids
            return list_column("prefix_blocks", count, moved)

        return of_copy

    def _shift(self, what: str, k: int) -> np.int64:
        """What is added to numbers of ``what`` to make them those of copy ``k``: 62 random bits."""
        return np.int64(stream_key(self.seed, "rescale", what, k) >> 2)


class Stretches:
    """Copies that wait until their stretch of time is over, whose length is then known, and are moved within it.

    A stretch is ``length_s`` long, the last one to the end of all. A copy whose conversation began at a place of the
    stretch begins at another, further by its ``phase`` (0 to 1) of the stretch, round about, and goes on as it did.
    """

    def __init__(self, length_s: float) -> None:
        self.length_s = length_s
        self.waiting: list[pl.DataFrame] = []
        self.current = 0
        self.until_s = -math.inf
        """Nothing that waits, and nothing that is yet to be added, will be moved to before this."""

    def add(self, frame: pl.DataFrame) -> None:
        """Keep some copies, whose conversations may have begun in an earlier stretch."""
        self.waiting.append(frame)

    def placed(self, now_s: float, at_end: bool = False) -> pl.DataFrame | None:
        """What can be moved at ``now_s``, up to which all has been added; nothing until a stretch is over."""
        current = math.floor(now_s / self.length_s) if self.length_s > 0 else 0
        if not self.waiting or (self.length_s > 0 and current == self.current and not at_end):
            return None
        frame = pl.concat(self.waiting)
        self.current, self.until_s = current, now_s - self.length_s
        if self.length_s > 0:
            stretch = np.floor(frame[_START].to_numpy() / self.length_s)
            later = stretch == current
            self.waiting = [] if at_end else [frame.filter(pl.Series(later))]
            length_s = np.where(later, now_s - current * self.length_s, self.length_s)
            frame = _moved(frame, stretch * self.length_s, length_s)
            frame = frame if at_end else frame.filter(pl.Series(~later))
        else:
            self.waiting = []
        return frame.drop(_START, _PHASE)


def _moved(frame: pl.DataFrame, begin_s: Floats, length_s: Floats) -> pl.DataFrame:
    """Requests whose conversations begin elsewhere in their stretches, each of its begin and length."""
    start_s = frame[_START].to_numpy()
    with np.errstate(invalid="ignore"):
        place_s = np.fmod(start_s - begin_s + frame[_PHASE].to_numpy() * length_s, length_s)
    further_s = np.where(length_s > 0, begin_s + place_s - start_s, 0.0)
    return frame.with_columns(pl.Series("arrival_s", frame["arrival_s"].to_numpy() + further_s))
