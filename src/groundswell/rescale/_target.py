"""The rate that is asked for: so many requests a second, or so many times the trace's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

from groundswell.errors import DataError, UsageError

_HINT = "say requests a second, such as 100, or a factor on the trace's own rate, such as x2.5"


@dataclass(frozen=True)
class Target:
    """``factor`` times the trace's rate, or ``rate_per_s``: one of the two is given."""

    rate_per_s: float | None = None
    factor: float | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """What ``100`` or ``x2.5`` means. Raises UsageError for what is no number above 0.

        >>> Target.parse("x2.5"), Target.parse("100")
        (Target(rate_per_s=None, factor=2.5), Target(rate_per_s=100.0, factor=None))
        """
        squeezed = text.strip()
        is_factor = squeezed[:1] in ("x", "×")
        try:
            value = float(squeezed[is_factor:])
        except ValueError:
            raise UsageError(f"--to {text!r}: is no rate; {_HINT}") from None
        if not (math.isfinite(value) and value > 0):
            raise UsageError(f"--to {text!r}: must be a number above 0; {_HINT}")
        return cls(factor=value) if is_factor else cls(rate_per_s=value)

    def factor_of(self, requests: int, covered_s: float, where: str) -> float:
        """The factor for a workload of so many requests in so many seconds."""
        if self.factor is not None:
            return self.factor
        assert self.rate_per_s is not None  # noqa: S101 (one of the two is given)
        if not covered_s > 0:
            raise DataError(f"{where}: all its requests come at the same time, so it has no rate; say a factor (x2)")
        return self.rate_per_s * covered_s / requests
