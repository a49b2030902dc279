"""A client's windows: when it is on, how fast, how bursty, and in which family its arrivals are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from groundswell.chance import uniforms
from groundswell.population.fit_rhythm import family_terms
from groundswell.population.law import Population
from groundswell.population.tables import read_shape
from groundswell.population.words import keys, normals, walks

Floats = NDArray[np.float64]

_CHUNK = (
    1024  # clients at a time: two arrays of a period's windows for each must fit in the cache of memory, not of the CPU
)
_LEAST_CV, _MOST_CV = 0.05, 200.0
_PERIOD_APART = 1 << 24  # words between a stream's periods


def rates(population: Population, client: dict[str, Floats], mean: Floats, seed: int, first: int, count: int) -> Floats:
    """Rates of windows ``first`` … ``first + count - 1`` counted from time 0, requests/s, shape [clients, count].

    In each period of the law every client has its mean rate; it is on in the windows in which its walk is highest.
    """
    per_period = period_windows(population)
    out = np.empty((mean.size, count))
    for start in range(0, mean.size, _CHUNK):
        some = slice(start, min(start + _CHUNK, mean.size))
        mine = {name: value[some] for name, value in client.items()}
        for period in range(first // per_period, (first + count - 1) // per_period + 1):
            whole = _period(population, mine, mean[some], seed, start, period)
            low, high = max(first, period * per_period), min(first + count, (period + 1) * per_period)
            out[some, low - first : high - first] = whole[:, low - period * per_period : high - period * per_period]
    return out


def period_windows(population: Population) -> int:
    """Windows in a period of the law."""
    return max(round(population.fitted.period_s / population.fitted.window_s), 1)


def _period(
    population: Population, client: dict[str, Floats], mean: Floats, seed: int, first: int, period: int
) -> Floats:
    windows = period_windows(population)
    begin = period * _PERIOD_APART
    log_level = np.log(_cycle(population, period * windows, windows))
    walk = walks(keys(seed, mean.size, "on", first), client["activity_memory"], windows, begin)
    drawn_to = client["activity_follows"][:, None]
    walk = np.sqrt(1 - drawn_to**2) * walk + drawn_to * (log_level - log_level.mean()) / max(log_level.std(), 1e-9)
    on_count = np.maximum(np.round(client["activity"] * windows), 1).astype(np.int64)
    bar = np.take_along_axis(np.sort(walk, axis=1), (windows - on_count)[:, None], axis=1)
    noise = walks(keys(seed, mean.size, "noise", first), client["noise_memory"], windows, begin)
    log_rate = (
        client["noise"][:, None] * read_shape(population.noise.shape, noise) + client["follows"][:, None] * log_level
    )
    rate = np.where(walk >= bar, np.exp(log_rate - log_rate.max(axis=1, keepdims=True)), 0.0)
    average = rate.mean(axis=1)
    return np.asarray(rate * (mean / np.where(average > 0, average, 1.0))[:, None])


def _cycle(population: Population, first: int, count: int) -> Floats:
    """The level of the day and the week in each window."""
    middle = (np.arange(first, first + count) + 0.5) * population.fitted.window_s
    level = np.array(population.rhythm.hour)[(middle // 3600 % 24).astype(np.int64)]
    if population.rhythm.day:
        level = level * np.array(population.rhythm.day)[(middle // 86_400 % 7).astype(np.int64)]
    return level


def bursts(
    population: Population, client: dict[str, Floats], rate: Floats, seed: int, first: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """CV of each window (nan where nothing is sent), and whether its arrivals are Weibull."""
    law, window_s = population.burstiness, population.fitted.window_s
    cv = np.full(rate.shape, np.nan, np.float32)
    weibull = np.zeros(rate.shape, np.bool_)
    index = np.arange(first, first + rate.shape[1])
    for start in range(0, len(rate), _CHUNK):
        some = slice(start, min(start + _CHUNK, len(rate)))
        mine = rate[some]
        on = mine > 0
        key = keys(seed, len(mine), "cv", start)[:, None]
        shape = read_shape(law.shape, normals(key, index))
        side = np.where(shape < 0, client["cv_below"][some][:, None], client["cv_above"][some][:, None])
        log_cv = np.log(np.maximum(client["cv"][some], _LEAST_CV))[:, None] + side * shape
        requests = np.maximum(mine * window_s, 1.0)
        # The CV of a window's gaps is at most the root of their number: everything in one burst.
        log_cv = np.clip(log_cv, np.log(_LEAST_CV), np.minimum(np.log(_MOST_CV), 0.5 * np.log(requests + 1.0)))
        cv[some][on] = np.exp(log_cv[on])
        if law.weibull:
            odds = family_terms(log_cv[on], requests[on]) @ np.array(law.weibull)
            drawn = uniforms(keys(seed, len(mine), "family", start)[:, None], index)[on]
            weibull[some][on] = drawn < expit(odds)
    return cv, weibull
