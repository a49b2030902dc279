"""Many discrete distributions in four flat arrays: what clients' lengths are kept as, and drawn from.

A distribution is a run of atoms: rising values, and for each a 32-bit threshold. A draw takes a 32-bit word ``w`` and
gives the first value whose threshold is at least ``w``, so a word is a quantile, and one word drives a field in any
dependence that is asked for. Probabilities are therefore multiples of 2⁻³².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled

Floats = NDArray[np.float64]
TOP = 0xFFFFFFFF


@compiled
def draw(word: Any, d: Any, first: Any, value: Any, threshold: Any, guide_first: Any, guide: Any) -> Any:
    """The value of distribution ``d`` at the 32-bit quantile ``word``, in constant expected time (Chen and Asau
    1974).
    """
    start = guide_first[d]
    cells = np.uint64(guide_first[d + 1] - start)
    k = first[d] + guide[start + np.int64((np.uint64(word) * cells) >> np.uint64(32))]
    while threshold[k] < word:
        k += 1
    return value[k]


@compiled
def _fill_guide(first: Any, threshold: Any, guide_first: Any, guide: Any) -> None:
    for d in range(first.size - 1):
        k = first[d]
        cells = np.uint64(guide_first[d + 1] - guide_first[d])
        for c in range(guide_first[d + 1] - guide_first[d]):
            # the least word of the cell: ceil(c·2³² / cells)
            low = ((np.uint64(c) << np.uint64(32)) + cells - np.uint64(1)) // cells
            while threshold[k] < low:
                k += 1
            guide[guide_first[d] + c] = k - first[d]


@dataclass(frozen=True, eq=False)
class LengthTables:
    """Discrete distributions number 0 … size-1; ``first`` says where each one's atoms begin."""

    first: NDArray[np.int64]
    value: NDArray[np.float32]
    threshold: NDArray[np.uint32]

    @property
    def size(self) -> int:
        """How many distributions there are."""
        return self.first.size - 1

    @classmethod
    def empty(cls) -> LengthTables:
        """No distribution."""
        return cls(np.zeros(1, np.int64), np.empty(0, np.float32), np.empty(0, np.uint32))

    @classmethod
    def of(cls, tables: Sequence[tuple[Any, Any]]) -> LengthTables:
        """From pairs of rising values and their probabilities (which are normalised)."""
        if not tables:
            return cls.empty()
        sizes = np.array([len(values) for values, _ in tables])
        first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        value = np.concatenate([np.asarray(values, np.float32) for values, _ in tables])
        weight = np.concatenate([np.asarray(weights, np.float64) for _, weights in tables])
        return cls(first, value, thresholds(first, weight))

    def concat(self, other: LengthTables) -> LengthTables:
        """These distributions, then ``other``'s (whose numbers rise by ``self.size``)."""
        return LengthTables(
            np.concatenate([self.first, self.first[-1] + other.first[1:]]),
            np.concatenate([self.value, other.value]),
            np.concatenate([self.threshold, other.threshold]),
        )

    @property
    def drawing(self) -> tuple[Any, ...]:
        """What :func:`draw` takes behind a word and a number."""
        return (self.first, self.value, self.threshold, *self.guide)

    def take(self, which: NDArray[np.integer[Any]]) -> LengthTables:
        """Distributions number ``which``, renumbered from 0 in that order."""
        sizes = np.diff(self.first)[which]
        first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        atom = np.repeat(self.first[which] - first[:-1], sizes) + np.arange(first[-1])
        return LengthTables(first, self.value[atom], self.threshold[atom])

    def table(self, d: int) -> tuple[Floats, Floats]:
        """Values and probabilities of distribution ``d``."""
        run = slice(self.first[d], self.first[d + 1])
        return self.value[run].astype(np.float64), self.probability[run]

    @cached_property
    def probability(self) -> Floats:
        """Every atom's probability."""
        upper = self.threshold.astype(np.float64) + 1.0
        lower = np.concatenate([[0.0], upper[:-1]])
        lower[self.first[:-1][np.diff(self.first) > 0]] = 0.0
        share: Floats = (upper - lower) * 2.0**-32
        return share

    @cached_property
    def mean(self) -> Floats:
        """Every distribution's mean."""
        return np.add.reduceat(self.value * self.probability, self.first[:-1]) if self.size else np.empty(0)

    @cached_property
    def largest(self) -> Floats:
        """Every distribution's largest value."""
        return self.value[self.first[1:] - 1].astype(np.float64)

    def quantile(self, q: float) -> Floats:
        """Every distribution's ``q``-quantile (the least value with at least ``q`` of the mass at or below it)."""
        word = np.uint32(min(max(int(np.ceil(q * 2.0**32)) - 1, 0), TOP))
        below = np.add.reduceat((self.threshold < word).astype(np.int64), self.first[:-1])
        return self.value[self.first[:-1] + below].astype(np.float64)

    @cached_property
    def guide(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Where each distribution's guide begins, and the guide: for each of equal cells of words, an atom to start
        from.
        """
        sizes = np.maximum(np.diff(self.first), 1)
        guide_first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        guide = np.empty(guide_first[-1], np.int32)
        _fill_guide(self.first, self.threshold, guide_first, guide)
        return guide_first, guide


def thresholds(first: NDArray[np.int64], weight: Floats) -> NDArray[np.uint32]:
    """The thresholds of atoms of the given weights; each distribution's weights are normalised."""
    if first.size == 1:
        return np.empty(0, np.uint32)
    running = np.cumsum(weight)
    before = np.concatenate([[0.0], running])[first[:-1]]
    sizes = np.diff(first)
    total = running[first[1:] - 1] - before
    share = (running - np.repeat(before, sizes)) / np.repeat(total, sizes)
    out: NDArray[np.uint32] = np.clip(np.ceil(share * 2.0**32) - 1.0, 0, TOP).astype(np.uint32)
    out[first[1:] - 1] = TOP
    return out
