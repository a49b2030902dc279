"""How far apart workloads are, aspect by aspect, against the distance that two draws of one workload have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from groundswell.characterize.figures import ConversationFigures
from groundswell.characterize.setting import Setting
from groundswell.errors import DataError
from groundswell.fidelity import talk
from groundswell.fidelity.aspects import Points, aspects, points, short_window_s
from groundswell.fidelity.profile import Profile
from groundswell.fidelity.resample import Aspect
from groundswell.stats.folding import folded
from groundswell.table import Workload

__all__ = ["Aspect", "Candidate", "Comparison", "Points", "Profile", "compare", "profile"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A workload held against the reference: its aspects, and its short windows (input, output) for a picture."""

    name: str
    requests: int
    aspects: tuple[Aspect, ...]
    scatter: tuple[Points, Points]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The candidates against the reference. ``window_s`` is the length of a short window."""

    reference: str
    requests: int
    window_s: float
    scatter: tuple[Points, Points]
    candidates: tuple[Candidate, ...]


def compare(
    reference: Iterable[Workload], candidates: Mapping[str, Iterable[Workload]], name: str = "reference"
) -> Comparison:
    """Hold each of ``candidates`` against ``reference``, all of them blocks in time order, each read once.

    Raises :class:`DataError` for a workload without requests.
    """
    a = profile(reference, name)
    window_s = short_window_s(a)
    held = []
    for other, blocks in candidates.items():
        b = profile(blocks, other)
        found = (*aspects(a, b), *talk.aspects(_conversations(a), _conversations(b)))
        held.append(Candidate(other, b.summary.requests, found, _scatter(b, window_s)))
    return Comparison(name, a.summary.requests, window_s, _scatter(a, window_s), tuple(held))


def profile(blocks: Iterable[Workload], name: str) -> Profile:
    """The profile of all blocks."""
    total = folded(blocks, lambda block, _: Profile.of(block, Setting()), Profile())
    if not total.summary.requests:
        raise DataError(f"{name}: there are no requests to compare")
    return total


def _conversations(profile: Profile) -> ConversationFigures | None:
    figures: ConversationFigures | None = profile.talk.finish(Setting(), pl.DataFrame())
    return figures


def _scatter(profile: Profile, window_s: float) -> tuple[Points, Points]:
    bins = profile.bins.whole
    return points(bins, window_s, 1), points(bins, window_s, 2)
