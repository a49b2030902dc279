"""Arrival processes: how the requests of one client follow each other, with the level taken out.

A part is a renewal process with **unit rate**: its gaps have mean 1. A rate curve places it (see
:mod:`groundswell.compose`), so burstiness and level are separate matters. Every part is a frozen dataclass of the
parameters a person states, and says four things:

``shapes``
    the two numbers its kernels take, for whole columns of windows at once;
``fill``
    a compiled kernel that writes gaps: ``fill(gaps, offset, key, index, a, b)`` puts gaps number ``index[s]`` onward
    of the stream ``key[s]`` into ``gaps[offset[s]:offset[s + 1]]``;
``first``
    a compiled kernel that writes equilibrium first gaps: ``first(gaps, key, a, b)``, one a stream. A process that is
    watched from a random instant on lands in a long gap more often than in a short one;
``cv``
    the coefficient of variation of its gaps.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from groundswell.family import Family

Floats = NDArray[np.float64]

FIRST_GAP = np.uint64(0xF1257)
"""Turns a stream\'s key into that of its first gap; ordinary gaps are keyed apart from it."""


class Process(Protocol):
    """What an arrival process says of itself."""

    stated: ClassVar[bool]
    """Whether ``shapes`` needs the part's own parameters; if not, a CV says all."""
    fill: ClassVar[Any]
    first: ClassVar[Any]

    @property
    def cv(self) -> float:
        """The coefficient of variation of the gaps."""

    def parameters(self) -> tuple[float, float]:
        """The two numbers a pool keeps beside the CV of each window."""

    @staticmethod
    def shapes(cv: Floats, first: Floats, second: Floats, gaps: Floats) -> tuple[Floats, Floats]:
        """The kernels' two numbers for windows of the given CV and kept parameters.

        ``gaps`` is how many gaps will be scaled to fill each window, infinite for a free process. Scaling makes the
        CV that is realised smaller than the law's, so a part that can, draws from a wider law to make up for it.
        """


ARRIVALS: Family[Process] = Family("arrivals", __name__)


def unit_gaps(process: Process, n: int, seed: int = 0) -> Floats:
    """``n`` gaps of ``process`` in order, with mean 1.

    >>> unit_gaps(ARRIVALS.build("deterministic"), 3).tolist()
    [1.0, 1.0, 1.0]
    """
    gaps = np.empty(n)
    a, b = _lone_shape(process)
    process.fill(gaps, np.array([0, n]), np.array([seed], np.uint64), np.zeros(1, np.int64), a, b)
    return gaps


def first_gaps(process: Process, n: int, seed: int = 0) -> Floats:
    """``n`` independent waits, in mean gaps, from a random instant to the next arrival of ``process``."""
    gaps = np.empty(n)
    a, b = _lone_shape(process)
    process.first(
        gaps, np.arange(n, dtype=np.uint64) + np.uint64(seed) * np.uint64(n), np.repeat(a, n), np.repeat(b, n)
    )
    return gaps


def _lone_shape(process: Process) -> tuple[Floats, Floats]:
    first, second = process.parameters()
    return process.shapes(np.array([process.cv]), np.array([first]), np.array([second]), np.array([np.inf]))
