"""Sums by key, for keys that are not known beforehand: clients and windows, turns, models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

_SLACK = 2**17


@dataclass(frozen=True, eq=False)
class Tally:
    """Rows of keys and sums. ``a + b`` has the sums of both; memory grows with the number of different keys.

    A key called ``client`` is a number into ``clients``; two tallies may number their clients differently.

    >>> t = Tally.of(pl.DataFrame({"turn": [1, 1, 2], "requests": [1, 1, 1]}), ["turn"])
    >>> (t + t).frame.sort("turn").rows()
    [(1, 4), (2, 2)]
    """

    keys: tuple[str, ...] = ()
    parts: tuple[pl.DataFrame, ...] = ()
    clients: pl.Series | None = None

    @classmethod
    def of(cls, frame: pl.DataFrame, keys: Sequence[str], clients: pl.Enum | None = None) -> Tally:
        """The sums of all columns but ``keys``, by these. ``clients`` is what a key ``client`` numbers."""
        names = None if clients is None else clients.categories
        return cls(tuple(keys), (_summed(frame, keys),), names)

    def __add__(self, other: Tally) -> Tally:
        if not self.parts or not other.parts:
            return other if not self.parts else self
        clients, added = self.clients, other.parts
        if clients is not None and other.clients is not None:
            clients, place = joined(clients, other.clients)
            if place is not None:
                added = tuple(part.with_columns(_placed(part["client"], place)) for part in added)
        parts = (*self.parts, *added)
        if sum(part.height for part in parts[1:]) > parts[0].height + _SLACK:
            parts = (_summed(pl.concat(parts), self.keys),)
        return Tally(self.keys, parts, clients)

    @property
    def frame(self) -> pl.DataFrame:
        """One row a key, in no particular order."""
        if len(self.parts) == 1:
            return self.parts[0]
        return _summed(pl.concat(self.parts), self.keys) if self.parts else pl.DataFrame()


def joined(a: pl.Series, b: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """The names of ``a``, then those that only ``b`` has; and where each of b's is there, None if where it is in b."""
    if a.len() <= b.len() and b.head(a.len()).equals(a):
        return b, None
    both = pl.concat([a, b]).unique(maintain_order=True)
    return both, b.cast(pl.Enum(both)).to_physical().cast(pl.UInt32)


def _placed(code: pl.Series, place: pl.Series) -> pl.Series:
    return place.gather(code).alias("client")


def _summed(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    return frame.group_by(*keys).agg(pl.exclude(*keys).sum()) if keys else frame.sum()
