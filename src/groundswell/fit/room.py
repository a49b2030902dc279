"""First prompts as long as they were, though each must be longer than the beginning that it shares.

A pool draws a prompt's length and its beginning independently, and the prompt is at least a token longer: its length is
the larger of the two. So that this has the distribution F of the prompts that were seen, what is drawn has F / G, G
being the distribution of the beginnings and a token. Where the quotient falls, it is taken as what it falls to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundswell.clients.pool import FIELDS
from groundswell.length_tables import LengthTables

Floats = NDArray[np.float64]


def with_room(table: NDArray[np.int32], tables: LengthTables) -> tuple[NDArray[np.int32], LengthTables]:
    """Tables of pool fields [P, S, F] and distributions, those of input tokens made as the beginnings want them.

    Distributions that are taken by several senders become several; their values stay what they were.
    """
    given, shared = (FIELDS.index(name) for name in ("input_tokens", "shared_tokens"))
    both = (table[:, :, given] >= 0) & (table[:, :, shared] >= 0)
    if not both.any():
        return table, tables
    pairs, place = np.unique(table[both][:, [given, shared]], axis=0, return_inverse=True)
    made = [_quotient(tables.table(d), tables.table(g)) for d, g in pairs.tolist()]
    out = table.copy()
    column = out[:, :, given]
    column[both] = tables.size + place.ravel()
    return out, tables.concat(LengthTables.of(made))


def _quotient(prompts: tuple[Floats, Floats], beginnings: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """The distribution of what is drawn; the largest value of the two keeps what is left."""
    value, share = prompts
    below = np.append(0.0, np.cumsum(beginnings[1]))[np.searchsorted(beginnings[0], value - 1, "right")]
    known = below > 0
    ratio = np.where(known, np.cumsum(share) / np.where(known, below, 1.0), np.inf)
    ratio[-1] = 1.0
    upto = np.minimum.accumulate(ratio[::-1])[::-1]
    mass = np.diff(upto, prepend=0.0)
    some = mass > 0
    return value[some], mass[some]
