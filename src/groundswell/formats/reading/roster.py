"""Names of clients as numbers, in the order in which they turn up; those that are given never change."""

from __future__ import annotations

import polars as pl

NAMELESS = "(none)"
"""Who sent a row that names no client."""
EVERYONE = "all"
"""Who sent everything, where a file does not know of clients."""


class Roster:
    """The clients known so far."""

    def __init__(self) -> None:
        self.dtype = pl.Enum([])
        self.names = pl.Series("client", [], dtype=self.dtype)
        self.nameless = 0

    def codes(self, client: pl.Series | None, rows: int) -> pl.Series:
        """The numbers of ``rows`` clients, given by name or as an Enum; one and the same if there are no names."""
        if client is None:
            self._extend(pl.Series([EVERYONE]))
            return pl.repeat(0, rows, dtype=pl.UInt32, eager=True).alias("client")
        if isinstance(client.dtype, pl.Enum) and not client.null_count():
            if not self.names.len():
                self._extend(client.dtype.categories)
            if client.dtype == self.dtype:
                return client.to_physical().cast(pl.UInt32)
        return self._named(client.cast(pl.String))

    def _named(self, client: pl.Series) -> pl.Series:
        lacking = client.null_count()
        if lacking:
            self.nameless += lacking
            client = client.fill_null(NAMELESS)
        code = client.cast(self.dtype, strict=False)
        if code.null_count():
            self._extend(client.filter(code.is_null()).unique(maintain_order=True))
            code = client.cast(self.dtype)
        return code.to_physical().cast(pl.UInt32)

    def _extend(self, names: pl.Series) -> None:
        if names.len() == 1 and self.names.len() and names[0] == self.names[0]:
            return
        known = pl.concat([self.names.cast(pl.String), names.cast(pl.String).alias("client")])
        self.dtype = pl.Enum(known)
        self.names = known.cast(self.dtype)

    def column(self, code: pl.Series) -> pl.Series:
        """The ``client`` column of a workload for numbers from :meth:`codes`."""
        return self.names.gather(code).alias("client")
