"""Requests and failures, by minute and by sender, in memory for the minutes and the senders."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.characterize._client_ranks import Ranked, summed
from groundswell.characterize._client_windows import ClientWindows
from groundswell.stats.batches import BASE_S, MOST

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MOST_MINUTES = 2**16
"""Of more, six weeks, minutes become two minutes long, and so on."""


def _no_counts() -> Counts:
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Minutes:
    """``requests[i]`` and ``failed[i]`` of the stretch ``first + i``, which begins at that many times ``width_s``."""

    width_s: float = 60.0
    first: int = 0
    requests: Counts = field(default_factory=_no_counts)
    failed: Counts = field(default_factory=_no_counts)

    @classmethod
    def of(cls, at_s: Floats, failed: NDArray[np.bool_]) -> Minutes:
        """Of requests at ``at_s``, which rises, of which some ``failed``."""
        width_s = 60.0
        while at_s[-1] // width_s - at_s[0] // width_s >= MOST_MINUTES:
            width_s *= 2.0
        first = int(at_s[0] // width_s)
        place = (at_s // width_s).astype(np.int64) - first
        size = int(place[-1]) + 1
        return cls(width_s, first, np.bincount(place, minlength=size), np.bincount(place[failed], minlength=size))

    def __add__(self, later: Minutes) -> Minutes:
        if not self.requests.size or not later.requests.size:
            return later if not self.requests.size else self
        a, b = self, later
        width_s = max(a.width_s, b.width_s)
        while True:
            a, b = a._widened(width_s), b._widened(width_s)
            size = b.first + b.requests.size - a.first
            if size <= MOST_MINUTES:
                break
            width_s *= 2.0
        sums = np.zeros((2, size), np.int64)
        for part in (a, b):
            at = slice(part.first - a.first, part.first - a.first + part.requests.size)
            sums[:, at] += (part.requests, part.failed)
        return Minutes(width_s, a.first, *sums)

    def _widened(self, width_s: float) -> Minutes:
        factor = round(width_s / self.width_s)
        if factor == 1:
            return self
        place = np.arange(self.first, self.first + self.requests.size) // factor
        begins = np.flatnonzero(np.diff(place, prepend=place[0] - 1))
        return Minutes(
            width_s, int(place[0]), np.add.reduceat(self.requests, begins), np.add.reduceat(self.failed, begins)
        )


@dataclass(frozen=True, eq=False)
class Senders:
    """Requests and failures by sender and stretch of time, of at most 128 stretches. They double in length when there
    are too many, as those of BatchSums do."""

    table: ClientWindows = field(default_factory=ClientWindows)
    """Failures take the place of tokens."""

    @classmethod
    def of(cls, at_s: Floats, sender: pl.Series, failed: NDArray[np.bool_]) -> Senders:
        """Of requests at ``at_s``, which rises, from ``sender``, an Enum, of which some ``failed``."""
        dtype = sender.dtype
        assert isinstance(dtype, pl.Enum)  # noqa: S101 (as was asked for)
        if not at_s.size:
            return cls()
        width_s = BASE_S
        while at_s[-1] // width_s - at_s[0] // width_s >= MOST:
            width_s *= 2.0
        code = sender.to_physical().cast(pl.UInt32).to_numpy()
        return cls(ClientWindows.counted(at_s, code, dtype.categories, failed, failed, width_s))

    def __add__(self, later: Senders) -> Senders:
        table = self.table + later.table
        while table.windows > MOST:
            table = table.widened(2)
        return Senders(table)

    def busiest(self, most: int) -> dict[str, Floats]:
        """For each of the ``most`` busiest senders, busiest first: its requests and failures by stretch, (m, 2)."""
        if not self.table.parts:
            return {}
        ranked = Ranked.of(self.table)
        return {
            name: np.column_stack(
                [
                    summed(ranked.place[mine], values[mine], ranked.windows)
                    for values in (ranked.pairs.requests, ranked.pairs.input_tokens)
                ]
            )
            for k, name in enumerate(ranked.names.head(most))
            for mine in [ranked.pairs.client == k]
        }
