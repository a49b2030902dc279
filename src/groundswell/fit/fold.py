"""A trace folded into what a pool is made of: block by block, with memory for clients and their windows and lengths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.fit.cells import Cells, Codes, Floats
from groundswell.fit.lengths import LengthTally, tallies
from groundswell.fit.setting import Grid
from groundswell.lengths import LARGEST_TOKENS
from groundswell.stats.sample import Sample
from groundswell.stats.tally import joined
from groundswell.table import Workload

Ints = NDArray[np.int64]

_SLACK = 2**17

LEFT_BEHIND = {
    "conversation": "conversations",
    "prefix_blocks": "shared prefixes",
    "prefix_runs": "shared prefixes",
    "model": "models",
    "failed": "failures",
}
"""Columns of a trace that a pool has no place for, or not always, in words."""
HELD_AS_SESSIONS = ("conversation", "prefix_blocks", "prefix_runs")
"""Those that it has a place for: whole or as laws, unless too few share them."""


@dataclass(frozen=True, eq=False)
class Fold:
    """The summary of consecutive blocks. ``a + b`` is that of a's blocks and then b's; ``Fold()`` is that of none.

    ``few`` holds (client, arrival) of the clients that have sent at most ``keep`` requests so far, in parts: only when
    all have been seen is it known which of them stand together, and how their requests follow one another.
    """

    keep: int = 0
    clients: pl.Series = field(default_factory=lambda: pl.Series("client", [], dtype=pl.String))
    requests: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    cells: tuple[Cells, ...] = ()
    few: tuple[tuple[Codes, Floats], ...] = ()
    lengths: dict[str, LengthTally] = field(default_factory=dict)
    sample: Sample = field(default_factory=Sample)
    first_s: float = np.inf
    last_s: float = -np.inf
    left_behind: frozenset[str] = frozenset()
    failed: int = 0
    too_long: int = 0
    """Lengths above the largest that a pool can hold."""

    @classmethod
    def of(cls, block: Workload, grid: Grid, keep: int, level: int = 0) -> Fold:
        """The summary of one block, of a stream whose sample is at ``level`` so far."""
        if not len(block):
            return cls()
        names = block.frame.schema["client"]
        assert isinstance(names, pl.Enum)  # noqa: S101 (a Workload's schema)
        arrival_s, code = block.arrival_s, block.client_code
        window = grid.window(arrival_s)
        requests = np.bincount(code, minlength=names.categories.len())
        rare = requests[code] <= keep
        frame = block.frame
        held = {name for name in LEFT_BEHIND if name in frame.columns and frame[name].null_count() < frame.height}
        failed = int(frame["failed"].sum()) if "failed" in held else 0
        return cls(
            keep,
            names.categories,
            requests,
            (Cells.of(arrival_s, code, window, requests.size),),
            ((code[rare], arrival_s[rare]),),
            tallies(block, grid.slot(window)),
            Sample.of(block, level),
            float(arrival_s[0]),
            float(arrival_s[-1]),
            frozenset(held if failed else held - {"failed"}),
            failed,
            int((block.input_tokens > LARGEST_TOKENS).sum() + (block.output_tokens > LARGEST_TOKENS).sum()),
        )

    def __add__(self, other: Fold) -> Fold:
        if not self.cells or not other.cells:
            return other if not self.cells else self
        clients, place = joined(self.clients, other.clients)
        at = np.arange(other.clients.len()) if place is None else place.to_numpy()
        requests = np.zeros(clients.len(), np.int64)
        requests[: self.requests.size] += self.requests
        requests[at] += other.requests
        cells = (*self.cells, *(part.numbered(at) for part in other.cells))
        few = (*self.few, *((at[code].astype(np.uint32), arrival_s) for code, arrival_s in other.few))
        return Fold(
            self.keep,
            clients,
            requests,
            (Cells.joined(cells),) if _many(cells) else cells,
            (_still_few(few, requests, self.keep),) if _many([code for code, _ in few]) else few,
            {
                name: _sum(self.lengths.get(name), other.lengths.get(name))
                for name in dict.fromkeys([*self.lengths, *other.lengths])
            },
            self.sample + other.sample,
            min(self.first_s, other.first_s),
            max(self.last_s, other.last_s),
            self.left_behind | other.left_behind,
            self.failed + other.failed,
            self.too_long + other.too_long,
        )

    @property
    def all_cells(self) -> Cells:
        """The cells, by client, then window."""
        return Cells.joined(self.cells)

    @property
    def arrivals_of_few(self) -> tuple[Codes, Floats]:
        """Client and time of the requests of clients that have sent at most ``keep``, in order of time."""
        return _still_few(self.few, self.requests, self.keep)


def _many(parts: Any) -> bool:
    """Whether the parts behind the first have become so many that it is worth making all one."""
    return sum(map(len, parts[1:])) > len(parts[0]) + _SLACK


def _still_few(parts: tuple[tuple[Codes, Floats], ...], requests: Ints, keep: int) -> tuple[Codes, Floats]:
    code, arrival_s = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    rare = requests[code] <= keep
    return code[rare], arrival_s[rare]


def _sum(a: LengthTally | None, b: LengthTally | None) -> LengthTally:
    """The sum of two tallies of which one may be missing: its column was not in that part of the trace."""
    if a is None or b is None:
        whole = b if a is None else a
        assert whole is not None  # noqa: S101 (the field is known from one of them)
        return whole
    return a + b
