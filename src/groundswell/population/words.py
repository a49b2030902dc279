"""Random numbers for whole arrays of clients, from the streams of :mod:`groundswell.chance`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from groundswell.chance import stream_key, uniforms, words

Words = NDArray[np.uint64]
Floats = NDArray[np.float64]


def keys(seed: int, n: int, purpose: str, first: int = 0) -> Words:
    """The keys of the streams of things number ``first`` … ``first + n - 1``; none depends on how many there are."""
    return words(stream_key(seed, "population", purpose), np.arange(first, first + n))


def normals(key: Words, index: Any) -> Floats:
    """Word ``index`` of each stream as a standard normal score."""
    return np.asarray(ndtri(uniforms(key, index)))


def walks(key: Words, memory: Floats, steps: int, first: int = 0) -> Floats:
    """A stationary Gaussian walk for each stream, shape [streams, steps], from words ``first`` onward.

    Standard normal at every step; ``memory`` is each walk's correlation from one step to the next.
    """
    out = normals(key[:, None], np.arange(first, first + steps))
    fresh = np.sqrt(1.0 - memory**2)
    for step in range(1, steps):
        out[:, step] = memory * out[:, step - 1] + fresh * out[:, step]
    return out
