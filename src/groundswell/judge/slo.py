"""Service-level objectives: bounds on percentiles of latencies, from text such as ``ttft:p99<2s,tpot:p99<0.1s``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from groundswell.errors import UsageError
from groundswell.units import SECONDS

METRICS = {
    "ttft": "time to first token, from when the request was due",
    "ttfa": "time to the first token of the answer, behind any reasoning, from when the request was due",
    "tpot": "time per output token after the first",
    "itl": "time between neighbouring events of a reply",
    "e2e": "time to the reply's end, from when the request was due",
    "lag": "how long after it was due a request was sent",
}
"""What can be bounded, in seconds."""
ALIASES = {"tbt": "itl", "e2el": "e2e", "queue": "lag"}
_UNITS = {unit: SECONDS[unit] for unit in ("ms", "s", "m")}
_CLAUSE = re.compile(r"(?P<metric>[a-z0-9]+):(?P<statistic>[a-z0-9.]+)(?P<sign><=|<)(?P<bound>[^<>=]+)")
_BOUND = re.compile(r"(?P<number>\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)(?P<unit>ms|s|m)?")
_HINT = "an SLO is like ttft:p99<2s,tpot:p99<0.1s"


@dataclass(frozen=True)
class Clause:
    """A bound on a statistic of a metric. ``quantile`` is its place from 0 to 1; None is the mean.

    >>> Clause.parse("ttft:p99.9<=500ms")
    Clause(metric='ttft', quantile=0.999, bound_s=0.5, inclusive=True)
    """

    metric: str
    quantile: float | None
    bound_s: float
    inclusive: bool = False

    @property
    def statistic(self) -> str:
        """``p99`` and the like, ``max`` or ``mean``."""
        return statistic_name(self.quantile)

    def __str__(self) -> str:
        return f"{self.metric}:{self.statistic}{'<=' if self.inclusive else '<'}{_shown(self.bound_s)}"

    @classmethod
    def parse(cls, text: str) -> Clause:
        """From ``METRIC:STATISTIC<BOUND``. Raises UsageError, in one line that says what would be right."""
        found = _CLAUSE.fullmatch(text.replace(" ", "").lower())
        if not found:
            raise UsageError(f"SLO clause {text.strip()!r} has not the form METRIC:STATISTIC<BOUND; {_HINT}")
        metric = ALIASES.get(found["metric"], found["metric"])
        if metric not in METRICS:
            known = ", ".join([*METRICS, *(f"{alias} ({name})" for alias, name in ALIASES.items())])
            raise UsageError(f"SLO clause {text.strip()!r}: there is no metric {found['metric']!r}; there are {known}")
        return cls(metric, _quantile(found["statistic"], text), _bound(found["bound"], text), found["sign"] == "<=")


@dataclass(frozen=True)
class SLO:
    """Clauses that all have to hold.

    >>> str(SLO.parse("ttft:p99 < 2s, tbt:mean<30ms"))
    'ttft:p99<2s,itl:mean<30ms'
    """

    clauses: tuple[Clause, ...]

    def __str__(self) -> str:
        return ",".join(map(str, self.clauses))

    @classmethod
    def parse(cls, text: str) -> SLO:
        """From clauses with commas between them. Raises UsageError, in one line that says what would be right."""
        pieces = text.split(",")
        if not text.strip():
            raise UsageError(f"the SLO is empty; {_HINT}")
        if not all(piece.strip() for piece in pieces):
            raise UsageError(f"the SLO {text!r} has a comma without a clause on both sides; {_HINT}")
        clauses = tuple(Clause.parse(piece) for piece in pieces)
        named = [(clause.metric, clause.quantile) for clause in clauses]
        for clause, name in zip(clauses, named, strict=True):
            if named.count(name) > 1:
                raise UsageError(f"the SLO {text!r} bounds {clause.metric}:{clause.statistic} twice; leave one out")
        return cls(clauses)


def statistic_name(quantile: float | None) -> str:
    """What people call a quantile.

    >>> statistic_name(0.999), statistic_name(1.0), statistic_name(None)
    ('p99.9', 'max', 'mean')
    """
    if quantile is None:
        return "mean"
    return "max" if quantile == 1.0 else f"p{quantile * 100:.10g}"


def _quantile(statistic: str, clause: str) -> float | None:
    if statistic in ("mean", "max"):
        return None if statistic == "mean" else 1.0
    found = re.fullmatch(r"p(\d+(?:\.\d+)?)", statistic)
    if not found or float(found[1]) > 100:
        raise UsageError(
            f"SLO clause {clause.strip()!r}: {statistic!r} is none of p0 to p100 (p99, p99.9), mean and max"
        )
    return round(float(found[1]) / 100, 12)


def _bound(bound: str, clause: str) -> float:
    found = _BOUND.fullmatch(bound)
    seconds = float(found["number"]) * _UNITS[found["unit"] or "s"] if found else math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise UsageError(f"SLO clause {clause.strip()!r}: {bound!r} is no time above 0, such as 500ms, 2s, 1m or 0.5")
    return seconds


def _shown(seconds: float) -> str:
    return f"{seconds * 1e3:.10g}ms" if seconds < 1 else f"{seconds:.10g}s"
