"""Conversations laid out turn by turn, and what that says: turns, the time between them, growth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.characterize.figures import Band
from groundswell.stats.batches import FEWEST, BatchSums, interval
from groundswell.stats.batches import MOST as STRETCHES
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve, Floats

POINTS = 200
"""As many points has a curve at most."""
_MOST_TURNS, _FEWEST = 50, 10
"""A band goes over so many turns, as long as there are so many of each."""


@dataclass(frozen=True, eq=False)
class Talks:
    """Rows in order of conversations, and of time within each; and the conversations in the same order.

    Turn numbers are those of the trace where it has them, counted from 1, else the places among the rows.
    """

    arrival_s: Floats
    input_tokens: Floats
    turn: NDArray[np.int64]
    begin: NDArray[np.int64]
    """The first row of each conversation."""
    requests: NDArray[np.int64]
    """How many requests each conversation has."""
    lot: NDArray[np.uint64]
    think_s: Floats
    """Of the rows that are not the first of their conversation, where it is known."""

    @classmethod
    def of(cls, rows: pl.DataFrame) -> Talks:
        """The conversations of rows that are in order of time within each."""
        rows = rows.sort("lot", maintain_order=True)
        lot = rows["lot"].to_numpy()
        begin = np.flatnonzero(np.append(True, lot[1:] != lot[:-1]))
        number = np.repeat(np.arange(begin.size), np.diff(begin, append=lot.size))
        turn = np.arange(lot.size) - begin[number] + 1
        if "turn" in rows.columns and rows["turn"].null_count() == 0:
            given = rows["turn"].to_numpy().astype(np.int64)
            turn = given - given.min() + 1
        think_s = np.empty(0)
        if "think_s" in rows.columns:
            later = np.ones(lot.size, bool)
            later[begin] = False
            think_s = rows["think_s"].filter(pl.Series(later)).drop_nulls().drop_nans().to_numpy()
        return cls(
            rows["arrival_s"].to_numpy(),
            rows["input_tokens"].to_numpy().astype(np.float64),
            turn,
            begin,
            np.add.reduceat(rows["requests"].to_numpy(), begin),
            lot[begin],
            think_s,
        )

    @cached_property
    def in_time(self) -> NDArray[np.int64]:
        """The order in which the conversations begin."""
        return np.argsort(self.start_s, kind="stable")

    @property
    def start_s(self) -> Floats:
        """When each conversation begins."""
        return self.arrival_s[self.begin]

    @property
    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows that another turn follows, and the conversation of each."""
        rows = np.diff(self.begin, append=self.turn.size)
        follows = np.ones(self.turn.size, bool)
        follows[self.begin] = False
        return np.flatnonzero(follows) - 1, np.repeat(np.arange(rows.size), rows - 1)

    def batches(self, columns: list[Any]) -> BatchSums:
        """The sums of figures of conversations, each where it begins: so a stretch knows nothing of the next one's."""
        columns = [np.asarray(column, np.float64)[self.in_time] for column in columns]
        return BatchSums.of(self.start_s[self.in_time], columns)


def turn_counts(requests: NDArray[np.int64], alone: float, scale: float) -> Curve:
    """The share of conversations of exactly x turns, where ``alone`` requests belong to none and are one each."""
    count = np.bincount(np.minimum(requests, POINTS + 1), minlength=2).astype(np.float64) * scale
    count[1] += alone
    x = np.flatnonzero(count[: POINTS + 1])
    return Curve(x.astype(np.float64), count[x] / count.sum())


@dataclass(frozen=True, eq=False)
class Spread:
    """Values that belong to conversations: their distribution, and quantiles with intervals.

    ``counts[i, k]`` is how many of the conversations that began in stretch i of time are at ``edges[k]``, or between it
    and the edge before.
    """

    ordered: Floats
    edges: Floats
    counts: Floats

    @classmethod
    def of(cls, values: Floats, start_s: Floats) -> Spread:
        """The spread of values whose conversations began at ``start_s``."""
        if not values.size:
            return cls(values, values, np.empty((0, 0)))
        ordered = np.sort(values)
        edges = np.unique(ordered[np.linspace(0, values.size - 1, 4 * POINTS + 1).astype(np.int64)])
        first_s, last_s = start_s.min(), start_s.max()
        stretch = ((start_s - first_s) * (STRETCHES / max(np.nextafter(last_s - first_s, np.inf), 1e-9))).astype(
            np.int64
        )
        place = stretch.clip(max=STRETCHES - 1) * edges.size + np.searchsorted(edges, values)
        counts = np.bincount(place, minlength=STRETCHES * edges.size).astype(np.float64)
        return cls(ordered, edges, counts.reshape(STRETCHES, -1))

    def quantile(self, q: float) -> Estimate:
        """The q-quantile; without an interval where too few stretches have any values."""
        n = self.ordered.size
        if not n:
            return Estimate()
        value = float(np.quantile(self.ordered, q))
        if np.count_nonzero(self.counts.any(axis=1)) < FEWEST:
            return Estimate(value, n=n)
        found = interval(self.counts, lambda counts: self._quantile_of(counts, q))
        return Estimate(value, found.low, found.high, n)

    def _quantile_of(self, counts: Floats, q: float) -> Floats:
        share = counts.cumsum(axis=-1) / counts.sum(axis=-1, keepdims=True)
        return np.asarray(self.edges[np.minimum((share < q).sum(axis=-1), self.edges.size - 1)])


def cdf(values: Floats) -> Curve:
    """The distribution function at up to :data:`POINTS` of the values, which rise."""
    if not values.size:
        return Curve()
    x = np.unique(values[np.linspace(0, values.size - 1, POINTS).astype(np.int64)])
    return Curve(x, np.searchsorted(values, x, side="right") / values.size)


def by_turn(turn: NDArray[np.int64], values: Floats) -> Band:
    """Median and 80 % band of the values at each turn."""
    value = pl.col("value")
    bands = (
        pl.DataFrame({"turn": turn, "value": values})
        .filter(pl.col("turn") <= _MOST_TURNS)
        .group_by("turn")
        .agg(
            value.median().alias("middle"),
            value.quantile(0.1, "linear").alias("low"),
            value.quantile(0.9, "linear").alias("high"),
            value.len().alias("n"),
        )
        .filter(pl.col("n") >= _FEWEST)
        .sort("turn")
        .cast(pl.Float64)
    )
    return Band(*(bands[name].to_numpy() for name in ("turn", "middle", "low", "high", "n")))
