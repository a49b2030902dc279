"""How long each client's requests were in each slot: every value that occurred, and how often.

Memory grows with the different values that clients have in a slot. Past a bound, values are kept to fewer leading bits:
neighbours then share a line, which keeps their number and their sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.lengths import LARGEST_TOKENS
from groundswell.stats.tally import Tally
from groundswell.table import ITEM_COLUMNS, Workload

Ints = NDArray[np.int64]

MOST_LINES = 2**22
"""With more lines, some 150 MB, a field's values are kept to one bit less."""
EXACT_BITS = 31
"""Whole numbers below 2**31 are exact."""
RATIO_STEPS = 1000
"""The share of reasoning in an output is kept to this fraction."""

_KEYS = ("client", "slot", "value")


@dataclass(frozen=True, eq=False)
class LengthTally:
    """Lines of client, slot and value: ``n`` things that have it and their ``total``; for the sizes of items also
    ``support``, the sum over items of one over the number of items in their request, which is at most the number of
    requests. ``a + b`` has the lines of both.
    """

    bits: int = EXACT_BITS
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def of(cls, columns: Mapping[str, Any], clients: pl.Enum) -> LengthTally:
        """The lines of things with a ``client`` (a number into ``clients``), ``slot`` and ``value``; items have a
        ``support``, too.
        """
        frame = pl.DataFrame(columns).with_columns(n=pl.lit(1, pl.Int64), total=pl.col("value"))
        return cls(EXACT_BITS, Tally.of(frame, _KEYS, clients))

    def __add__(self, other: LengthTally) -> LengthTally:
        bits = min(self.bits, other.bits)
        both = LengthTally(bits, self._kept_to(bits) + other._kept_to(bits))
        while sum(part.height for part in both.tally.parts) > MOST_LINES and both.bits > 1:
            whole = both.tally.frame
            if whole.height <= MOST_LINES:
                return LengthTally(both.bits, Tally(_KEYS, (whole,), both.tally.clients))
            both = LengthTally(both.bits - 1, both._kept_to(both.bits - 1))
        return both

    def _kept_to(self, bits: int) -> Tally:
        if bits == self.bits:
            return self.tally
        parts = tuple(
            part.with_columns(value=pl.Series(leading_bits(part["value"].to_numpy(), bits)))
            .group_by(*_KEYS)
            .agg(pl.exclude(*_KEYS).sum())
            for part in self.tally.parts
        )
        return Tally(_KEYS, parts, self.tally.clients)

    @property
    def frame(self) -> pl.DataFrame:
        """One row a line, in no particular order."""
        return self.tally.frame


def leading_bits(value: Ints, bits: int) -> Ints:
    """``value`` with all but its first ``bits`` binary digits set to 0.

    >>> leading_bits(np.array([5, 1000, 1023]), 3).tolist()
    [5, 896, 896]
    """
    _, length = np.frexp(value.astype(np.float64))
    drop = np.maximum(length - bits, 0)
    return np.asarray((value >> drop) << drop)


def tallies(block: Workload, slot: Ints) -> dict[str, LengthTally]:
    """The tallies of a block, by the pool's fields; ``reason_ratio`` in steps of 1 / ``RATIO_STEPS``."""
    clients = block.frame.schema["client"]
    assert isinstance(clients, pl.Enum)  # noqa: S101 (a Workload's schema)
    who = {"client": block.client_code, "slot": slot.astype(np.int32)}
    out = {
        name: LengthTally.of({**who, "value": _whole(block.frame[name])}, clients)
        for name in ("input_tokens", "output_tokens")
    }
    if "reason_tokens" in block.frame.columns:
        out["reason_ratio"] = _ratio(block, who, clients)
    for name in ITEM_COLUMNS:
        if name in block.frame.columns:
            sizes = block.frame[name]
            count = sizes.list.len().fill_null(0).cast(pl.Int64)
            out[name.replace("tokens", "count")] = LengthTally.of({**who, "value": count}, clients)
            each = count.to_numpy()
            items = {key: np.repeat(column, each) for key, column in who.items()}
            items["value"] = _whole(sizes.explode(empty_as_null=False, keep_nulls=False))
            items["support"] = np.repeat(1.0 / np.maximum(each, 1), each)
            out[name] = LengthTally.of(items, clients)
    return out


def _whole(tokens: pl.Series) -> Ints:
    return np.asarray(np.minimum(tokens.to_numpy(), LARGEST_TOKENS), np.int64)


def _ratio(block: Workload, who: Mapping[str, NDArray[Any]], clients: pl.Enum) -> LengthTally:
    """Of the requests that have an output and say how much of it is reasoning."""
    reason = block.frame["reason_tokens"]
    output = block.output_tokens.astype(np.float64)
    known = (reason.is_not_null() & (block.frame["output_tokens"] > 0)).to_numpy()
    share = np.minimum(reason.fill_null(0).to_numpy() / np.where(known, output, 1.0), 1.0)
    steps = np.rint(share * RATIO_STEPS).astype(np.int64)
    return LengthTally.of({**{key: column[known] for key, column in who.items()}, "value": steps[known]}, clients)
