"""Small pools for the tests, made in a line or two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from groundswell.clients import ClientPool
from groundswell.length_tables import LengthTables


def recorded_pool(
    rate_per_s: Any,
    cv: Any = 1.0,
    family: str = "gamma",
    lengths: Sequence[tuple[Any, Any]] = (([100, 200, 400], [0.5, 0.3, 0.2]), ([10, 20, 80], [0.6, 0.3, 0.1])),
    *,
    stated: bool = False,
    parameters: tuple[Any, Any] = (np.nan, np.nan),
    window_s: float = 600.0,
    names: Sequence[str] | None = None,
) -> ClientPool:
    """Clients with the given rates ([C, W], or [C] for one window each); all draw from the same two tables."""
    rate = np.atleast_2d(np.asarray(rate_per_s, float))
    clients, windows = rate.shape
    return ClientPool(
        names=tuple(names or (f"client-{i}" for i in range(clients))),
        rate_per_s=rate,
        cv=np.broadcast_to(np.asarray(cv, np.float32), rate.shape).copy(),
        family=np.zeros(rate.shape, np.uint8),
        first_parameter=np.full(rate.shape, parameters[0], np.float32),
        second_parameter=np.full(rate.shape, parameters[1], np.float32),
        families=(family,),
        stated=np.full(clients, stated),
        fields=("input_tokens", "output_tokens"),
        table=np.tile(np.array([0, 1], np.int32), (clients, 1, 1)),
        lengths=LengthTables.of(list(lengths)),
        window_s=window_s,
        slot_s=windows * window_s,
    )
