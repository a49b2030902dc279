"""Arrivals whose statistics are known, as workloads and as figures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.characterize.arrivals import Fold
from groundswell.characterize.figures import ArrivalFigures
from groundswell.characterize.setting import Setting
from groundswell.table import Workload

Floats = NDArray[np.float64]


def workload(arrival_s: Floats) -> Workload:
    """Requests of one client at these times."""
    n = arrival_s.size
    ones = np.ones(n, np.int32)
    return Workload.from_columns(np.ascontiguousarray(arrival_s), np.zeros(n, np.uint32), ("a",), ones, ones)


def figures(arrival_s: Floats, setting: Setting | None = None, cuts: tuple[int, ...] = ()) -> ArrivalFigures:
    """The figures of arrivals that are folded in parts, cut at these places."""
    setting = setting or Setting()
    edges = [0, *sorted(min(cut, arrival_s.size) for cut in cuts), arrival_s.size]
    total = Fold()
    for low, high in pairwise(edges):
        total = total + Fold.of(workload(arrival_s[low:high]), setting)
    found = total.finish(setting, pl.DataFrame({"arrival_s": arrival_s}))
    assert found is not None
    return found


def poisson(span_s: float, rate_per_s: float, seed: int) -> Floats:
    """A Poisson process of constant rate."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.uniform(0, span_s, rng.poisson(span_s * rate_per_s)))


def rising(requests: int, span_s: float, seed: int) -> Floats:
    """A Poisson process whose rate doubles linearly over the span."""
    rng = np.random.default_rng(seed)
    share = np.sort(rng.uniform(size=rng.poisson(requests)))
    return np.asarray(span_s * (np.sqrt(1 + 3 * share) - 1))


def gamma(requests: int, rate_per_s: float, cv: float, seed: int) -> Floats:
    """A renewal process with gaps from the Gamma distribution."""
    shape = cv**-2
    return np.cumsum(np.random.default_rng(seed).gamma(shape, 1 / (shape * rate_per_s), requests))


def daily(days: float, rate_per_s: float, amplitude: float, seed: int) -> Floats:
    """A Poisson process whose rate is a sine of the day around the mean rate, least at midnight."""
    rng = np.random.default_rng(seed)
    minute = np.arange(int(days * 1440))
    level = 1 - amplitude * np.cos(2 * np.pi * (minute + 0.5) / 1440)
    count = rng.poisson(60 * rate_per_s * level)
    return np.sort(60 * (np.repeat(minute, count) + rng.uniform(size=count.sum())))
