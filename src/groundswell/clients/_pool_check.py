"""What the columns of a pool cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groundswell.clients.cover import covered_span
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from groundswell.clients.pool import ClientPool


def check(pool: ClientPool) -> None:
    """Raises UsageError for columns that do not fit together, or hold what no client can have."""
    clients, windows = pool.rate_per_s.shape
    cells = ("cv", "family", "first_parameter", "second_parameter")
    if any(getattr(pool, name).shape != (clients, windows) for name in cells) or windows == 0:
        raise UsageError(
            f"a pool's rate, CV, family and parameters are all [clients, windows], here {clients} × {windows}"
        )
    if (
        len(pool.names) != clients
        or pool.stated.shape != (clients,)
        or pool.table.shape[::2] != (clients, len(pool.fields))
    ):
        raise UsageError(f"a pool of {clients} clients names each, says whether it is stated, and has [C, S, F] tables")
    if len(set(pool.names)) < clients:
        raise UsageError("two clients of a pool have the same name")
    for what, bad in (
        ("rate that is negative or not finite", ~((pool.rate_per_s >= 0) & np.isfinite(pool.rate_per_s))),
        ("CV that is negative", pool.cv < 0),
        ("family that the pool does not name", pool.family >= len(pool.families)),
    ):
        if bad.any():
            c, w = (int(i) for i in np.argwhere(bad)[0])
            raise UsageError(f"client {pool.names[c]!r} has a {what}, in window {w}")
    if pool.table.size and int(pool.table.max()) >= pool.lengths.size:
        raise UsageError("a client's table numbers a distribution that the pool does not hold")
    if pool.sessions is not None and pool.sessions.first.size != clients + 1:
        raise UsageError(f"a pool of {clients} clients has sessions for each of them")
    covered_span(pool.origin, pool.start_s, pool.end_s)  # refuses what cannot be
