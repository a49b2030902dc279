"""The workload everyone uses, on one instance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from groundswell.naive import naive
from groundswell.plan.methods import METHODS, Drawn
from groundswell.plan.methods.scaled import stretched
from groundswell.plan.outcome import Sent
from groundswell.plan.windows import Part
from groundswell.table import Workload


@METHODS.register("naive")
@dataclass(frozen=True)
class Naive:
    """The naive twin of the workload (:func:`groundswell.naive.naive`: its rate, the CV of its gaps, its lengths from
    one bag, no clients) at an N-th of the rate, on one instance."""

    title: ClassVar[str] = "one stream of its rate, CV and lengths at 1/N, on one instance"

    def sends(self, part: Part, seed: int, drawn: Drawn | None) -> Callable[[int], Sent]:
        """The twin, stretched: the same requests in the same order, with gaps N times as long."""
        twin = Workload.concat(list(naive([part.workload], part.span_s, seed)))
        return lambda n: Sent((stretched(twin, n),), 1, n * part.begin_s, n * part.end_s)
