"""Names of clients as numbers, in the order in which they turn up; those that are given never change."""

from __future__ import annotations

import polars as pl

NAMELESS = "(none)"
"""Who sent a row that names no client."""
EVERYONE = "all"
"""Who sent everything, where a file does not know of clients."""


class Roster:
    """The clients known so far; ``nameless`` counts the rows that name none."""

    def __init__(self, names: pl.Series | None = None) -> None:
        self.nameless = 0
        # A set of categories of one's own numbers names as they come, and grows without being made anew. Polars drops
        # it with the last column that uses it, so one is kept.
        self._categories = pl.Categories.random()
        self._grown = pl.Series([], dtype=pl.Categorical(self._categories))
        self._known = 0
        self._each = pl.Series("client", [], dtype=pl.Enum([]))
        if names is not None:
            names.cast(pl.String).cast(self._grown.dtype)
            self.learn()

    def codes(self, client: pl.Series | None, rows: int) -> pl.Series:
        """The numbers of ``rows`` clients, given by name or as numbers; one and the same if there are neither."""
        if client is None:
            everyone = pl.Series([EVERYONE]).cast(self._grown.dtype).to_physical()
            return everyone.new_from_index(0, rows).alias("client")
        if client.dtype == pl.UInt32 and not client.null_count():
            return client
        if client.dtype == pl.UInt32:
            client = self._categories.to_series().gather(client)
        client = client.cast(pl.String)
        if client.null_count():
            self.nameless += client.null_count()
            client = client.fill_null(NAMELESS)
        return client.cast(self._grown.dtype).to_physical().cast(pl.UInt32)

    def column(self, code: pl.Series) -> pl.Series:
        """The ``client`` column of a workload for numbers from :meth:`codes`."""
        largest = code.max()
        if isinstance(largest, int) and largest >= self._known:
            self.learn()
        return self._each.gather(code)

    def learn(self) -> None:
        """Make the columns to come know all names there are by now."""
        names = self._categories.to_series()
        self._known = names.len()
        # Handing polars a type of a million names takes half a second, so it is done once for all blocks that have it.
        self._each = pl.Series("client", names, dtype=pl.Enum(names))
