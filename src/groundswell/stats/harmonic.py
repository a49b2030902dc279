"""Harmonic numbers of any order, for power laws on the whole numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SUMMED = 1024  # terms added one by one; the rest by the Euler–Maclaurin formula, to 1e-12


def harmonic(n: Floats, s: float) -> Floats:
    """Σ k^-s over k = 1 … n, for whole n."""
    k = np.arange(1.0, _SUMMED + 1.0)
    table = np.concatenate([[0.0], np.cumsum(k**-s)])
    a, b = float(_SUMMED), np.maximum(n, _SUMMED)
    rise, power = np.log(b / a), 1.0 - s
    integral = rise if abs(power) < 1e-9 else a**power * np.expm1(power * rise) / power
    ends = 0.5 * (b**-s - a**-s) - s / 12.0 * (b ** (-s - 1.0) - a ** (-s - 1.0))
    bend = s * (s + 1.0) * (s + 2.0) / 720.0 * (b ** (-s - 3.0) - a ** (-s - 3.0))
    return np.asarray(table[np.minimum(n, _SUMMED).astype(np.int64)] + integral + ends + bend)
