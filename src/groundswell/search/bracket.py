"""Which load to try next, of what the loads before it have shown. Nothing here sends anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Held = Literal["meets", "fails", "unclear", "invalid"]
"""What became of an SLO at a load; ``invalid``: our own figures of it cannot be trusted."""


@dataclass(frozen=True)
class Bracket:
    """What tried loads say together: ``meets`` is the most that kept the SLO below ``fails``, the least that did not;
    ``invalid`` the least above ``meets`` of which we can say nothing; what is between was ``unclear``. 0 and infinity
    where there is none.

    A load that failed below one that kept it counts: a server that keeps an SLO keeps it at less.
    """

    meets: float
    fails: float
    unclear: tuple[float, ...] = ()
    invalid: float = math.inf

    @classmethod
    def of(cls, tried: Sequence[tuple[float, Held]]) -> Bracket:
        """The bracket of loads, each with what became of it.

        >>> Bracket.of([(1, "meets"), (2, "fails"), (1.5, "unclear")])
        Bracket(meets=1, fails=2, unclear=(1.5,), invalid=inf)
        """

        def loads(asked: Held) -> list[float]:
            return [load for load, held in tried if held == asked]

        fails = min(loads("fails"), default=math.inf)
        meets = max((load for load in loads("meets") if load < fails), default=0.0)
        invalid = min((load for load in loads("invalid") if meets < load < fails), default=math.inf)
        unclear = sorted({load for load in loads("unclear") if meets < load < min(fails, invalid)})
        return cls(meets, fails, tuple(unclear), invalid)

    @property
    def upper(self) -> float:
        """The least load of which it is known that nothing above it need be tried."""
        return min(self.fails, self.invalid)

    def next(self, tolerance: float, growth: float = 2.0) -> float | None:
        """The load to try next, one that was not tried; None where the bracket is as narrow as ``tolerance`` asks.

        Outward in steps of ``growth`` while one side is open, then the (geometric) middle; around what was unclear,
        of the two gaps that it leaves, the wider one. There must have been a load.
        """
        edges = (self.meets, *self.unclear, self.upper)
        # Between two unclear loads everything is unclear.
        gaps = [(edges[0], edges[1]), (edges[-2], edges[-1])]
        low, high = max(gaps, key=lambda gap: _ratio(*gap))
        if _ratio(low, high) <= 1.0 + tolerance:
            return None
        if math.isinf(high):
            return low * growth
        return high / growth if not low else math.sqrt(low * high)


def _ratio(low: float, high: float) -> float:
    return high / low if low > 0 else math.inf
