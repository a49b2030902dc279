"""Arrivals that come in sessions: silence, then a Poisson burst, then silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from groundswell.arrivals import ARRIVALS, FIRST_GAP, Floats
from groundswell.chance import GOLDEN, compiled, exponential, mix, uniform_of, word_at
from groundswell.errors import UsageError

# An interrupted Poisson process is a renewal process (Kuczura 1973). With arrivals at rate r = 1/duty while it is on, a
# mean of `burst` arrivals an on-time, and so an on-time of mean burst·duty and an off-time of mean burst·(1 - duty),
# the next event after an arrival is an arrival with probability burst / (burst + 1), else the end of the on-time,
# which is followed by an off-time and begins again.


@compiled
def _until_arrival(state: Any, duty: Any, burst: Any) -> Any:
    """The time to the next arrival of a process that is on."""
    on_event, off = duty * burst / (burst + 1.0), burst * (1.0 - duty)
    state, x = exponential(state)
    gap = on_event * x
    state += GOLDEN
    while uniform_of(mix(state)) * (burst + 1.0) > burst:
        state, x = exponential(state)
        gap += off * x
        state, x = exponential(state)
        gap += on_event * x
        state += GOLDEN
    return gap


@compiled
def _fill(gaps: Any, offset: Any, key: Any, index: Any, a: Any, b: Any) -> None:
    for s in range(key.size):
        j, duty, burst = index[s], a[s], b[s]
        for i in range(offset[s], offset[s + 1]):
            state = word_at(key[s], j)
            gaps[i] = _until_arrival(state, duty, burst)
            j += 1


@compiled
def _first(gaps: Any, key: Any, a: Any, b: Any) -> None:
    # At a random instant the process is off with probability 1 - duty; off-times have no memory.
    for s in range(key.size):
        duty, burst = a[s], b[s]
        state = word_at(key[s] ^ FIRST_GAP, 0)
        gap = 0.0
        if uniform_of(state) > duty:
            state, x = exponential(state)
            gap += burst * (1.0 - duty) * x
        gaps[s] = gap + _until_arrival(state, duty, burst)


@ARRIVALS.register("onoff")
@dataclass(frozen=True)
class OnOff:
    """An interrupted Poisson process: on for ``duty`` of the time, with ``burst`` arrivals an on-time on average."""

    duty: float = 0.2
    burst: float = 10.0
    stated: ClassVar[bool] = True
    fill: ClassVar[Any] = staticmethod(_fill)
    first: ClassVar[Any] = staticmethod(_first)

    def __post_init__(self) -> None:
        if not (isinstance(self.duty, (int, float)) and 0 < self.duty <= 1):
            raise UsageError(f"onoff: duty is the share of time that is on, above 0 and at most 1, not {self.duty}")
        if not (isinstance(self.burst, (int, float)) and 0 < self.burst <= 1e9):
            raise UsageError(f"onoff: burst is the mean arrivals of an on-time, above 0, not {self.burst}")

    @property
    def cv(self) -> float:
        """√(1 + 2·burst·(1 - duty)²), as the gaps' Laplace transform gives it."""
        return float(np.sqrt(1.0 + 2.0 * self.burst * (1.0 - self.duty) ** 2))

    def parameters(self) -> tuple[float, float]:
        """Duty and burst."""
        return self.duty, self.burst

    @staticmethod
    def shapes(cv: Floats, first: Floats, second: Floats, gaps: Floats) -> tuple[Floats, Floats]:
        """Duty and burst."""
        return first.astype(np.float64), second.astype(np.float64)
