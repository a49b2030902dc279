"""A client's lengths: small discrete tables, one for each level of its drift, shared by the slots on that level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri

from groundswell.chance import uniforms
from groundswell.length_tables import LengthTables, thresholds
from groundswell.population.law import Counts, Lengths, Population, Reasoning
from groundswell.population.strata import NONE_BELOW
from groundswell.population.tables import read_shape
from groundswell.population.words import keys, walks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ATOMS = 112
_EDGES = np.linspace(-3.5, 3.5, _ATOMS - 1)
_MASS = np.diff(np.concatenate([[0.0], ndtr(_EDGES), [1.0]]))
_MIDDLE = ndtri(np.cumsum(_MASS) - _MASS / 2)
_LEVELS = ndtri((np.arange(7) + 0.5) / 7)
_LEVELS = _LEVELS / _LEVELS.std()  # seven steps of drift with unit spread
_STEADY = 0.02  # a drift of less than two per cent is none
_MOST_ITEMS = 64
_CHUNK = 4096  # tables at a time


def draw_lengths(
    population: Population, client: dict[str, Floats], seed: int, first: int, count: int
) -> tuple[NDArray[np.int32], LengthTables]:
    """Lengths in slots ``first`` … ``first + count - 1``: tables' numbers [clients, slots, fields], and the tables."""
    n = client["cv"].size
    numbers = np.empty((n, count, len(population.fields)), np.int32)
    parts: list[LengthTables] = []
    for k, field in enumerate(population.fields):
        number, tables = _draw_field(population, field, client, seed, first, count)
        numbers[:, :, k] = number + sum(part.size for part in parts)
        parts.append(tables)
    return numbers, _joined(parts)


def _draw_field(
    population: Population, field: str, client: dict[str, Floats], seed: int, first: int, count: int
) -> tuple[Ints, LengthTables]:
    if field == "reason_ratio" and population.reasoning:
        tables = _reason_tables(population.reasoning, client)
        return np.repeat(np.arange(tables.size)[:, None], count, axis=1), tables
    for law in population.lengths:
        if law.field == field:
            return _drifting(law, client, seed, first, count)
    law_of_counts = next(law for law in population.counts if law.field == field)
    tables = _count_tables(law_of_counts, client[f"{field}.mean"])
    return np.repeat(np.arange(tables.size)[:, None], count, axis=1), tables


def _drifting(law: Lengths, client: dict[str, Floats], seed: int, first: int, count: int) -> tuple[Ints, LengthTables]:
    drift = client[f"{law.field}.drift"]
    drift = np.where(drift < _STEADY, 0.0, drift)
    n = drift.size
    walk = walks(keys(seed, n, f"{law.field} drift"), np.full(n, law.drift_memory), first + count)[:, first:]
    level = np.minimum((ndtr(walk) * _LEVELS.size).astype(np.int64), _LEVELS.size - 1)
    level[drift == 0] = 0
    used, number = np.unique(np.arange(n)[:, None] * _LEVELS.size + level, return_inverse=True)
    owner, step = used // _LEVELS.size, _LEVELS[used % _LEVELS.size]
    moved = np.exp(drift[owner] * step) / np.exp(drift[:, None] * _LEVELS).mean(axis=1)[owner]
    return number.reshape(n, count), _token_tables(law, client, seed, owner, moved)


def _token_tables(law: Lengths, client: dict[str, Floats], seed: int, owner: Ints, moved: Floats) -> LengthTables:
    """Tables of clients ``owner`` with their means times ``moved``."""
    chance = uniforms(keys(seed, client["cv"].size, f"{law.field} shape")[:, None], np.arange(2))
    shape = read_shape(law.shape, _MIDDLE)
    parts = []
    for start in range(0, owner.size, _CHUNK):
        some = owner[start : start + _CHUNK]
        mean = client[f"{law.field}.mean"][some] * moved[start : start + _CHUNK]
        value = np.exp(client[f"{law.field}.spread"][some][:, None] * shape)
        value = _with_spike(value, client[f"{law.field}.spike"][some], chance[some, 0])
        value *= (mean / (value @ _MASS))[:, None]
        if law.sizes:
            snapped = _nearest(value, np.array(law.sizes))
            value = np.where((chance[some, 1] < law.sized)[:, None], snapped, value)
        value = np.clip(np.round(value), 1, law.largest)
        value[_sends_none(law, client, some)] = 0.0
        parts.append(_tables(value, np.broadcast_to(_MASS, value.shape)))
    return _joined(parts)


def _sends_none(law: Lengths, client: dict[str, Floats], some: Ints) -> NDArray[np.bool_]:
    """Which clients have no items of the kind that ``law`` gives the sizes of, or no tokens at all."""
    items = client.get(law.field.replace("_tokens", "_count") + ".mean", np.ones_like(client["cv"]))
    return np.asarray((items[some] < NONE_BELOW) | (client[f"{law.field}.mean"][some] < NONE_BELOW))


def _with_spike(value: Floats, spike: Floats, where: Floats) -> Floats:
    """The stretch of quantiles of length ``spike`` around a random place becomes one value; its place is kept."""
    running = np.cumsum(_MASS) - _MASS / 2
    middle = spike / 2 + where * (1 - spike)
    inside = np.abs(running - middle[:, None]) < spike[:, None] / 2
    at = np.argmin(np.abs(running - middle[:, None]), axis=1)
    return np.where(inside, value[np.arange(len(value)), at][:, None], value)


def _nearest(value: Floats, sizes: Floats) -> Floats:
    """The nearest of the rising ``sizes``, by ratio."""
    return np.asarray(sizes[np.searchsorted(np.sqrt(sizes[1:] * sizes[:-1]), value)])


def _count_tables(law: Counts, mean: Floats) -> LengthTables:
    """Yes or no for a mean of at most 1, else one more than a geometric number."""
    mean = np.where(mean < NONE_BELOW, 0.0, mean)
    items = np.arange(_MOST_ITEMS + 1)
    more = np.maximum(mean - 1, 0.0)[:, None]
    ratio = more / (1 + more)
    mass = np.where(items >= 1, (1 - ratio) * ratio ** np.maximum(items - 1, 0), 0.0)
    few = (mean <= 1)[:, None]
    mass = np.where(few, np.where(items == 0, 1 - mean[:, None], np.where(items == 1, mean[:, None], 0.0)), mass)
    mass[mass < 1e-7] = 0.0
    return _tables(np.broadcast_to(items.astype(np.float64), mass.shape), mass)


def _reason_tables(law: Reasoning, client: dict[str, Floats]) -> LengthTables:
    """Two modes, each logit-normal between its ends, on a grid of 1/500."""
    z = ndtri((np.arange(40) + 0.5) / 40)
    high = client["reason_ratio.high"][:, None]
    sides, masses = [], []
    for name, spread, low, top, share in [
        ("low_mean", law.low_spread, 0.0, law.split, 1 - high),
        ("high_mean", law.high_spread, law.split, 1.0, high),
    ]:
        m = np.clip((client[f"reason_ratio.{name}"] - low) / (top - low), 0.02, 0.98)
        steep = spread / ((top - low) * m * (1 - m))
        sides.append(low + (top - low) * expit(logit(m)[:, None] + np.minimum(steep, 3.0)[:, None] * z))
        masses.append(np.broadcast_to(share / z.size, (m.size, z.size)))
    return _tables(np.round(np.concatenate(sides, axis=1) * 500) / 500, np.concatenate(masses, axis=1))


def _tables(value: Floats, mass: Floats) -> LengthTables:
    """A table for each row of rising values; equal neighbours become one atom, atoms without mass are left out."""
    running = np.cumsum(mass, axis=1)
    last = np.ones(value.shape, np.bool_)
    last[:, :-1] = value[:, 1:] != value[:, :-1]
    kept_mass = np.diff(np.where(last, running, 0.0).ravel()[last.ravel()], prepend=0.0)
    sizes = last.sum(axis=1)
    begins = np.cumsum(sizes) - sizes
    kept_mass[begins] = running.ravel()[last.ravel()][begins]
    kept = kept_mass > 0
    owner = np.repeat(np.arange(len(value)), sizes)[kept]
    first = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(value)))]).astype(np.int64)
    return LengthTables(first, value[last][kept].astype(np.float32), thresholds(first, kept_mass[kept]))


def _joined(parts: list[LengthTables]) -> LengthTables:
    """All the tables, in order, in one copy."""
    offsets = np.cumsum([0, *(part.first[-1] for part in parts)])
    firsts = [part.first[:-1] + offset for part, offset in zip(parts, offsets, strict=False)]
    return LengthTables(
        np.concatenate([*firsts, offsets[-1:]]).astype(np.int64),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.threshold for part in parts]),
    )
