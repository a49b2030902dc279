"""Names of clients as numbers, in the order in which they turn up; those that are given never change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import compiled

Words = NDArray[np.uint64]

NAMELESS = "(none)"
"""Who sent a row that names no client."""
EVERYONE = "all"
"""Who sent everything, where a file does not know of clients."""

_FREE = -1
_FEWEST_SLOTS = 2**10
_PART_ROWS = 2**17
"""Names of so many rows are looked up at a time: each could be new, and there is room for that."""


class Roster:
    """The clients known so far; ``nameless`` counts the rows that name none.

    A name is found by a 64-bit hash of it, and then compared: that takes a third of the time of polars' categories.
    """

    def __init__(self, names: pl.Series | None = None) -> None:
        self.nameless = 0
        self._names = pl.Series("client", [], dtype=pl.String)
        self._hash = np.empty(0, np.uint64)
        self._slot = np.full(_FEWEST_SLOTS, _FREE, np.int32)
        self._same_hash: dict[str, int] = {}
        self._known = 0
        self._each = pl.Series("client", [], dtype=pl.Enum([]))
        if names is not None:
            self.codes(names, names.len())
            self.learn()

    def codes(self, client: pl.Series | None, rows: int) -> pl.Series:
        """The numbers of ``rows`` clients, given by name or as numbers; one and the same if there are neither."""
        if client is None:
            return self._found(pl.Series([EVERYONE])).new_from_index(0, rows).alias("client")
        if client.dtype == pl.UInt32 and not client.null_count():
            return client
        if client.dtype == pl.UInt32:
            client = self._names.gather(client)
        client = client.cast(pl.String)
        if client.null_count():
            self.nameless += client.null_count()
            client = client.fill_null(NAMELESS)
        return self._found(client).alias("client")

    def column(self, code: pl.Series) -> pl.Series:
        """The ``client`` column of a workload for numbers from :meth:`codes`."""
        largest = code.max()
        if isinstance(largest, int) and largest >= self._known:
            self.learn()
        return self._each.gather(code)

    def learn(self) -> None:
        """Make the columns to come know all names there are by now."""
        self._known = self._names.len()
        # Handing polars a type of a million names takes half a second, so it is done once for all blocks that have it.
        self._each = pl.Series("client", self._names, dtype=pl.Enum(self._names))

    def _found(self, client: pl.Series) -> pl.Series:
        """The numbers of names; those that are new are added."""
        parts = [self._found_in(part) for part in _parts(client)]
        return parts[0] if len(parts) == 1 else pl.concat(parts)

    def _found_in(self, client: pl.Series) -> pl.Series:
        hashes = _hash_of(client)
        self._make_room(self._names.len() + client.len())
        code, new = _codes(hashes, self._slot, self._hash)
        if new.size:
            self._add(client.gather(new), hashes[new])
        codes = pl.Series(code)
        other = self._names.gather(codes) != client
        return self._told_apart(client, codes, other) if other.any() else codes

    def _told_apart(self, client: pl.Series, codes: pl.Series, other: pl.Series) -> pl.Series:
        """``codes`` with those names put right that have the hash of another: one in 10¹³ for a thousand names."""
        place = other.arg_true()
        for i, name in zip(place, client.gather(place), strict=True):
            if name not in self._same_hash:
                self._same_hash[name] = self._names.len()
                self._add(pl.Series([name]), self._hash[codes[i : i + 1]])
            codes[i] = self._same_hash[name]
        return codes

    def _add(self, names: pl.Series, hashes: Words) -> None:
        self._names = pl.concat([self._names, names.alias("client")], rechunk=True)
        self._hash = np.concatenate([self._hash, hashes])

    def _make_room(self, names: int) -> None:
        """See to it that at most half of the slots are taken when there are so many names."""
        if 2 * names > self._slot.size:
            self._slot = np.full(2 ** int(2 * names - 1).bit_length(), _FREE, np.int32)
            _refill(self._slot, self._hash)


def _parts(names: pl.Series) -> Iterator[pl.Series]:
    for row in range(0, max(names.len(), 1), _PART_ROWS):
        yield names.slice(row, _PART_ROWS)


def _hash_of(names: pl.Series) -> Words:
    return names.hash().rechunk().to_numpy()  # of several chunks they would be an array of another type to compile for


@compiled
def _codes(hashes: Any, slot: Any, known: Any) -> Any:
    """The number of each hash, and the rows of those that are new; new ones get the next numbers, and slots."""
    code, new = np.empty(hashes.size, np.uint32), np.empty(hashes.size, np.uint32)
    count = 0
    for i in range(hashes.size):
        at = _begin(hashes[i], slot)
        while True:
            found = slot[at]
            if found < 0:
                found = slot[at] = known.size + count
                new[count] = i
                count += 1
                break
            if hashes[i] == (known[found] if found < known.size else hashes[new[found - known.size]]):
                break
            at = (at + 1) & (slot.size - 1)
        code[i] = found
    return code, new[:count].copy()


@compiled
def _refill(slot: Any, known: Any) -> Any:
    """Put the hashes of all names in free slots."""
    for i in range(known.size):
        at = _begin(known[i], slot)
        while slot[at] >= 0:
            at = (at + 1) & (slot.size - 1)
        slot[at] = i


@compiled
def _begin(word: Any, slot: Any) -> Any:
    """Where to look for a hash first."""
    return np.int64((word ^ (word >> np.uint64(32))) & np.uint64(slot.size - 1))
