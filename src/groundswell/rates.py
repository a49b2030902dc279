"""How many requests a second are asked for, all clients together, over the time of a run.

A rate is stated apart from the clients: a number, a factor on the pool's own rate, a bound, or a curve. What generation
needs of it is the **factor** by which every client's own rate is multiplied at each instant, so the clients' shares in
each window stay what they are. The factor is linear between knots.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import DataError, UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Factor:
    """A piecewise-linear function of the run's time: from ``left`` to ``right`` on each piece between ``knot_s``."""

    knot_s: Floats  # [K + 1]
    left: Floats  # [K]
    right: Floats  # [K]

    @property
    def integral(self) -> Floats:
        """The integral from the run's start to each knot, shape [K + 1]."""
        area = 0.5 * (self.left + self.right) * np.diff(self.knot_s)
        return np.concatenate([[0.0], np.cumsum(area)])


class Rate(Protocol):
    """A total rate that can be asked for."""

    @property
    def fills_gaps(self) -> bool:
        """Whether requests are due even where no client of the pool is recorded as active."""

    def factor(self, edge_s: Floats, total_per_s: Floats) -> Factor:
        """The factor on clients' rates, given the windows' edges in the run [W + 1] and the pool's total rate in each
        [W].
        """


@dataclass(frozen=True)
class Scaled:
    """The pool's own rate times ``by``; ``Scaled()`` is the pool's own."""

    by: float = 1.0
    fills_gaps = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.by) and self.by > 0):
            raise UsageError(f"rate x{self.by:g}: the factor must be a number above 0")

    def factor(self, edge_s: Floats, total_per_s: Floats) -> Factor:
        """``by``, everywhere."""
        flat = np.full(total_per_s.size, float(self.by))
        return Factor(edge_s, flat, flat)


@dataclass(frozen=True)
class Bounded:
    """The pool's own rate where it is at most ``most_per_s``, scaled down to that where it is more."""

    most_per_s: float
    fills_gaps = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.most_per_s) and self.most_per_s > 0):
            raise UsageError(f"rate max:{self.most_per_s:g}: the bound must be a number above 0")

    def factor(self, edge_s: Floats, total_per_s: Floats) -> Factor:
        """min(1, bound / total), window by window."""
        flat = np.minimum(1.0, self.most_per_s / np.maximum(total_per_s, 1e-300))
        return Factor(edge_s, flat, flat)


@dataclass(frozen=True)
class Curve:
    """A total rate that is linear between points and constant before the first and after the last.

    ``time_s`` counts from the run's start and rises; ``rate_per_s`` is not negative.
    """

    time_s: tuple[float, ...]
    rate_per_s: tuple[float, ...]
    fills_gaps = True

    def __post_init__(self) -> None:
        time, rate = np.asarray(self.time_s, float), np.asarray(self.rate_per_s, float)
        if time.ndim != 1 or time.shape != rate.shape or time.size == 0:
            raise UsageError(
                "a rate curve is one list of times and one of rates, of the same length, at least one point"
            )
        if not (np.isfinite(time).all() and np.isfinite(rate).all()):
            raise UsageError("a rate curve holds finite numbers only")
        if (np.diff(time) <= 0).any():
            raise UsageError("the times of a rate curve must rise from point to point")
        if (rate < 0).any() or not (rate > 0).any():
            raise UsageError("the rates of a curve must not be negative, and not all 0")

    @classmethod
    def read(cls, path: str | Path) -> Curve:
        """From a CSV of time in seconds and rate per second, with or without a header line."""
        points: list[tuple[float, float]] = []
        try:
            with Path(path).open(newline="", encoding="utf-8-sig") as file:
                for line, row in enumerate(csv.reader(file), start=1):
                    if not row or (line == 1 and not _is_number(row[0])):
                        continue
                    if len(row) != 2 or not all(map(_is_number, row)):
                        raise DataError(f"{path}:{line}: expected 'time_s,rate_per_s', found {','.join(row)[:60]!r}")
                    points.append((float(row[0]), float(row[1])))
        except (UnicodeDecodeError, csv.Error) as fault:
            raise DataError(f"{path}: not a text file of 'time_s,rate_per_s' lines") from fault
        except OSError as fault:
            raise UsageError(f"{path}: cannot be read: {fault.strerror}") from fault
        if not points:
            raise DataError(f"{path}: holds no line of 'time_s,rate_per_s'")
        try:
            return cls(*map(tuple, zip(*points, strict=True)))
        except UsageError as fault:
            raise DataError(f"{path}: {fault}") from fault

    def factor(self, edge_s: Floats, total_per_s: Floats) -> Factor:
        """rate / total, with a knot at every edge and every point."""
        inside = [t for t in self.time_s if edge_s[0] < t < edge_s[-1]]
        knot_s = np.unique(np.concatenate([edge_s, inside]))
        window = np.searchsorted(edge_s, knot_s[:-1], side="right") - 1
        total = total_per_s[window]
        level = np.interp(knot_s, self.time_s, self.rate_per_s)
        safe = np.where(total > 0, total, np.inf)
        return Factor(knot_s, level[:-1] / safe, level[1:] / safe)


def constant(rate_per_s: float) -> Curve:
    """The same total rate at all times."""
    if not (np.isfinite(rate_per_s) and rate_per_s > 0):
        raise UsageError(f"rate {rate_per_s:g}: must be a number of requests a second above 0")
    return Curve((0.0,), (float(rate_per_s),))


def parse_rate(text: str | float | Sequence[tuple[float, float]] | NDArray[Any] | Rate | None) -> Rate:
    """The rate that a person wrote: ``100``, ``x0.5``, ``max:300``, ``own``, a CSV file of a curve, or its points.

    >>> parse_rate("x0.5")
    Scaled(by=0.5)
    """
    if text is None:
        return Scaled()
    if isinstance(text, (int, float, np.integer, np.floating)):
        return constant(float(text))
    if isinstance(text, np.ndarray):
        return parse_rate(text.tolist())
    if isinstance(text, Sequence) and not isinstance(text, str):
        if not text or any(not isinstance(point, Sequence) or len(point) != 2 for point in text):
            raise UsageError("a rate curve is a list of (time_s, rate_per_s) points")
        return Curve(tuple(float(t) for t, _ in text), tuple(float(r) for _, r in text))
    if not isinstance(text, str):
        return text
    if text == "own":
        return Scaled()
    if _is_number(text):
        return constant(float(text))
    if text.startswith("x") and _is_number(text[1:]):
        return Scaled(float(text[1:]))
    if text.startswith("max:") and _is_number(text[4:]):
        return Bounded(float(text[4:]))
    if Path(text).is_file():
        return Curve.read(text)
    raise UsageError(
        f"rate {text!r} is no number, no factor like x0.5, no bound like max:300, not 'own', and no CSV file"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
