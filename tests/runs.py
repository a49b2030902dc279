"""Results of runs that tests make up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from groundswell.results import COLUMNS, Results

Floats = NDArray[np.float64]


def run_of(
    due_s: ArrayLike, latency_s: ArrayLike, metadata: dict[str, Any] | None = None, /, **columns: Any
) -> Results:
    """A run in which the first token of each request comes ``latency_s`` after it was due and the end with it: one
    client, prompts and replies of one token, unless ``columns`` say otherwise. nan is null."""
    due = np.asarray(due_s, np.float64)
    n = due.size
    first = due + np.asarray(latency_s, np.float64)
    given: dict[str, Any] = {
        "row": np.arange(n),
        "client": ["a"] * n,
        "input_tokens": np.ones(n, np.int64),
        "asked_tokens": np.ones(n, np.int64),
        "due_s": due,
        "first_token_s": first,
        "done_s": first,
        "error": [None] * n,
    }
    given |= columns
    return Results(pl.DataFrame([_series(name, given[name]) for name in COLUMNS if name in given]), metadata or {})


def _series(name: str, values: Any) -> pl.Series:
    if name == "client":
        return pl.Series(name, values, dtype=pl.Enum(sorted(set(values))))
    column = pl.Series(name, values)
    return (column.fill_nan(None) if column.dtype.is_float() else column).cast(COLUMNS[name])


def failing(n: int, rows: Sequence[int] | NDArray[np.integer[Any]], kind: str = "reset") -> list[str | None]:
    """The ``error`` column of ``n`` requests of which those of ``rows`` failed."""
    errors: list[str | None] = [None] * n
    for row in rows:
        errors[int(row)] = kind
    return errors


def queue(load: float, n: int, seed: int) -> tuple[Floats, Floats]:
    """Arrivals at an M/M/1 queue in its steady state, and how long each stays: exponential with mean 1 / (1 − load), in
    units of the mean service (Lindley's recursion, as running maxima)."""
    random = np.random.default_rng([seed, n])
    early = int(40 / (1 - load) ** 2)  # forgets that it began empty
    arrival, service = np.cumsum(random.exponential(1 / load, n + early)), random.exponential(1.0, n + early)
    served = np.cumsum(service)
    left = served + np.maximum.accumulate(arrival - (served - service))
    return arrival[early:] - arrival[early], (left - arrival)[early:]
