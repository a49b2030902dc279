"""What requests are drawn from: each client's distributions, laid out for the kernels, with lenders for those
without.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundswell.clients import ClientPool
from groundswell.compose.talks import FIELDS as OF_TALKS
from groundswell.errors import UsageError
from groundswell.length_tables import LengthTables

_FIRST = ("input_tokens", "output_tokens")


@dataclass(frozen=True, eq=False)
class LengthSource:
    """Distribution numbers by client, slot and field; input and output are fields 0 and 1.

    ``lends[s]`` are rising shares of the rate in slot ``s`` of the clients that have lengths, and ``lent[s]`` their
    distributions, for the clients that ``borrows`` marks.
    """

    fields: tuple[str, ...]
    tables: LengthTables
    number: NDArray[np.int32]  # [C, S, F]
    borrows: NDArray[np.bool_]  # [C]
    lends: NDArray[np.float64]  # [S, D]
    lent: NDArray[np.int32]  # [S, D, F]

    @property
    def modalities(self) -> tuple[str, ...]:
        """The kinds of item a request may carry: those of image, audio, video with both a size and a count."""
        return tuple(
            m for m in ("image", "audio", "video") if {f"{m}_tokens", f"{m}_count"} <= set(self.fields) and self._any(m)
        )

    def _any(self, modality: str) -> bool:
        """Whether any client ever sends an item of this kind."""
        used = np.unique(self.number[:, :, self.fields.index(f"{modality}_count")])
        return bool((self.tables.largest[used[used >= 0]] > 0).any())


def length_source(pool: ClientPool) -> LengthSource:
    """The source of ``pool``'s lengths; a slot without any takes the client's nearest one that has."""
    if not pool.has_lengths.any():
        raise UsageError(
            "no client of the pool has input and output lengths; give it a dataset, or clients with lengths"
        )
    fields = _FIRST + tuple(f for f in pool.fields if f not in (*_FIRST, *OF_TALKS))
    column = [pool.fields.index(f) for f in fields]
    nearest = np.maximum(pool.nearest_slot, 0)
    number = np.take_along_axis(pool.table, nearest[:, :, None], axis=1)[:, :, column]
    lender = np.flatnonzero(pool.has_lengths)
    rate = pool.slot_rate[lender].T
    rate = np.where(rate.sum(axis=1, keepdims=True) > 0, rate, pool.slot_rate[lender].sum(axis=1))
    rate = np.where(rate.sum(axis=1, keepdims=True) > 0, rate, 1.0)
    share = np.cumsum(rate, axis=1) / rate.sum(axis=1, keepdims=True)
    return LengthSource(
        fields=fields,
        tables=pool.lengths,
        number=np.ascontiguousarray(number),
        borrows=~pool.has_lengths,
        lends=np.ascontiguousarray(share),
        lent=np.ascontiguousarray(number[lender].transpose(1, 0, 2)),
    )
