"""Random numbers for whole arrays of clients: :func:`groundswell.chance.word_at` in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from groundswell.chance import stream_key

Words = NDArray[np.uint64]
Floats = NDArray[np.float64]

_GOLDEN = 0x9E3779B97F4A7C15


def keys(seed: int, n: int, purpose: str, first: int = 0) -> Words:
    """The keys of the streams of things number ``first`` … ``first + n - 1``; none depends on how many there are."""
    numbers = np.arange(first, first + n, dtype=np.uint64)
    return _mix(np.uint64(stream_key(seed, "population", purpose)) + (numbers + np.uint64(1)) * np.uint64(_GOLDEN))


def uniforms(key: Words, index: Any) -> Floats:
    """Word ``index`` of each stream as a float in (0, 1); the arrays are broadcast.

    >>> from groundswell.chance import uniform_of, word_at
    >>> bool(uniforms(np.array([7], np.uint64), 3)[0] == uniform_of(np.uint64(word_at(np.uint64(7), np.int64(3)))))
    True
    """
    number = np.atleast_1d(np.asarray(index)).astype(np.uint64) + np.uint64(1)
    word = _mix(key + number * np.uint64(_GOLDEN))
    return ((word >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


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


def _mix(word: Words) -> Words:
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))
