"""Quantile tables: made from weighted figures, and read at a quantile."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]

EDGES = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.97, 1.0)
"""Columns of the property tables: each is the mean over this part of the stratum's requests, from least to most.

The last part is small because the tail of all lengths is made in it.
"""

_PLATEAU = 0.5
"""The middle part of a column's range in which its mean stands; between plateaus there is a straight line."""

SHAPE = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
"""Where the standardised shapes are kept."""


def cell_means(value: Any, weight: Any) -> Floats:
    """The means of ``value`` over the parts of its distribution between EDGES, so that they keep the weighted mean.

    >>> cell_means([3.0, 1.0], [1.0, 1.0]).tolist()
    [1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    """
    value, weight = np.asarray(value, np.float64), np.asarray(weight, np.float64)
    order = np.argsort(value, kind="stable")
    running = np.concatenate([[0.0], np.cumsum(weight[order])]) / weight.sum()
    integral = np.concatenate([[0.0], np.cumsum(value[order] * np.diff(running))])
    means = np.diff(np.interp(EDGES, running, integral)) / np.diff(EDGES)
    # A mean of values lies among them; rounding may put it a hair outside, or below its neighbour.
    return np.asarray(np.maximum.accumulate(np.clip(means, value.min(), value.max())))


def weighted_quantiles(value: Floats, weight: Floats, q: Any) -> Floats:
    """Quantiles ``q`` of ``value``: straight lines between the middles of the weights, level beyond the outermost.

    >>> weighted_quantiles(np.array([3.0, 1.0]), np.array([1.0, 1.0]), [0.0, 0.5, 1.0]).tolist()
    [1.0, 2.0, 3.0]
    """
    order = np.argsort(value, kind="stable")
    share = weight[order] / weight.sum()
    return np.asarray(np.interp(q, np.cumsum(share) - share / 2, value[order]))


def read_rows(rows: Any, stratum: NDArray[np.int64], u: Floats) -> Floats:
    """Each client's value: row ``stratum`` of the table at the place ``u`` in (0, 1).

    >>> read_rows([range(9)], np.zeros(3, int), np.array([0.01, 0.125, 0.99])).tolist()
    [0.0, 0.5, 8.0]
    """
    low, width = np.array(EDGES[:-1]), np.diff(EDGES)
    margin = width * (1 - _PLATEAU) / 2
    place = np.column_stack([low + margin, low + width - margin]).ravel()
    out = np.empty(u.size)
    for k, row in enumerate(rows):
        here = stratum == k
        out[here] = np.interp(u[here], place, np.repeat(np.asarray(list(row), np.float64), 2))
    return out


def read_shape(shape: Any, z: Floats) -> Floats:
    """The standardised value at the normal score ``z``; beyond the outermost quantiles the last slope goes on."""
    at = ndtri(np.array(SHAPE))
    shape = np.asarray(shape, np.float64)
    low, high = (shape[1] - shape[0]) / (at[1] - at[0]), (shape[-1] - shape[-2]) / (at[-1] - at[-2])
    inside = np.interp(z, at, shape)
    return np.asarray(inside + low * np.minimum(z - at[0], 0) + high * np.maximum(z - at[-1], 0))
