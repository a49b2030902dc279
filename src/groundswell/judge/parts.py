"""The requests of the window in parts: by client, and by the length of their prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.judge.figures import Part
from groundswell.judge.latencies import reply_tokens
from groundswell.judge.quantiles import quantiles_by_group
from groundswell.results import Results

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]

MOST_CLIENTS = 20
MOST_LENGTHS = 12
_SHOWN = ("ttft", "tpot", "e2e")
_OUTSIDE = -1
"""The group of requests that are not in the window."""


def by_client(results: Results, latencies: Mapping[str, Floats], inside: Bools, kept: Bools | None) -> tuple[Part, ...]:
    """The clients that sent most ``inside`` the window, and all others as one."""
    code = results.frame["client"].to_physical().to_numpy()
    count = np.bincount(code[inside], minlength=len(results.clients))
    order = np.argsort(-count, kind="stable")
    order = order[count[order] > 0]
    most = order if order.size <= MOST_CLIENTS + 1 else order[:MOST_CLIENTS]
    place = np.full(count.size, most.size, np.int16)
    place[most] = np.arange(most.size)
    names = [results.clients[i] for i in most]
    if most.size < order.size:
        names.append(f"{order.size - most.size:,} others")
    return _parts(results, latencies, kept, np.where(inside, place[code], _OUTSIDE), names)


def by_input(results: Results, latencies: Mapping[str, Floats], inside: Bools, kept: Bools | None) -> tuple[Part, ...]:
    """Prompts of up to 1, 2, 4, … tokens; of up to 4, 16, … or fewer bins where there would be many."""
    step = 1
    power = np.ceil(np.log2(np.maximum(results.floats("input_tokens"), 1.0))).astype(np.int16)
    powers = np.flatnonzero(np.bincount(power[inside]))
    while np.unique(-(-powers // step)).size > MOST_LENGTHS:
        step *= 2
    bins = np.unique(-(-powers // step))
    group = np.where(inside, np.searchsorted(bins, -(-power // step)), _OUTSIDE).astype(np.int16)
    low = [2 ** (int(b - 1) * step) + 1 if b else 0 for b in bins]
    high = [2 ** (int(b) * step) for b in bins]
    names = [f"≤ {most:,}" for most in high]
    return _parts(results, latencies, kept, group, names, (low, high))


def _parts(
    results: Results,
    latencies: Mapping[str, Floats],
    kept: Bools | None,
    group: Ints,
    names: Sequence[str],
    bounds: tuple[Sequence[float], Sequence[float]] | None = None,
) -> tuple[Part, ...]:
    size = len(names)
    requests = np.bincount(group[group != _OUTSIDE], minlength=size)
    failed = np.bincount(group[results.failed & (group != _OUTSIDE)], minlength=size)
    late = {name: quantiles_by_group(latencies[name], group, size, (0.5, 0.99)) for name in _SHOWN}
    replies = np.where(results.failed, np.nan, reply_tokens(results))
    inputs, outputs = means(results.floats("input_tokens"), group, size), means(replies, group, size)
    attainment = np.full(size, np.nan) if kept is None else means(kept.astype(np.float64), group, size)
    return tuple(
        Part(
            name=names[i],
            requests=int(requests[i]),
            failed=int(failed[i]),
            input_tokens=float(inputs[i]),
            output_tokens=float(outputs[i]),
            **{f"{name}_{p}": float(late[name][j][i]) for name in _SHOWN for j, p in enumerate(("p50", "p99"))},
            attainment=float(attainment[i]),
            low=float(bounds[0][i]) if bounds else np.nan,
            high=float(bounds[1][i]) if bounds else np.nan,
        )
        for i in range(size)
    )


def means(values: Floats, group: Ints, groups: int) -> Floats:
    """The mean of the values of each group, without those that are nan; nan for none. Groups below 0 are left out."""
    there = ~np.isnan(values) & (group >= 0)
    count = np.bincount(group[there], minlength=groups)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(group[there], values[there], groups) / count)
