"""Clients chosen by what they are like, their burstiness and how long their requests are; and no more than they use."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from groundswell.clients.pool import ClientPool
from groundswell.errors import UsageError

Floats = NDArray[np.float64]


def mean_cv(pool: ClientPool) -> Floats:
    """Every client's CV, averaged over its windows by rate, shape [C]; nan where none is known."""
    weight = np.where(np.isfinite(pool.cv), pool.sent_per_s, 0.0)
    total = weight.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(pool.cv * weight, axis=1) / np.where(total > 0, total, np.nan))


def largest_length(pool: ClientPool, field: str) -> Floats:
    """Every client's largest length of ``field`` in any slot, shape [C]; nan where it has none."""
    which = pool.table[:, :, pool.fields.index(field)]
    largest = np.where(which >= 0, pool.lengths.largest[which] if pool.lengths.size else -np.inf, -np.inf).max(axis=1)
    return np.where(np.isfinite(largest), largest, np.nan)


def within(pool: ClientPool, ranges: Mapping[str, tuple[float, float]]) -> ClientPool:
    """The clients whose every named trait lies in its range, ends included; a client without the trait is left out.

    A trait is ``cv`` (:func:`mean_cv`), or ``mean_`` or ``max_`` and a field of the pool: ``mean_input_tokens``.
    """
    keep = np.ones(len(pool), np.bool_)
    for trait, (low, high) in ranges.items():
        value = trait_of(pool, trait)
        keep &= (value >= low) & (value <= high)
    return pool.take(keep)


def trait_of(pool: ClientPool, trait: str) -> Floats:
    """One trait of every client, as :func:`within` names it, shape [C]."""
    kind, _, field = trait.partition("_")
    if trait == "cv":
        return mean_cv(pool)
    if kind not in ("mean", "max") or field not in pool.fields:
        raise UsageError(
            f"the pool's clients have no {trait!r}; they have cv, and mean_ and max_ of {', '.join(pool.fields)}"
        )
    return pool.mean_length(field) if kind == "mean" else largest_length(pool, field)


def without_unused_lengths(pool: ClientPool) -> ClientPool:
    """The same pool without the distributions that no client of it draws from, such as those of clients left out."""
    held = pool.table >= 0
    used, number = np.unique(pool.table[held], return_inverse=True)
    if used.size == pool.lengths.size:
        return pool
    table = pool.table.copy()
    table[held] = number
    return dataclasses.replace(pool, table=table, lengths=pool.lengths.take(used))
