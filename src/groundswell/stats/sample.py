"""A fair sample of a stream's rows, as large as memory allows: all of them, as long as they fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from groundswell.chance import compiled, mix
from groundswell.stats.tally import joined
from groundswell.table import Workload

MOST = 2**17
"""As many rows are kept at most: a share of theirs is within .007 of that of all rows (five standard errors)."""

_KEPT = (
    "arrival_s", "client", "input_tokens", "output_tokens", "reason_tokens", "image_tokens", "audio_tokens",
    "video_tokens", "turn", "model", "failed",
)  # fmt: skip


def _bound(level: int) -> np.uint64:
    """Words below begin with ``level`` zero bits; no bound for level 0 is asked for."""
    return np.uint64(2 ** (64 - level))


@compiled
def _lots(arrival_s: Any, input_tokens: Any, output_tokens: Any) -> Any:
    """A random word for each row, which only the row itself decides."""
    out = np.empty(arrival_s.size, np.uint64)
    bits = arrival_s.view(np.uint64)
    for i in range(out.size):
        tokens = (np.uint64(input_tokens[i]) << np.uint64(32)) | np.uint64(output_tokens[i])
        out[i] = mix(bits[i] ^ mix(tokens))
    return out


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows whose random word begins with ``level`` zero bits, so one in ``2**level``.

    The word is a function of the row, so the sample is the same however the stream is cut and in whatever order its
    parts are added.
    """

    level: int = 0
    rows: pl.DataFrame | None = None
    clients: pl.Series | None = None
    """The names that the rows' ``client`` numbers."""

    @classmethod
    def of(cls, block: Workload, level: int = 0) -> Sample:
        """The sample of one block, at no less than ``level``: that of the stream so far, which can only rise."""
        lot = _lots(block.arrival_s, block.input_tokens, block.output_tokens)
        while len(block) >> level > MOST:
            level += 1
        chosen = np.flatnonzero(lot < _bound(level)) if level else np.arange(len(block))
        frame = block.frame.select(pl.col(name).gather(chosen) for name in _KEPT if name in block.frame.columns)
        clients = block.frame.schema["client"]
        assert isinstance(clients, pl.Enum)  # noqa: S101 (a Workload's schema)
        rows = frame.with_columns(pl.col("client").to_physical().cast(pl.UInt32), pl.Series("lot", lot[chosen]))
        return cls(level, rows, clients.categories)._thinned(level)

    def __add__(self, other: Sample) -> Sample:
        if self.rows is None or other.rows is None:
            return other if self.rows is None else self
        level = max(self.level, other.level)
        a, b = self._thinned(level), other._thinned(level)
        assert a.rows is not None and b.rows is not None and a.clients is not None  # noqa: S101, PT018 (both have rows)
        clients, place = joined(a.clients, b.clients)  # type: ignore[arg-type]
        added = b.rows if place is None else b.rows.with_columns(client=place.gather(b.rows["client"]))
        return Sample(level, pl.concat([a.rows, added], how="diagonal"), clients)._thinned(level)

    def _thinned(self, level: int) -> Sample:
        """The sample at ``level`` or, if it is still too large, at the next that is not."""
        assert self.rows is not None  # noqa: S101 (called on samples with rows)
        rows, at = self.rows, self.level
        while at < level or rows.height > MOST:
            at = max(at + 1, level)
            rows = rows.filter(pl.col("lot") < int(_bound(at)))
        return Sample(at, rows, self.clients)

    @property
    def frame(self) -> pl.DataFrame:
        """The sampled rows in order of arrival: the workload's scalar columns, ``client`` as text, and the items."""
        if self.rows is None or self.clients is None:
            return pl.DataFrame()
        named = self.rows.with_columns(client=self.clients.gather(self.rows["client"]))
        return named.drop("lot").sort("arrival_s", maintain_order=True)

    @property
    def whole(self) -> bool:
        """Whether no row was left out."""
        return self.level == 0
