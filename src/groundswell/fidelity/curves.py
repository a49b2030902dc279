"""Curves of a workload to lay over those of another: at most some two hundred points each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from groundswell.characterize.figures import ConversationFigures
from groundswell.fidelity.aspects import dispersion, scales_s
from groundswell.fidelity.profile import PER_DOUBLING, SHORTEST_GAP_S, Histograms, Profile
from groundswell.stats.fits import Curve

MOST_POINTS = 200


@dataclass(frozen=True, eq=False)
class Curves:
    """A workload's curves; those of which there is nothing are empty."""

    dispersion: Curve = field(default_factory=Curve)
    """Index of dispersion against the length of the window in seconds, within the stretches that are compared."""
    gaps: Curve = field(default_factory=Curve)
    """The share of gaps up to x seconds."""
    input: Curve = field(default_factory=Curve)
    """The share of requests of fewer than x input tokens."""
    output: Curve = field(default_factory=Curve)
    turns: Curve = field(default_factory=Curve)
    """The share of conversations of exactly x turns."""
    turn_gap: Curve = field(default_factory=Curve)
    """The share of turns that are followed by the next within x seconds."""


def curves(profile: Profile, talk: ConversationFigures | None) -> Curves:
    """The curves of a profile, with those of its conversations if it has some."""
    bins = profile.bins.whole
    scales = scales_s(bins)
    return Curves(
        Curve(np.array(scales), dispersion(bins, scales)) if scales else Curve(),
        _distribution(profile.gap, SHORTEST_GAP_S),
        _distribution(profile.input, 1.0),
        _distribution(profile.output, 1.0),
        _thinned(talk.turns) if talk is not None else Curve(),
        _thinned(talk.gap) if talk is not None else Curve(),
    )


def _distribution(counts: Histograms, lowest: float) -> Curve:
    """The share up to the end of each bucket, from the last empty one on and up to the first full one."""
    total: NDArray[np.float64] = counts.sums.total
    if not total.sum():
        return Curve()
    held = np.flatnonzero(total)
    at = np.arange(max(held[0] - 1, 0), held[-1] + 1)
    share = np.cumsum(total) / total.sum()
    return _thinned(Curve(lowest * 2.0 ** ((at + 1) / PER_DOUBLING), share[at]))


def _thinned(curve: Curve) -> Curve:
    if curve.x.size <= MOST_POINTS:
        return curve
    at = np.unique(np.linspace(0, curve.x.size - 1, MOST_POINTS).astype(np.int64))
    return Curve(curve.x[at], curve.y[at])
