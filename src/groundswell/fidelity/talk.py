"""How two workloads' conversations compare, from figures that carry their own intervals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from groundswell.characterize.figures import ConversationFigures
from groundswell.fidelity.resample import Aspect
from groundswell.stats.estimate import Estimate


def aspects(a: ConversationFigures | None, b: ConversationFigures | None) -> Iterator[Aspect]:
    """The share of multi-turn requests, turns, inter-turn times, growth of context; nothing if neither has any.

    The distance of two estimates is as noisy as their intervals say: 95 % of differences of two figures that agree lie
    within the root of the sum of their squared half-widths.
    """
    if a is None and b is None:
        return
    if a is not None and b is not None and a.source != b.source:
        b = None  # what was found in the one would be held against what has names in the other
    if a is None or b is None:
        side = "reference" if a is None else "candidate"
        first, second = (np.nan if one is None else one.multi_turn_share.value for one in (a, b))
        what = f"conversations: the {side} names none"
        yield Aspect("multi_turn", what, first, second, np.nan, np.nan, unit="share")
        return
    share = "share of requests in conversations of several turns"
    yield _aspect("multi_turn", share, "share", a.multi_turn_share, b.multi_turn_share)
    yield _aspect("turns", "mean turns of those conversations", "", a.mean_turns, b.mean_turns)
    yield _aspect("turn_gap_p50", "inter-turn time, median", "s", a.gap_p50, b.gap_p50)
    yield _aspect("turn_gap_p90", "inter-turn time, 90th percentile", "s", a.gap_p90, b.gap_p90)
    yield _aspect("growth", "growth of the input from turn to turn", "tokens", a.growth_per_turn, b.growth_per_turn)


def _aspect(key: str, what: str, unit: str, a: Estimate, b: Estimate) -> Aspect:
    noise = float(np.hypot(a.high - a.low, b.high - b.low)) / 2
    return Aspect(key, what, a.value, b.value, abs(b.value - a.value), noise, unit=unit)
