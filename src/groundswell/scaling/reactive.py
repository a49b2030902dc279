"""As many instances as what is in flight needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import ClassVar

from groundswell.errors import UsageError
from groundswell.scaling import SCALING, Seen

_ROUNDING = 1e-9


@SCALING.register("reactive")
@dataclass(frozen=True)
class Reactive:
    """Requests in flight, divided by ``target`` and rounded up: more instances at once, fewer when ``hold_s`` have
    passed in which it never wanted more. As long as what is in flight on an instance (those that start counted) is
    within ``tolerance`` of the target, nothing changes.

    So does Kubernetes' HorizontalPodAutoscaler with a metric of requests in flight, whose stabilization window for
    fewer, tolerance and period the defaults are. The default target is a quarter of what runs on an engine at a time
    (256): the rest is for what comes until an instance has started.
    """

    unit: ClassVar[str] = "in flight each"
    target: float = 64.0
    hold_s: float = 300.0
    tolerance: float = 0.1
    every_s: float = 15.0

    def __post_init__(self) -> None:
        for name in ("target", "every_s"):
            _check(name, getattr(self, name), "above 0", 0.0 < getattr(self, name) < inf)
        for name in ("hold_s", "tolerance"):
            _check(name, getattr(self, name), "of 0 or more", 0.0 <= getattr(self, name) < inf)

    @property
    def load(self) -> float:
        """Requests in flight on an instance."""
        return self.target

    def with_load(self, load: float) -> Reactive:
        """With another target."""
        return replace(self, target=load)

    def begin(self) -> Callable[[Seen], int]:
        """What is wanted, with what was wanted before in mind."""
        past: deque[tuple[float, int]] = deque()

        def wanted(seen: Seen) -> int:
            there = seen.up + seen.starting
            if not past:
                past.append((seen.at_s, there))
            within = there and abs(seen.in_flight / (there * self.target) - 1.0) <= self.tolerance + _ROUNDING
            past.append((seen.at_s, there if within else ceil(seen.in_flight / self.target)))
            while past[0][0] < seen.at_s - self.hold_s:
                past.popleft()
            return max(count for _, count in past)

        return wanted


def _check(name: str, value: float, what: str, right: bool) -> None:
    if not right:
        raise UsageError(f"reactive: {name} must be a number {what}, not {value!r}")
