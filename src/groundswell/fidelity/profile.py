"""What two workloads are compared by: one pass over each, kept per stretch of time so that noise can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.characterize import conversations
from groundswell.characterize.setting import Setting
from groundswell.stats.batches import BatchSums
from groundswell.stats.bins import Bins
from groundswell.summary import Summary
from groundswell.table import Workload

Floats = NDArray[np.float64]

PER_DOUBLING = 8
"""Buckets of the gaps and lengths to a doubling: 9 % each."""
GAPS = 48 * PER_DOUBLING
"""Buckets of gaps, from :data:`SHORTEST_GAP_S` on, in which the shorter ones are too."""
SHORTEST_GAP_S = 2.0**-20
LENGTHS = 24 * PER_DOUBLING
"""Buckets of lengths, from 1 token on; those of 0 tokens count as 1."""
GRID = 40
"""Buckets of input and of output lengths for their joint distribution, two to a doubling."""


@compiled
def _buckets(values: Any, lowest: Any, most: Any, per_doubling: Any) -> Any:
    out = np.empty(values.size, np.int64)
    for i in range(values.size):
        place = np.int64(np.floor(np.log2(max(values[i], lowest) / lowest) * per_doubling))
        out[i] = min(max(place, 0), most - 1)
    return out


def gap_s(bucket: int) -> float:
    """Where a bucket of gaps begins."""
    return float(SHORTEST_GAP_S * 2.0 ** (bucket / PER_DOUBLING))


@dataclass(frozen=True, eq=False)
class Histograms:
    """Counts in buckets over stretches of time: a row of buckets for each of at most some hundred stretches."""

    sums: BatchSums = field(default_factory=BatchSums)

    @classmethod
    def of(cls, at_s: Floats, bucket: NDArray[np.int64], size: int) -> Histograms:
        """One thing in ``bucket`` each at ``at_s``."""
        marks = BatchSums.of(at_s, [np.ones(at_s.size)])
        stretch = (at_s // marks.width_s).astype(np.int64) - marks.first
        count = np.bincount(stretch * size + bucket, minlength=len(marks.sums) * size).astype(np.float64)
        return cls(BatchSums(marks.width_s, marks.first, count.reshape(-1, size)))

    def __add__(self, later: Histograms) -> Histograms:
        return Histograms(self.sums + later.sums)


@dataclass(frozen=True, eq=False)
class Profile:
    """The fold of a workload for comparing. ``a + b`` is that of a's blocks and then b's.

    ``bins`` has requests, input and output tokens in short bins; ``gap``, ``input``, ``output`` and ``joint`` count
    buckets per stretch of time.
    """

    summary: Summary = field(default_factory=Summary)
    bins: Bins = field(default_factory=Bins)
    gap: Histograms = field(default_factory=Histograms)
    input: Histograms = field(default_factory=Histograms)
    output: Histograms = field(default_factory=Histograms)
    joint: Histograms = field(default_factory=Histograms)
    talk: Any = field(default_factory=conversations.Fold)

    @classmethod
    def of(cls, block: Workload, setting: Setting) -> Profile:
        """The profile of one block."""
        if not len(block):
            return cls()
        at_s, inputs, outputs = block.arrival_s, block.input_tokens, block.output_tokens
        a, b = (_buckets(x.astype(np.float64), 1.0, LENGTHS, PER_DOUBLING) for x in (inputs, outputs))
        half = PER_DOUBLING // 2
        coarse = np.minimum(a // half, GRID - 1) * GRID + np.minimum(b // half, GRID - 1)
        return cls(
            Summary.of(block),
            Bins.of(at_s, [np.ones(at_s.size), inputs, outputs]),
            _gaps(at_s),
            Histograms.of(at_s, a, LENGTHS),
            Histograms.of(at_s, b, LENGTHS),
            Histograms.of(at_s, coarse, GRID * GRID),
            conversations.Fold.of(block, setting),
        )

    @property
    def finds_conversations(self) -> bool:
        """Whether its conversations have no names and were found by their prefix blocks."""
        return bool(self.talk.source == "prefixes")

    def __add__(self, later: Profile) -> Profile:
        if not self.summary.requests or not later.summary.requests:
            return later if not self.summary.requests else self
        between = _gaps(np.array([self.summary.last_s, later.summary.first_s]))
        return Profile(
            self.summary + later.summary,
            self.bins + later.bins,
            self.gap + between + later.gap,
            self.input + later.input,
            self.output + later.output,
            self.joint + later.joint,
            self.talk + later.talk,
        )


def _gaps(at_s: Floats) -> Histograms:
    """Each gap at the time of its end."""
    if at_s.size < 2:
        return Histograms()
    return Histograms.of(at_s[1:], _buckets(np.diff(at_s), SHORTEST_GAP_S, GAPS, PER_DOUBLING), GAPS)
