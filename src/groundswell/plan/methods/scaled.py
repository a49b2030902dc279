"""ServeGen's own method: every client at an N-th of its rate, on one instance (its section 6.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from groundswell.plan.methods import METHODS, Drawn
from groundswell.plan.outcome import Sent
from groundswell.plan.windows import Part
from groundswell.rescale import rescale
from groundswell.table import Workload

DRAWS = 8
"""So many runs, each drawn with another seed, are judged together: at an N-th of the rate one has few requests."""


@METHODS.register("scaled")
@dataclass(frozen=True)
class Scaled:
    """Every client goes on at an N-th of its rate, bursts and all; one instance serves it.

    Clients of a source are drawn at that rate for the same time, as the paper does it, N times up to :data:`DRAWS` with
    another seed. A workload that is given is stretched: conversations begin N times more slowly, and go on as they did
    (:mod:`groundswell.rescale.itt`), so that each client's gaps are N times as long.
    """

    title: ClassVar[str] = "every client at 1/N of its rate, on one instance (ServeGen's)"

    def sends(self, part: Part, seed: int, drawn: Drawn | None) -> Callable[[int], Sent]:
        """Draws of the part, or the part stretched."""

        def of_source(n: int) -> Sent:
            assert drawn is not None  # noqa: S101 (asked only where there is a source)
            end_s = part.from_s + part.span_s
            draws = [drawn(1.0 / n, part.from_s, end_s, seed + k) for k in range(min(n, DRAWS))]
            return Sent(tuple(each for each in draws if len(each)), 1, part.begin_s, part.end_s)

        def of_table(n: int) -> Sent:
            return Sent((stretched(part.workload, n),), 1, n * part.begin_s, n * part.end_s)

        return of_table if drawn is None else of_source


def stretched(workload: Workload, times: int) -> Workload:
    """The workload with conversations that begin ``times`` times more slowly."""
    return Workload.concat(list(rescale([workload], 1.0 / times, "itt"))) if times > 1 else workload
