"""Many SLOs at once: bounds on one metric times bounds on another, and what each method asks for in each cell."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from groundswell.errors import UsageError
from groundswell.judge.slo import SLO, Clause, statistic_name
from groundswell.plan.figures import Cell, Grid
from groundswell.plan.reach import unreachable
from groundswell.plan.trials import Trials

MOST_CELLS = 400
_HINT = "a grid is like ttft=1s,2s,4s;tbt=0.1s,0.2s (of p99), or ttft:p90=1s,2s;e2e:p50=5s,10s"
_AXIS = re.compile(r"(?P<metric>[a-z0-9]+)(:(?P<statistic>[a-z0-9.]+))?=(?P<bounds>[^=]+)")


@dataclass(frozen=True)
class Bounds:
    """Two axes of clauses."""

    x: tuple[Clause, ...]
    y: tuple[Clause, ...]

    @classmethod
    def parse(cls, text: str) -> Bounds:
        """From ``METRIC[:STATISTIC]=BOUND,…;METRIC…``. Raises UsageError, in one line that says what would be right.

        >>> [str(slo) for slo in Bounds.parse("ttft=1s,2s;tbt:p50=0.1s").slos()]
        ['ttft:p99<1s,itl:p50<100ms', 'ttft:p99<2s,itl:p50<100ms']
        """
        axes = [_axis(piece, text) for piece in text.replace(" ", "").lower().split(";")]
        if len(axes) != 2 or axes[0][0].metric == axes[1][0].metric:
            raise UsageError(f"the grid {text!r} has not two metrics; {_HINT}")
        if len(axes[0]) * len(axes[1]) > MOST_CELLS:
            raise UsageError(f"the grid {text!r} has more than {MOST_CELLS} cells; give fewer bounds")
        return cls(*axes)

    def slos(self) -> list[SLO]:
        """Of each cell, row by row."""
        return [SLO((x, y)) for y, x in product(self.y, self.x)]


def _axis(piece: str, text: str) -> tuple[Clause, ...]:
    found = _AXIS.fullmatch(piece)
    if not found:
        raise UsageError(f"the grid {text!r}: {piece!r} has not the form METRIC=BOUND,BOUND; {_HINT}")
    start = f"{found['metric']}:{found['statistic'] or 'p99'}"
    clauses = {clause.bound_s: clause for clause in (Clause.parse(f"{start}<{b}") for b in found["bounds"].split(","))}
    return tuple(clauses[bound_s] for bound_s in sorted(clauses))


def grid(bounds: Bounds, methods: Mapping[str, Trials], first: int) -> Grid:
    """What each of ``methods`` asks for in every cell. What was simulated for one cell serves all."""
    counts = {name: _counts(bounds, trials, first) for name, trials in methods.items()}
    against = counts.get("direct", {})
    cells = []
    for slo in bounds.slos():
        own = {name: found[slo] for name, found in counts.items()}
        over = {name: over_of(count, against.get(slo)) for name, count in own.items() if name != "direct"}
        x, y = slo.clauses
        cells.append(Cell(x.bound_s, y.bound_s, own, over, _unreachable(slo, next(iter(methods.values())))))
    return Grid(_name(bounds.x), _name(bounds.y), tuple(cells))


def over_of(count: int | None, direct: int | None) -> float:
    """By which share a count is above the direct one."""
    return math.nan if count is None or direct is None else count / direct - 1.0


def _counts(bounds: Bounds, trials: Trials, first: int) -> dict[SLO, int | None]:
    """The loosest cells first: each begins where the one before it ended."""
    found: dict[SLO, int | None] = {}
    for slo in reversed(bounds.slos()):
        if _unreachable(slo, trials):
            found[slo] = None
            continue
        found[slo] = trials.search(slo, first).answer
        first = found[slo] or first
    return found


def _unreachable(slo: SLO, trials: Trials) -> str:
    """Why no fleet keeps it; empty where one may."""
    reasons = [unreachable(slo, part.alone, part.judged, trials.setting.engine) for part in trials.parts]
    return next(filter(None, reasons), "")


def _name(axis: Sequence[Clause]) -> str:
    return f"{axis[0].metric}:{statistic_name(axis[0].quantile)}"
