"""Ways to find how many instances a workload takes, one file each.

A method says what is sent to how many instances to learn whether N of them are enough: the whole workload to N, or to
one instance what would be its part of it. What it says is tried for one N after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from groundswell.family import Family
from groundswell.plan.outcome import Sent
from groundswell.plan.windows import Part
from groundswell.table import Workload

Drawn = Callable[[float, float, float, int], Workload]
"""The traffic of a source of clients anew: at a share of its rate, from one time to another (which is counted from 0
then), with a seed."""


class Method(Protocol):
    """A way to find out."""

    title: ClassVar[str]
    """What it does, in a few words."""

    def sends(self, part: Part, seed: int, drawn: Drawn | None) -> Callable[[int], Sent]:
        """What is sent to learn whether N instances are enough for ``part``; ``drawn`` draws it anew, where that can be
        done."""


METHODS: Family[Method] = Family("methods", __name__)
EVERY = ("naive", "scaled", "one_of", "direct")
"""In the order in which they are told."""
