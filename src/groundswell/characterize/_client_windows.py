"""What every client sent in every window: requests, their gaps, and their tokens, with memory only for what was sent.

One table carries all that is said of clients, and what a pool of clients is fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.errors import UsageError
from groundswell.stats.tally import joined
from groundswell.table import Workload

Floats = NDArray[np.float64]

MOST_PAIRS = 2**21
"""With more pairs of a client and a window, some 160 MB, windows become twice as wide."""
_MOST_PARTS = 64

# A pair's sums lie side by side, on one line of the cache: with many clients that is what a request costs.
_REQUESTS, _FIRST, _LAST, _GAP2, _INPUT, _INPUT2, _OUTPUT, _OUTPUT2 = range(8)


@compiled
def _count(
    arrival_s: Any, code: Any, input_tokens: Any, output_tokens: Any, width_s: Any,
    pair_of: Any, client: Any, window: Any, sums: Any,
) -> Any:  # fmt: skip
    """Fill ``client``, ``window`` and ``sums`` with the pairs in order of windows; how many there are."""
    pairs, begin, current = 0, 0, np.int64(-1)
    for i in range(code.size):
        c, t = code[i], arrival_s[i]
        x, y = np.float64(input_tokens[i]), np.float64(output_tokens[i])
        number = np.int64(np.floor(t / width_s))
        if number != current:
            begin, current = pairs, number
        p = pair_of[c]
        if p < begin:  # of an earlier window, or none at all
            p = pairs
            pair_of[c] = p
            client[p], window[p] = c, number
            sums[p, :] = 0.0
            sums[p, _FIRST] = sums[p, _LAST] = t
            pairs += 1
        gap = t - sums[p, _LAST]
        sums[p, _REQUESTS] += 1.0
        sums[p, _LAST] = t
        sums[p, _GAP2] += gap * gap
        sums[p, _INPUT] += x
        sums[p, _INPUT2] += x * x
        sums[p, _OUTPUT] += y
        sums[p, _OUTPUT2] += y * y
    return pairs


@compiled
def _merge(
    from_client: Any, from_window: Any, from_sums: Any, factor: Any,
    pair_of: Any, client: Any, window: Any, sums: Any, pairs: Any, begin: Any,
) -> Any:  # fmt: skip
    """Add pairs, in order of windows and time, with ``factor`` windows made one, to the ``pairs`` that are there, of
    which those from ``begin`` on are of the last window; the new ``pairs`` and ``begin``."""
    for i in range(from_client.size):
        c, number = from_client[i], from_window[i] // factor
        if begin == pairs or window[begin] != number:
            begin = pairs
        p = pair_of[c]
        if p < begin:
            pair_of[c] = pairs
            client[pairs], window[pairs] = c, number
            sums[pairs] = from_sums[i]
            pairs += 1
        else:
            gap = from_sums[i, _FIRST] - sums[p, _LAST]
            sums[p, _LAST] = from_sums[i, _LAST]
            sums[p, _GAP2] += gap * gap + from_sums[i, _GAP2]
            sums[p, _REQUESTS] += from_sums[i, _REQUESTS]
            for k in range(_INPUT, _OUTPUT2 + 1):
                sums[p, k] += from_sums[i, k]
    return pairs, begin


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a client and a window in which it sent something, in order of windows, each pair once."""

    client: NDArray[np.uint32]
    window: NDArray[np.int64]
    """The window ``i`` begins at ``i`` times the width."""
    sums: Floats
    """(pairs, 8): requests, first and last arrival, sum of squared gaps, sums of inputs, their squares, outputs, their
    squares."""

    @classmethod
    def concat(cls, parts: Sequence[Pairs]) -> Pairs:
        """The pairs of all ``parts``, as new arrays."""
        return cls(
            np.concatenate([part.client for part in parts]),
            np.concatenate([part.window for part in parts]),
            np.concatenate([part.sums for part in parts]),
        )

    @classmethod
    def room(cls, most: int) -> Pairs:
        """Arrays for up to ``most`` pairs, yet to be filled."""
        return cls(np.empty(most, np.uint32), np.empty(most, np.int64), np.empty((most, 8)))

    def filled(self, pairs: int) -> Pairs:
        """The first ``pairs`` of this room, whose arrays give the rest of their memory back."""
        # A copy would touch as much memory again, which costs more than the counting.
        self.client.resize(pairs, refcheck=False)
        self.window.resize(pairs, refcheck=False)
        self.sums.resize((pairs, 8), refcheck=False)
        return self

    def __len__(self) -> int:
        return self.client.size

    def __getitem__(self, rows: Any) -> Pairs:
        return Pairs(self.client[rows], self.window[rows], self.sums[rows])

    @property
    def requests(self) -> Floats:
        """How many requests each pair has."""
        return self.sums[:, _REQUESTS]

    @property
    def first_s(self) -> Floats:
        """The first arrival of each pair."""
        return self.sums[:, _FIRST]

    @property
    def last_s(self) -> Floats:
        """The last arrival of each pair."""
        return self.sums[:, _LAST]

    @property
    def gap2_s2(self) -> Floats:
        """The sum of the squares of the ``requests - 1`` gaps between them."""
        return self.sums[:, _GAP2]

    @property
    def input_tokens(self) -> Floats:
        """The sum of the inputs."""
        return self.sums[:, _INPUT]

    @property
    def input2(self) -> Floats:
        """The sum of their squares."""
        return self.sums[:, _INPUT2]

    @property
    def output_tokens(self) -> Floats:
        """The sum of the outputs."""
        return self.sums[:, _OUTPUT]

    @property
    def output2(self) -> Floats:
        """The sum of their squares."""
        return self.sums[:, _OUTPUT2]


@dataclass(frozen=True, eq=False)
class ClientWindows:
    """The pairs of a client and a window of a stream, and their sums. ``a + b`` is that of both; b is the later one.

    A gap counts where both its requests lie in one window. Every pair knows its first and last arrival, so parts of a
    stream add up, and windows join, as if they had never been apart. Memory grows with the pairs: with more than
    ``MOST_PAIRS`` all windows double (unless there is one only), so ``width_s`` may be more than was asked for.
    """

    width_s: float = 0.0
    clients: pl.Series = field(default_factory=lambda: pl.Series("client", [], dtype=pl.String))
    """The names of all clients that are known; pairs hold numbers into it."""
    parts: tuple[Pairs, ...] = ()

    @classmethod
    def of(cls, block: Workload, width_s: float) -> ClientWindows:
        """The pairs of one block, in windows of ``width_s``."""
        if not len(block):
            return cls()
        dtype = block.frame.schema["client"]
        assert isinstance(dtype, pl.Enum)  # noqa: S101 (a Workload's schema)
        return cls.counted(
            block.arrival_s, block.client_code, dtype.categories, block.input_tokens, block.output_tokens, width_s
        )

    @classmethod
    def counted(
        cls, arrival_s: Floats, code: NDArray[np.uint32], clients: pl.Series, inputs: Any, outputs: Any, width_s: float
    ) -> ClientWindows:
        """The pairs of requests that rise in time, ``code`` being numbers into ``clients``: any senders, and any two
        quantities of a request in the place of its tokens."""
        room = Pairs.room(code.size)
        pair_of = np.full(clients.len(), -1, np.int64)
        pairs = _count(arrival_s, code, inputs, outputs, float(width_s), pair_of, room.client, room.window, room.sums)
        return cls(float(width_s), clients, (room.filled(pairs),))._bounded()

    def __add__(self, other: ClientWindows) -> ClientWindows:
        if not self.parts or not other.parts:
            return other if not self.parts else self
        width_s = max(self.width_s, other.width_s)
        a, b = self.widened(round(width_s / self.width_s)), other.widened(round(width_s / other.width_s))
        clients, place = joined(a.clients, b.clients)
        added = b.parts if place is None else _numbered(b.parts, place.to_numpy())
        return ClientWindows(width_s, clients, _in_a_row(a.parts, added, clients.len()))._bounded()

    @property
    def first(self) -> int:
        """The number of the first window."""
        return int(self.parts[0].window[0])

    @property
    def windows(self) -> int:
        """How many windows there are from the first to the last that saw something."""
        return int(self.parts[-1].window[-1]) - self.first + 1 if self.parts else 0

    @property
    def pairs(self) -> Pairs:
        """All pairs, in order of windows."""
        if not self.parts:
            return Pairs.room(0)
        return self.parts[0] if len(self.parts) == 1 else Pairs.concat(self.parts)

    @property
    def frame(self) -> pl.DataFrame:
        """One row a pair, in order of windows; ``client`` is a number into ``clients``.

        ``gaps`` of the client's own lie within the window; ``gap_s`` is their sum and ``gap2_s2`` that of their
        squares. ``input2`` and ``output2`` are sums of squares.
        """
        pairs = self.pairs
        return pl.DataFrame(
            {
                "client": pairs.client,
                "window": pairs.window,
                "requests": pairs.requests.astype(np.int64),
                "gaps": pairs.requests.astype(np.int64) - 1,
                "gap_s": pairs.last_s - pairs.first_s,
                "gap2_s2": pairs.gap2_s2,
                "first_s": pairs.first_s,
                "last_s": pairs.last_s,
                "input_tokens": pairs.input_tokens.astype(np.int64),
                "input2": pairs.input2,
                "output_tokens": pairs.output_tokens.astype(np.int64),
                "output2": pairs.output2,
            }
        )

    def widened(self, factor: int) -> ClientWindows:
        """The same in windows ``factor`` times as wide, as if they had been from the start."""
        if factor == 1 or not self.parts:
            return self
        merged = _merged(self.parts, factor, self.clients.len())
        return ClientWindows(self.width_s * factor, self.clients, (merged,))

    def _bounded(self) -> ClientWindows:
        table = self
        while sum(map(len, table.parts)) > MOST_PAIRS and table.windows > 1:
            table = table.widened(2)
        return table


def _in_a_row(a: tuple[Pairs, ...], b: tuple[Pairs, ...], clients: int) -> tuple[Pairs, ...]:
    """The parts of ``a`` and then ``b``; the window that both have a share in is made one."""
    last, then = a[-1], b[0]
    shared = last.window[-1]
    if then.window[0] < shared:
        raise UsageError(f"windows add up in time order: window {then.window[0]} cannot follow window {shared}")
    parts = (*a, *b)
    if then.window[0] == shared:
        begin, end = np.searchsorted(last.window, shared), np.searchsorted(then.window, shared, side="right")
        both = _merged((last[begin:], then[:end]), 1, clients)
        parts = (*a[:-1], last[:begin], both, then[end:], *b[1:])
    parts = tuple(part for part in parts if len(part))
    return (Pairs.concat(parts),) if len(parts) > _MOST_PARTS else parts


def _merged(parts: Sequence[Pairs], factor: int, clients: int) -> Pairs:
    """The pairs of ``parts`` with ``factor`` windows made one."""
    room = Pairs.room(sum(map(len, parts)))
    pair_of = np.full(clients, -1, np.int64)
    pairs, begin = 0, 0
    for part in parts:
        pairs, begin = _merge(
            part.client, part.window, part.sums, factor,
            pair_of, room.client, room.window, room.sums, pairs, begin,
        )  # fmt: skip
    return room.filled(pairs)


def _numbered(parts: tuple[Pairs, ...], place: NDArray[np.uint32]) -> tuple[Pairs, ...]:
    return tuple(Pairs(place[part.client], part.window, part.sums) for part in parts)
