"""How far apart workloads are, aspect by aspect, against the distance that two draws of one workload have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from groundswell.characterize.figures import ConversationFigures
from groundswell.characterize.setting import Setting, informed
from groundswell.errors import DataError
from groundswell.fidelity import talk
from groundswell.fidelity.aspects import Points, aspects, points, short_window_s, span_s
from groundswell.fidelity.curves import Curves, curves
from groundswell.fidelity.profile import Profile
from groundswell.fidelity.resample import Aspect
from groundswell.prefix import expanded
from groundswell.stats.folding import folded
from groundswell.table import Workload

__all__ = ["Aspect", "Candidate", "Comparison", "Curves", "Points", "Profile", "compare", "held", "profile"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A workload held against the reference: its aspects, and for a picture its short windows (with mean input, with
    mean output) and its curves."""

    name: str
    requests: int
    span_s: float
    aspects: tuple[Aspect, ...]
    scatter: tuple[Points, Points]
    curves: Curves


@dataclass(frozen=True, eq=False)
class Comparison:
    """The candidates against the reference. ``window_s`` is the length of a short window."""

    reference: str
    requests: int
    span_s: float
    window_s: float
    scatter: tuple[Points, Points]
    curves: Curves
    candidates: tuple[Candidate, ...]


def compare(
    reference: Iterable[Workload], candidates: Mapping[str, Iterable[Workload]], name: str = "reference"
) -> Comparison:
    """Hold each of ``candidates`` against ``reference``, all of them blocks in time order, each read once.

    Raises :class:`DataError` for a workload without requests.
    """
    against = profile(reference, name)
    found = against.finds_conversations
    return held(name, against, {other: profile(blocks, other, find=found) for other, blocks in candidates.items()})


def held(name: str, a: Profile, candidates: Mapping[str, Profile]) -> Comparison:
    """The comparison of profiles with that of the reference, ``a``."""
    window_s = short_window_s(a)
    talk_of_a = _conversations(a)
    found = tuple(_candidate(other, a, b, talk_of_a) for other, b in candidates.items())
    return Comparison(name, a.summary.requests, span_s(a), window_s, _scatter(a, window_s), curves(a, talk_of_a), found)


def _candidate(name: str, a: Profile, b: Profile, talk_of_a: ConversationFigures | None) -> Candidate:
    talk_of_b = _conversations(b)
    found = (*aspects(a, b), *talk.aspects(talk_of_a, talk_of_b))
    return Candidate(name, b.summary.requests, span_s(b), found, _scatter(b, short_window_s(a)), curves(b, talk_of_b))


def profile(
    blocks: Iterable[Workload], name: str, metadata: Mapping[str, Any] | None = None, *, find: bool = False
) -> Profile:
    """The profile of all blocks. ``metadata`` may say how large prefix blocks are, once the first is read.

    With ``find`` conversations are found by their prefix blocks even where they have names: as they have to be in a
    reference that names none.
    """
    known = metadata if metadata is not None else getattr(blocks, "metadata", {})
    whole = expanded(blocks)
    total = folded(
        map(_unnamed, whole) if find else whole,
        lambda block, _: Profile.of(block, informed(Setting(), known or block.metadata)),
        Profile(),
    )
    if not total.summary.requests:
        raise DataError(f"{name}: there are no requests to compare")
    return total


def _unnamed(block: Workload) -> Workload:
    """``block`` without the names of its conversations, if its prefix blocks can tell them."""
    if "prefix_blocks" not in block.frame.columns:
        return block
    return Workload(block.frame.drop("conversation", "turn", "think_s", strict=False), block.metadata)


def _conversations(profile: Profile) -> ConversationFigures | None:
    figures: ConversationFigures | None = profile.talk.finish(Setting(), pl.DataFrame())
    return figures


def _scatter(profile: Profile, window_s: float) -> tuple[Points, Points]:
    bins = profile.bins.whole
    return points(bins, window_s, 1), points(bins, window_s, 2)
