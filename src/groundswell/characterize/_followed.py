"""What is kept of a stream to know its conversations: all of it while it is small, then fair parts of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import GOLDEN, compiled, mix

MOST = 2**20
"""As many rows are kept at most, and twice as many for a while: some 50 MB."""
TURNS = 1024
"""With more rows than that, what a conversation does after this turn is only counted."""


@compiled
def _lots(conversation: Any) -> Any:
    out = np.empty(conversation.size, np.uint64)
    for i in range(out.size):
        out[i] = mix(np.uint64(conversation[i]) + GOLDEN)  # mix(0) is 0, which would always be followed
    return out


def lots(conversation: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A random word for each conversation, a different one for each."""
    return np.asarray(_lots(conversation))


@dataclass(frozen=True, eq=False)
class Followed:
    """All rows of the conversations whose ``lot`` begins with ``level`` zero bits: ``lot``, ``arrival_s``,
    ``input_tokens``, ``turn`` and ``think_s`` where the trace has them, and for how many ``requests`` a row stands.

    What is chosen depends on the rows alone, not on how the stream is cut.
    """

    level: int = 0
    parts: tuple[pl.DataFrame, ...] = ()
    cropped: bool = False

    @classmethod
    def of(cls, rows: pl.DataFrame) -> Followed:
        """The conversations of some rows in order of time."""
        return cls(0, (rows.with_columns(pl.lit(1, pl.Int64).alias("requests")),))._bounded()

    def __add__(self, later: Followed) -> Followed:
        level = max(self.level, later.level)
        parts = (*self.parts, *(_at_level(part, level) for part in later.parts))
        return Followed(level, parts, self.cropped or later.cropped)._bounded()

    def _bounded(self) -> Followed:
        return self if sum(part.height for part in self.parts) <= 2 * MOST else self.settled()

    def settled(self) -> Followed:
        """The same as one part of at most :data:`MOST` rows."""
        if not self.parts:
            return self
        rows, level = _at_level(pl.concat(self.parts), self.level), self.level
        cropped = self.cropped or rows.height > MOST
        if cropped:
            rows = _cropped(rows)
        while rows.height > MOST:
            level += 1
            rows = _at_level(rows, level)
        return Followed(level, (rows,), cropped)


def _at_level(rows: pl.DataFrame, level: int) -> pl.DataFrame:
    return rows.filter(pl.col("lot") < 2 ** (64 - level)) if level else rows


def _cropped(rows: pl.DataFrame) -> pl.DataFrame:
    """The first :data:`TURNS` rows of each conversation; the last of them stands for those after it as well."""
    # Few conversations are long, and those share the first 16 bits of their lot with more rows than that.
    first_bits = rows["lot"].to_numpy() >> np.uint64(48)
    crowded = pl.Series(np.bincount(first_bits.astype(np.int64), minlength=2**16)[first_bits] > TURNS)
    if not crowded.any():
        return rows
    rows = rows.with_row_index("row")
    turn = pl.int_range(pl.len()).over("lot")
    after = pl.col("requests").sum().over("lot") - (TURNS - 1)
    requests = pl.when(turn == TURNS - 1).then(after).otherwise("requests").alias("requests")
    long = rows.filter(crowded).with_columns(requests).filter(turn < TURNS)
    return pl.concat([rows.filter(~crowded), long]).sort("row").drop("row")


@dataclass(frozen=True, eq=False)
class Stretches:
    """When every request arrived (``arrival_s``) and its conversation (``lot``, null for none): of all time, or of the
    first part of some windows, all of the same length and evenly spread.

    Every second level halves the parts, the others the number of windows.
    """

    window_s: float = 1.0
    level: int = 0
    parts: tuple[pl.DataFrame, ...] = ()

    @classmethod
    def of(cls, rows: pl.DataFrame, window_s: float) -> Stretches:
        """The requests of some rows in order of time."""
        return cls(window_s, 0, (rows,))._bounded()

    def __add__(self, later: Stretches) -> Stretches:
        if not self.parts:
            return later
        level = max(self.level, later.level)
        parts = (*self.parts, *(self._at_level(part, level) for part in later.parts))
        return Stretches(self.window_s, level, parts)._bounded()

    def _bounded(self) -> Stretches:
        return self if sum(part.height for part in self.parts) <= 2 * MOST else self.settled()

    def settled(self) -> Stretches:
        """The same as one part of at most :data:`MOST` rows."""
        if not self.parts:
            return self
        rows, level = self._at_level(pl.concat(self.parts), self.level), self.level
        while rows.height > MOST:
            level += 1
            rows = self._at_level(rows, level)
        return Stretches(self.window_s, level, (rows,))

    @property
    def length_s(self) -> float:
        """How long each part of a window is."""
        return float(self.window_s * 2.0 ** -((self.level + 1) // 2))

    def _at_level(self, rows: pl.DataFrame, level: int) -> pl.DataFrame:
        if not level:
            return rows
        at = pl.col("arrival_s") / self.window_s
        number = at.floor()
        chosen = (number.cast(pl.Int64) % 2 ** (level // 2)) == 0
        return rows.filter(chosen & (at - number < 2.0 ** -((level + 1) // 2)))
