"""How a pool's rates, CVs and lengths are distributed over clients and time, weighted by rate as in ServeGen's figures.

A cell is one client in one window. It counts by the requests it stands for, so a curve says what share of the requests
comes from cells with at most the value; counted evenly, the many quiet clients would hide the few that matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.clients.pool import ClientPool

Floats = NDArray[np.float64]

POINTS = 200
"""The most points a curve has: one for each half per cent of the requests."""

_SCHEMA = {"quantity": pl.String, "value": pl.Float64, "cdf": pl.Float64}


def rate_weighted_cdfs(pool: ClientPool) -> pl.DataFrame:
    """The curves as a long table: ``quantity``, ``value``, and ``cdf``, the share of requests at or below ``value``.

    Quantities are ``rate_per_s``, ``cv``, and for each field ``mean``, ``p50``, ``p95``, ``p99`` of a cell's lengths:
    ``input_tokens.p95``. Cells without a CV, or without lengths of a field, are left out of that curve. A curve
    is exact at its points, which are its quantiles at 0.5 %, 1 %, … 100 %.
    """
    curves = [
        _curve("rate_per_s", pool.rate_per_s, pool.sent_per_s),
        _curve("cv", pool.cv.astype(np.float64), pool.sent_per_s),
    ]
    lengths = pool.lengths
    statistics = {
        "mean": lengths.mean,
        **{f"p{q}": lengths.quantile(q / 100) if lengths.size else np.empty(0) for q in (50, 95, 99)},
    }
    for f, field in enumerate(pool.fields):
        which = pool.table[:, :, f]
        weight = pool.slot_rate[which >= 0]  # the windows of a slot share their lengths, so a slot stands for them all
        for name, values in statistics.items():
            curves.append(_curve(f"{field}.{name}", values[which[which >= 0]], weight))
    return pl.concat(curves)


def curve_quantiles(curves: pl.DataFrame, levels: Sequence[float] = (0.1, 0.5, 0.9, 0.95, 0.99)) -> pl.DataFrame:
    """One row a quantity of :func:`rate_weighted_cdfs`: the least value that so many of the requests keep to.

    Exact for levels that are multiples of 0.5 %. The columns are ``quantity`` and the levels as ``p10``, ``p99.5``.
    """
    return curves.group_by("quantity", maintain_order=True).agg(
        pl.col("value").filter(pl.col("cdf") >= level - 1e-9).min().alias(f"p{100 * level:.6g}") for level in levels
    )


def _curve(quantity: str, value: Floats, weight: Floats) -> pl.DataFrame:
    """One quantity's points; none if no cell has both a value and requests."""
    counts = (weight > 0) & np.isfinite(value)
    value, weight = value[counts], weight[counts]
    if not value.size:
        return pl.DataFrame(schema=_SCHEMA)
    order = np.argsort(value, kind="stable")
    value, share = value[order], np.cumsum(weight[order])
    share /= share[-1]
    at_level = np.searchsorted(share, np.arange(1, POINTS + 1) / POINTS - 1e-9)
    last_of_equals = np.unique(np.searchsorted(value, value[at_level], side="right") - 1)
    return pl.DataFrame(
        {"quantity": quantity, "value": value[last_of_equals], "cdf": share[last_of_equals]}, schema=_SCHEMA
    )
