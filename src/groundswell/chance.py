"""Randomness as a function: the same key and index give the same number, whoever asks and in whatever order.

A stream is a 64-bit key. Word ``i`` of a stream is SplitMix64's output function at ``key + i·γ`` (Steele, Lea and
Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, with Stafford's 13th mixer). A word can itself be
the key of a stream, which is how one request, or one gap that needs an unknown number of words, gets numbers of its
own.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_TO_UNIT = 2.0**-53


def compiled(function: Any) -> Any:
    """``function`` as machine code: cached on disk, run without the interpreter's lock."""
    return njit(function, cache=True, nogil=True, error_model="numpy")


def kernel(function: Any) -> Any:
    """As :func:`compiled`, for functions that make no arrays: nobody counts who refers to those that they are given."""
    options: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
    return njit(function, **options)


def stream_key(seed: int, *names: object) -> int:
    """The key of the stream that belongs to ``seed`` and ``names``; different names give unrelated streams.

    >>> stream_key(1, "client-a", "gaps") == stream_key(1, "client-a", "gaps")
    True
    """
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def stream_keys(seed: int, names: tuple[str, ...], *purpose: object) -> NDArray[np.uint64]:
    """:func:`stream_key` for each of ``names``, in order."""
    return np.array([stream_key(seed, name, *purpose) for name in names], dtype=np.uint64)


@compiled
def mix(word: Any) -> Any:
    """A bijection of 64-bit words that leaves no trace of their order."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@compiled
def word_at(key: Any, index: Any) -> Any:
    """Word ``index`` of the stream ``key``."""
    return mix(key + (np.uint64(index) + np.uint64(1)) * GOLDEN)


@compiled
def uniform_of(word: Any) -> Any:
    """A float in the open interval (0, 1) from the upper 53 bits of ``word``."""
    return (np.float64(word >> np.uint64(11)) + 0.5) * _TO_UNIT


@compiled
def _words(key: Any, index: Any) -> Any:
    out = np.empty(key.size, np.uint64)
    for i in range(key.size):
        out[i] = word_at(key[i], index[i])
    return out


def words(key: Any, index: Any) -> NDArray[np.uint64]:
    """Word ``index`` of each stream ``key``; the two are broadcast."""
    shape = np.broadcast_shapes(np.shape(key), np.shape(index))
    keys, indices = (np.array(np.broadcast_to(np.asarray(x, np.uint64), shape)).ravel() for x in (key, index))
    return np.asarray(_words(keys, indices)).reshape(shape)


def uniforms(key: Any, index: Any) -> NDArray[np.float64]:
    """Word ``index`` of each stream ``key`` as a float in (0, 1); the two are broadcast.

    >>> bool(uniforms(7, 3) == uniform_of(np.uint64(word_at(np.uint64(7), np.int64(3)))))
    True
    """
    return np.asarray(((words(key, index) >> np.uint64(11)).astype(np.float64) + 0.5) * _TO_UNIT)


def _ziggurat(right: float, area: float, density: Any, inverse: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges and heights of the 256 layers of equal ``area`` under ``density`` (Marsaglia and Tsang 2000, Doornik
    2005).
    """
    edge = np.zeros(257)
    edge[0], edge[1] = area / density(right), right
    for layer in range(2, 256):
        edge[layer] = inverse(area / edge[layer - 1] + density(edge[layer - 1]))
    return edge, density(edge)


_NORMAL_RIGHT, _NORMAL_AREA = 3.6541528853610088, 0.00492867323399
_EXP_RIGHT, _EXP_AREA = 7.69711747013104972, 0.0039496598225815571993
_NORMAL_EDGE, _NORMAL_HEIGHT = _ziggurat(
    _NORMAL_RIGHT, _NORMAL_AREA, lambda x: np.exp(-0.5 * x * x), lambda y: np.sqrt(-2.0 * np.log(y))
)
_EXP_EDGE, _EXP_HEIGHT = _ziggurat(_EXP_RIGHT, _EXP_AREA, lambda x: np.exp(-x), lambda y: -np.log(y))


@compiled
def exponential(state: Any) -> Any:
    """(next state, a draw from the exponential distribution with mean 1)."""
    shift = 0.0
    while True:
        state += GOLDEN
        word = mix(state)
        layer = np.int64(word & np.uint64(255))
        x = uniform_of(word) * _EXP_EDGE[layer]
        if x < _EXP_EDGE[layer + 1]:
            return state, shift + x
        if layer == 0:
            shift += _EXP_RIGHT  # beyond the last edge the exponential begins anew
            continue
        state += GOLDEN
        y = uniform_of(mix(state))
        if _EXP_HEIGHT[layer] + y * (_EXP_HEIGHT[layer + 1] - _EXP_HEIGHT[layer]) < np.exp(-x):
            return state, shift + x


@compiled
def normal(state: Any) -> Any:
    """(next state, a draw from the standard normal distribution)."""
    while True:
        state += GOLDEN
        word = mix(state)
        layer = np.int64(word & np.uint64(255))
        sign = 1.0 if word & np.uint64(256) else -1.0
        x = uniform_of(word) * _NORMAL_EDGE[layer]
        if x < _NORMAL_EDGE[layer + 1]:
            return state, sign * x
        if layer == 0:
            while True:  # Marsaglia's tail
                state += GOLDEN
                tail = -np.log(uniform_of(mix(state))) / _NORMAL_RIGHT
                state += GOLDEN
                if -2.0 * np.log(uniform_of(mix(state))) > tail * tail:
                    return state, sign * (_NORMAL_RIGHT + tail)
        state += GOLDEN
        y = uniform_of(mix(state))
        if _NORMAL_HEIGHT[layer] + y * (_NORMAL_HEIGHT[layer + 1] - _NORMAL_HEIGHT[layer]) < np.exp(-0.5 * x * x):
            return state, sign * x


@compiled
def gamma(state: Any, shape: Any) -> Any:
    """(next state, a draw from the Gamma distribution with ``shape`` and scale 1); Marsaglia and Tsang 2000.

    Below shape 1 a draw of shape + 1 is multiplied by U^(1/shape), which may underflow to 0 for very small shapes.
    """
    lift = 1.0
    if shape < 1.0:
        state, e = exponential(state)
        lift = np.exp(-e / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    while True:
        state, x = normal(state)
        v = 1.0 + c * x
        if v <= 0.0:
            continue
        v = v * v * v
        state += GOLDEN
        u = uniform_of(mix(state))
        if u < 1.0 - 0.0331 * x * x * x * x or np.log(u) < 0.5 * x * x + d * (1.0 - v + np.log(v)):
            return state, lift * d * v
