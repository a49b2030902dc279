"""Which load to try next, of what the loads before it have shown. Nothing here sends anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Held = Literal["meets", "fails", "unclear"]


@dataclass(frozen=True)
class Bracket:
    """What tried loads say together: ``meets`` is the most that kept the SLO and ``fails`` the least that did not, of
    those above it; what lies between, if anything, was ``unclear``. 0 and infinity where there is none.

    A load that failed below one that kept it counts: a server that keeps an SLO keeps it at less.
    """

    meets: float
    fails: float
    unclear: tuple[float, ...] = ()

    @classmethod
    def of(cls, tried: Sequence[tuple[float, Held]]) -> Bracket:
        """The bracket of loads, each with what became of it.

        >>> Bracket.of([(1, "meets"), (2, "fails"), (1.5, "unclear")])
        Bracket(meets=1, fails=2, unclear=(1.5,))
        """
        fails = min((load for load, held in tried if held == "fails"), default=math.inf)
        meets = max((load for load, held in tried if held == "meets" and load < fails), default=0.0)
        unclear = sorted({load for load, held in tried if held == "unclear" and meets < load < fails})
        return cls(meets, fails, tuple(unclear))

    def next(self, tolerance: float, growth: float = 2.0) -> float | None:
        """The load to try next; None where the bracket is as narrow as ``tolerance`` asks, or no load is left to try.

        Outward in steps of ``growth`` while one side is open, then the (geometric) middle; around what was unclear,
        of the two gaps that it leaves, the wider one.
        """
        if not self.meets and not self.unclear:
            return self.fails / growth
        if math.isinf(self.fails) and not self.unclear:
            return self.meets * growth
        below = (self.meets, self.unclear[0] if self.unclear else self.fails)
        above = (self.unclear[-1], self.fails) if self.unclear else below
        gaps = [(_ratio(low, high), low, high) for low, high in (below, above)]
        ratio, low, high = max(gaps)
        if ratio <= 1.0 + tolerance:
            return None
        if not low:
            return high / growth
        if math.isinf(high):
            return low * growth
        return math.sqrt(low * high)


def _ratio(low: float, high: float) -> float:
    return high / low if low > 0 else math.inf
