"""Lengths, items and the reasoning ratio of a pool's clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from groundswell.population.law import Counts, Lengths, Reasoning
from groundswell.population.strata import NONE_BELOW, Clients, rounded
from groundswell.population.tables import SHAPE

if TYPE_CHECKING:
    from groundswell.clients.pool import ClientPool

Floats = NDArray[np.float64]

_NARROW = 0.02  # a spread of the log below which a distribution is a point and has no shape
_SIZES = 16  # standard sizes kept at most
_SIZE_SHARE = 0.004  # of all items, that a standard size must have


@dataclass(frozen=True)
class Slots:
    """One field of a pool: the clients' tables in the slots in which they send, with the rate in each as weight."""

    client: NDArray[np.int64]
    slot: NDArray[np.int64]
    table: NDArray[np.int64]
    weight: Floats
    client_count: int

    def by_client(self, value: Floats) -> Floats:
        """Weighted mean over each client's slots; nan for clients without any."""
        total = np.bincount(self.client, self.weight, self.client_count)
        summed = np.bincount(self.client, self.weight * value, self.client_count)
        return np.asarray(np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan))


def slots_of(pool: ClientPool, field: str) -> Slots:
    """Where ``field`` is known; a client that has lengths only where it sends nothing has them weighted evenly."""
    table = pool.table[:, :, pool.fields.index(field)]
    weight = np.where(table >= 0, pool.slot_rate, 0.0)
    idle = weight.sum(axis=1) == 0
    weight[idle] = np.where(table[idle] >= 0, pool.mean_rate_per_s[idle][:, None], 0.0)
    client, slot = np.nonzero(weight > 0)
    return Slots(client, slot, table[client, slot].astype(np.int64), weight[client, slot], len(pool))


def known_fields(pool: ClientPool) -> tuple[list[str], list[str]]:
    """The item counts and the token fields of requests (not of conversations) that are anywhere above 0."""
    others = ("reason_ratio", "new_tokens", "shared_tokens")
    found = [name for name in pool.fields if name not in others and _largest(pool, name) > 0]
    counts = [name for name in found if name.endswith("_count")]
    return counts, [name for name in found if name.endswith("_tokens")]


def _largest(pool: ClientPool, field: str) -> float:
    used = pool.table[:, :, pool.fields.index(field)]
    used = np.unique(used[used >= 0])
    return float(pool.lengths.largest[used].max()) if used.size else 0.0


def fit_counts(clients: Clients, field: str) -> Counts:
    """How many items the clients' requests have; a client of known lengths that has no table of items sends none."""
    slots = slots_of(clients.pool, field)
    mean = slots.by_client(clients.pool.lengths.mean[slots.table])
    mean = np.where(np.isnan(mean) & clients.pool.has_lengths, 0.0, mean)
    return Counts(field=field, mean=clients.table(f"{field}.mean", mean))


def fit_lengths(clients: Clients, field: str) -> Lengths:
    """How many tokens the clients' requests (or items) have."""
    pool = clients.pool
    slots = slots_of(pool, field)
    log_mean, log_spread, spike = _table_figures(pool, slots.table)
    mean = pool.lengths.mean[slots.table]
    mean_of = slots.by_client(mean)
    sends = mean_of > NONE_BELOW  # clients whose every value is 0 say nothing of the sizes
    drift, drift_memory = _drift(slots, np.log(np.maximum(mean, NONE_BELOW)))
    some = sends[slots.client]
    sizes, sized = _standard_sizes(pool, slots) if not field.startswith(("input", "output")) else ((), 0.0)
    return Lengths(
        field=field,
        mean=clients.table(
            f"{field}.mean", mean_of if field.startswith(("input", "output")) else _or_nan(mean_of, sends)
        ),
        spread=clients.table(f"{field}.spread", _or_nan(slots.by_client(log_spread), sends)),
        spike=clients.table(f"{field}.spike", _or_nan(slots.by_client(spike), sends)),
        drift=clients.table(f"{field}.drift", _or_nan(drift, sends)),
        drift_memory=round(drift_memory, 2),
        shape=_shape(pool, slots.table[some], slots.weight[some], log_mean[some], log_spread[some]),
        largest=_largest(pool, field),
        sizes=sizes,
        sized=sized,
    )


def _or_nan(value: Floats, keep: Any) -> Floats:
    return np.where(keep, value, np.nan) if keep.any() else value


def _table_figures(pool: ClientPool, table: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Of each table: mean and standard deviation of the log (of at least 1), and the commonest value's probability."""
    unique, place = np.unique(table, return_inverse=True)
    some = pool.lengths.take(unique)
    log_value = np.log(np.maximum(some.value.astype(np.float64), 1.0))
    first = some.first[:-1]
    mean = np.add.reduceat(log_value * some.probability, first)
    centred = log_value - np.repeat(mean, np.diff(some.first))
    spread = np.sqrt(np.add.reduceat(centred**2 * some.probability, first))
    return mean[place], spread[place], np.maximum.reduceat(some.probability, first)[place]


def _drift(slots: Slots, log_mean: Floats) -> tuple[Floats, float]:
    """Each client's spread of the log mean over its slots, and the pooled correlation from one slot to the next."""
    centred = log_mean - slots.by_client(log_mean)[slots.client]
    drift = np.sqrt(slots.by_client(centred**2))
    counted = np.bincount(slots.client, minlength=slots.client_count)
    drift = np.where(counted > 1, drift, np.nan) if (counted > 1).any() else np.nan_to_num(drift)
    size = np.where(drift[slots.client] > _NARROW, drift[slots.client], np.nan)
    score = centred / size
    near = (np.diff(slots.client) == 0) & (np.diff(slots.slot) == 1)
    product = (score[1:] * score[:-1])[near]
    product = product[np.isfinite(product)]
    return drift, float(np.clip(product.mean(), 0.0, 0.99)) if product.size >= 8 else 0.0


def _shape(pool: ClientPool, table: Any, weight: Floats, mean: Floats, spread: Floats) -> tuple[float, ...]:
    """The tables' standardised quantile functions of the log, averaged; a normal's if all are points.

    A table counts by its weight times its spread: what is near a point has a shape that nobody would notice.
    """
    wide = spread > _NARROW
    if not wide.any():
        return rounded(ndtri(np.array(SHAPE)))
    unique, place = np.unique(table[wide], return_inverse=True)
    some = pool.lengths.take(unique)
    columns = [np.log(np.maximum(some.quantile(q), 1.0))[place] for q in SHAPE]
    scores = [(column - mean[wide]) / spread[wide] for column in columns]
    shape = [np.average(score, weights=weight[wide] * spread[wide]) for score in scores]
    return rounded(np.maximum.accumulate(shape))


def _standard_sizes(pool: ClientPool, slots: Slots) -> tuple[tuple[float, ...], float]:
    """The commonest sizes of items, rising, and their share of all items."""
    unique, place = np.unique(slots.table, return_inverse=True)
    some = pool.lengths.take(unique)
    weight = np.bincount(place, slots.weight, unique.size)
    mass = np.repeat(weight, np.diff(some.first)) * some.probability
    size, where = np.unique(some.value, return_inverse=True)
    mass_at = np.where(size == 0, 0.0, np.bincount(where, mass))
    if mass_at.sum() == 0:
        return (), 0.0
    share = mass_at / mass_at.sum()
    common = np.argsort(-share, kind="stable")[:_SIZES]
    common = np.sort(common[share[common] >= _SIZE_SHARE])
    return tuple(map(float, size[common])), rounded([share[common].sum()], 2)[0]


def fit_reasoning(clients: Clients) -> Reasoning | None:
    """The reasoning ratio's two modes; nothing if no client reasons."""
    pool = clients.pool
    slots = slots_of(pool, "reason_ratio")
    if slots.table.size == 0 or _largest(pool, "reason_ratio") == 0:
        return None
    unique, place = np.unique(slots.table, return_inverse=True)
    some = pool.lengths.take(unique)
    value = np.clip(some.value.astype(np.float64), 0.0, 1.0)
    p, first, sizes = some.probability, some.first[:-1], np.diff(some.first)
    split = _valley(value, p * np.repeat(np.bincount(place, slots.weight, unique.size), sizes))
    figures = []
    for side in (value < split, value >= split):
        mass = np.add.reduceat(p * side, first)
        safe = np.where(mass > 0, mass, 1.0)
        mean = np.add.reduceat(p * side * value, first) / safe
        square = np.add.reduceat(p * side * value**2, first) / safe
        figures.append((mass[place], mean[place], np.sqrt(np.maximum(square - mean**2, 0.0))[place]))
    (low, low_mean, low_sd), (high, high_mean, high_sd) = figures
    low_share, high_share = slots.by_client(low), slots.by_client(high)

    def within(mean: Floats, mass: Floats, share: Floats) -> Floats:
        there = slots.by_client(mean * mass) / np.where(share > 1e-3, share, np.nan)
        return there if np.isfinite(there).any() else np.full(share.size, float(split))

    return Reasoning(
        split=round(split, 2),
        high=clients.table("reason_ratio.high", high_share),
        low_mean=clients.table("reason_ratio.low_mean", within(low_mean, low, low_share)),
        high_mean=clients.table("reason_ratio.high_mean", within(high_mean, high, high_share)),
        low_spread=rounded([np.average(low_sd, weights=slots.weight * low + 1e-12)])[0],
        high_spread=rounded([np.average(high_sd, weights=slots.weight * high + 1e-12)])[0],
    )


def _valley(value: Floats, mass: Floats) -> float:
    """The lowest place between the two highest hills of the ratio's distribution; its median if there is one hill."""
    height, edge = np.histogram(value, 25, (0.0, 1.0), weights=mass)
    smooth = np.convolve(np.pad(height, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    hills = [k for k in range(25) if smooth[k] == smooth[max(k - 3, 0) : k + 4].max() and smooth[k] > 0]
    if len(hills) >= 2:
        low, high = sorted(sorted(hills, key=lambda k: smooth[k])[-2:])
        k = low + int(np.argmin(smooth[low : high + 1]))
        return float((edge[k] + edge[k + 1]) / 2)
    order = np.argsort(value)
    running = np.cumsum(mass[order])
    return float(np.clip(value[order][np.searchsorted(running, running[-1] / 2)], 0.05, 0.95))
