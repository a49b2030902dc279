"""All of the workload, on N instances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from groundswell.plan.methods import METHODS, Drawn
from groundswell.plan.outcome import Sent
from groundswell.plan.windows import Part


@METHODS.register("direct")
@dataclass(frozen=True)
class Direct:
    """The workload as it is, behind the router, turns closed."""

    title: ClassVar[str] = "the whole workload on N instances behind the router"

    def sends(self, part: Part, seed: int, drawn: Drawn | None) -> Callable[[int], Sent]:
        """The same for any N."""
        return lambda n: Sent((part.workload,), n, part.begin_s, part.end_s)
