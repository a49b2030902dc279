"""Names of clients as numbers, in the order in which they turn up; those that are given never change."""

from __future__ import annotations

import polars as pl

NAMELESS = "(none)"
"""Who sent a row that names no client."""
EVERYONE = "all"
"""Who sent everything, where a file does not know of clients."""


class Roster:
    """The clients known so far."""

    def __init__(self, names: pl.Series | None = None) -> None:
        self.dtype = pl.Enum([])
        self.names = pl.Series("client", [], dtype=self.dtype)
        self.nameless = 0
        if names is not None:
            self._extend(names)

    def codes(self, client: pl.Series | None, rows: int) -> pl.Series:
        """The numbers of ``rows`` clients, given by name or as numbers; one and the same if there are neither."""
        if client is None:
            self._extend(pl.Series([EVERYONE]))
            return pl.repeat(0, rows, dtype=pl.UInt32, eager=True).alias("client")
        if client.dtype == pl.UInt32:
            return client if not client.null_count() else self._named(self.names.gather(client).cast(pl.String))
        return self._named(client.cast(pl.String))

    def _named(self, client: pl.Series) -> pl.Series:
        lacking = client.null_count()
        if lacking:
            self.nameless += lacking
            client = client.fill_null(NAMELESS)
        code = client.cast(self.dtype, strict=False).to_physical().cast(pl.UInt32)
        if code.null_count():
            new = code.is_null()
            names = client.filter(new)
            self._extend(names.unique(maintain_order=True))
            code = code.scatter(new.arg_true(), names.cast(self.dtype).to_physical().cast(pl.UInt32))
        return code

    def _extend(self, names: pl.Series) -> None:
        if names.len() == 1 and self.names.len() and names[0] == self.names[0]:
            return
        known = pl.concat([self.names.cast(pl.String), names.cast(pl.String).alias("client")])
        self.dtype = pl.Enum(known)
        self.names = known.cast(self.dtype)

    def column(self, code: pl.Series) -> pl.Series:
        """The ``client`` column of a workload for numbers from :meth:`codes`."""
        return self.names.gather(code).alias("client")
