"""Activity, rhythm, noise and burstiness of a pool's clients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from groundswell.population.law import Activity, Burstiness, Noise, Rhythm
from groundswell.population.strata import Clients, rounded
from groundswell.population.tables import SHAPE, read_shape, weighted_quantiles

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_LONGEST_MEMORY = 0.999
_FEWEST_WINDOWS = 6  # that a client must have been on to speak for the noise
_LARGELY = 0.5
_FAMILY_WINDOWS = 200_000  # more say no more about which family a window has


def fit_rhythm(clients: Clients) -> tuple[Activity, Rhythm, Noise, Burstiness]:
    """All that concerns the windows of rate and CV."""
    # A window in which nobody at all sends is a hole in the recording, and says nothing of any client.
    # One that is hardly covered says little.
    seen = clients.pool.total_rate_per_s > 0
    largely = seen & (clients.pool.covered_part >= _LARGELY)
    seen = largely if largely.any() else seen
    rate = clients.pool.rate_per_s[:, seen]
    on = rate > 0
    hour, day, level = _cycle(clients, seen)
    activity = Activity(
        share=clients.table("activity", on.mean(axis=1), evenly=True),
        busiest=clients.largest(rate.sum(axis=1) / on.sum(axis=1)),
        memory=clients.table("activity_memory", _walk_memory(on), evenly=True),
        follows=clients.table("activity_follows", _walk_follows(on, level)),
    )
    follows = _follows(rate, on, level)
    rhythm = Rhythm(hour=rounded(hour), day=rounded(day), follows=clients.table("follows", follows))
    residual = np.where(on, np.log(np.where(on, rate, 1.0)) - follows[:, None] * np.log(level), np.nan)
    mean, spread = _moments(residual, on)
    score = (residual - mean[:, None]) / np.where(spread > 0, spread, np.nan)[:, None]
    shape = _shape(score, clients.pool.mean_rate_per_s)
    noise = Noise(
        spread=clients.table("noise", _scale(residual, on, shape)),
        memory=clients.table("noise_memory", _memory(score), evenly=True),
        shape=shape,
    )
    return activity, rhythm, noise, _fit_burstiness(clients)


def _cycle(clients: Clients, seen: Bools) -> tuple[Floats, Floats, Floats]:
    """The total's hours (24) and days (7, or none), each about 1, and their product in each window ``seen``."""
    pool = clients.pool
    total = pool.total_rate_per_s[seen]
    middle = pool.window_start_s[seen] + pool.window_s / 2
    hour_of = (middle // 3600 % 24).astype(np.int64)
    hour = _fold(total, hour_of, 24)
    day_of = (middle // 86_400 % 7).astype(np.int64)
    day = _fold(total, day_of, 7) if pool.span_s >= 7 * 86_400 else np.empty(0)
    level = hour[hour_of] * (day[day_of] if day.size else 1.0)
    return hour, day, level


def _fold(value: Floats, place: NDArray[np.int64], size: int) -> Floats:
    """The mean of ``value`` at each place relative to their mean; 1 at places that are never seen, at least 0.02."""
    count = np.bincount(place, minlength=size)
    mean = np.bincount(place, value, minlength=size) / np.maximum(count, 1)
    mean = np.where(count > 0, mean / mean[count > 0].mean(), 1.0)
    return np.asarray(np.maximum(mean, 0.02))


def _follows(rate: Floats, on: Bools, level: Floats) -> Floats:
    """The slope of each client's rate on the cycle over the windows in which it is on, both relative to their means."""
    count = on.sum(axis=1, keepdims=True)
    x = np.where(on, level / ((on * level).sum(axis=1, keepdims=True) / count) - 1.0, 0.0)
    y = np.where(on, rate / (rate.sum(axis=1, keepdims=True) / count) - 1.0, 0.0)
    square = (x**2).sum(axis=1)
    return np.asarray(np.clip((x * y).sum(axis=1) / np.where(square > 1e-9, square, np.inf), -1.5, 2.5))


def _walk_follows(on: Bools, level: Floats) -> Floats:
    """The correlation of the hidden walk with the log of the cycle (the biserial correlation)."""
    x = np.log(level) - np.log(level).mean()
    share = on.mean(axis=1)
    density = np.exp(-(ndtri(np.clip(share, 1e-6, 1 - 1e-6)) ** 2) / 2) / np.sqrt(2 * np.pi)
    covariance = ((on - share[:, None]) * x).mean(axis=1)
    always = (share == 1) | (x.std() < 1e-9)
    return np.clip(np.where(always, 0.0, covariance / np.where(always, 1.0, density * max(x.std(), 1e-9))), -0.9, 0.9)


def _walk_memory(on: Bools) -> Floats:
    """The memory a Gaussian walk needs to be above a level for this share of time in runs of this length.

    A stationary walk with correlation ρ from one window to the next rises through the level u with probability close to
    arccos(ρ) / 2π · exp(-u²/2) (Rice's formula on a grid).
    """
    share = on.mean(axis=1)
    risen = (on[:, 1:] & ~on[:, :-1]).sum(axis=1) / max(on.shape[1] - 1, 1)
    level = ndtri(np.clip(1 - share, 1e-6, 1 - 1e-6))
    angle = np.clip(2 * np.pi * risen * np.exp(level**2 / 2), 0.0, np.pi / 2)
    memory = np.minimum(np.cos(angle), _LONGEST_MEMORY)
    return np.asarray(np.where(share < 1, memory, _LONGEST_MEMORY))


def _moments(value: Floats, on: Bools) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each client's windows; nan where there are too few."""
    count = on.sum(axis=1)
    few = count < min(_FEWEST_WINDOWS, on.shape[1])
    mean = np.where(on, value, 0).sum(axis=1) / np.maximum(count, 1)
    square = np.where(on, (value - mean[:, None]) ** 2, 0).sum(axis=1) / np.maximum(count, 1)
    spread = np.where(few, np.nan, np.sqrt(square))
    return mean, (spread if np.isfinite(spread).any() else np.sqrt(square))


def _scale(residual: Floats, on: Bools, shape: tuple[float, ...]) -> Floats:
    """The factor of the pooled shape that gives each client's rate, freed of the cycle, its CV over its windows.

    The spread of the log itself would not do: in most clients it is made by a few almost idle windows.
    """
    scales = np.linspace(0.0, 4.0, 201)
    curve = np.exp(scales[:, None] * read_shape(shape, ndtri((np.arange(1000) + 0.5) / 1000)))
    possible = np.maximum.accumulate(curve.std(axis=1) / curve.mean(axis=1))
    rate = np.where(on, np.exp(np.where(on, residual, 0.0)), 0.0)
    count = np.maximum(on.sum(axis=1), 1)
    mean = rate.sum(axis=1) / count
    cv = np.sqrt(np.where(on, (rate - mean[:, None]) ** 2, 0.0).sum(axis=1) / count) / mean
    few = count < min(_FEWEST_WINDOWS, on.shape[1])
    scale = np.where(few, np.nan, np.interp(cv, possible, scales))
    return scale if np.isfinite(scale).any() else np.interp(cv, possible, scales)


def _memory(score: Floats) -> Floats:
    """The correlation of standardised values from one window to the next; nan where too few have a neighbour."""
    product = score[:, 1:] * score[:, :-1]
    known = np.isfinite(product)
    count = known.sum(axis=1)
    mean = np.where(known, product, 0).sum(axis=1) / np.maximum(count, 1)
    memory = np.where(count >= _FEWEST_WINDOWS, np.clip(mean, 0.0, _LONGEST_MEMORY), np.nan)
    return memory if np.isfinite(memory).any() else np.zeros(count.size)


def _shape(score: Floats, weight: Floats) -> tuple[float, ...]:
    """The clients' standardised quantile functions, averaged by rate."""
    rows, weights = [], []
    for one, w in zip(score, weight, strict=True):
        known = one[np.isfinite(one)]
        if known.size >= _FEWEST_WINDOWS:
            rows.append(np.quantile(known, SHAPE))
            weights.append(w)
    shape = np.average(rows, axis=0, weights=weights) if rows else ndtri(np.array(SHAPE))
    return rounded(np.maximum.accumulate(shape))


def _fit_burstiness(clients: Clients) -> Burstiness:
    """A client's log CV by three quantiles over its windows, and the shape that all share beyond these."""
    pool = clients.pool
    known = (pool.rate_per_s > 0) & (pool.cv > 0)
    log_cv = np.log(np.where(known, pool.cv, 1.0).astype(np.float64))
    quantile = np.full((len(pool), 3), np.nan)
    shapes = np.full((len(pool), len(SHAPE)), np.nan)
    for i in np.flatnonzero(known.any(axis=1)):
        own, weight = log_cv[i, known[i]], pool.rate_per_s[i, known[i]]
        low, middle, high = quantile[i] = weighted_quantiles(own, weight, (0.1, 0.5, 0.9))
        if own.size >= _FEWEST_WINDOWS and low < middle < high:
            shape = weighted_quantiles(own, weight, SHAPE) - middle
            shapes[i] = np.where(shape < 0, shape / (middle - low), shape / (high - middle))
    if not known.any():
        quantile[:] = 0.0  # nothing is known of the bursts: gaps of CV 1
    shaped = np.isfinite(shapes[:, 0])
    shape = (
        np.average(shapes[shaped], axis=0, weights=pool.mean_rate_per_s[shaped])
        if shaped.any()
        else ndtri(np.array(SHAPE))
    )
    return Burstiness(
        cv=clients.table("cv", np.exp(quantile[:, 1])),
        below=clients.table("cv_below", quantile[:, 1] - quantile[:, 0]),
        above=clients.table("cv_above", quantile[:, 2] - quantile[:, 1]),
        shape=rounded(np.maximum.accumulate(shape)),
        weibull=_fit_family(clients, known, log_cv),
    )


def family_terms(log_cv: Floats, requests: Floats) -> Floats:
    """The terms of the log odds of a window being Weibull, last axis 4."""
    return np.stack([np.ones_like(log_cv), log_cv, log_cv**2, np.log(np.maximum(requests, 1.0))], axis=-1)


def _fit_family(clients: Clients, known: Bools, log_cv: Floats) -> tuple[float, ...]:
    """Logistic regression weighted by rate (Newton's method, a slight pull to 0); none if no window is Weibull."""
    pool = clients.pool
    if "weibull" not in pool.families:
        return ()
    every = max(int(known.sum()) // _FAMILY_WINDOWS, 1)
    is_weibull = (pool.family[known] == pool.families.index("weibull"))[::every].astype(np.float64)
    if is_weibull.sum() == 0:
        return ()
    rate = pool.rate_per_s[known][::every]
    x, weight = family_terms(log_cv[known][::every], rate * pool.window_s), rate / rate.mean()
    beta, pull = np.zeros(4), np.eye(4)
    for _ in range(30):
        p = expit(x @ beta)
        slope = x.T @ (weight * (is_weibull - p)) - pull @ beta
        step = np.linalg.solve((x * (weight * p * (1 - p))[:, None]).T @ x + pull, slope)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return rounded(beta)
