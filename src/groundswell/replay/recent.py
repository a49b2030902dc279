"""What came of the requests of the last few seconds of a run that goes on, from what workers write down."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswell.replay.journal import ERROR, ERRORS, Records

WINDOW_S = 10.0
_NO_STATE = (0, 0, 0, 0, 0, 0)
MOST_ROWS = 2**17
"""The newest requests that percentiles are of, where more end in a window."""


class Spread(NamedTuple):
    """Percentiles by nearest rank, in seconds: infinite where so many requests failed, nan where there are none."""

    p50_s: float
    p99_s: float
    most_s: float


class Totals(NamedTuple):
    """Requests since the run's begin; ``open`` and ``held``: now."""

    due: int
    sent: int
    ended: int
    open: int
    held: int
    failed: int


@dataclass(frozen=True)
class Figures:
    """The state of a run. Rates and percentiles are of the last window, errors of the whole run."""

    now_s: float
    all: Totals
    due_per_s: float
    """Requests that came due; of these :attr:`sent_per_s` were sent, and the rest held back."""
    sent_per_s: float
    ended_per_s: float
    tokens_per_s: float
    """Tokens of replies that ended, as their servers count them."""
    ttft: Spread
    """From when a request was due to its first token; a failed one never had it."""
    tpot: Spread
    """From the first token to the end, over the tokens but the first."""
    lag: Spread
    """From when a request was due to when it was sent."""
    errors: dict[str, int] = field(default_factory=dict)
    """How many requests failed how, the most frequent first; ``status 429`` and so on for a status."""


class Recent:
    """Takes records and states as they come, and tells :meth:`figures`. Memory is bounded by :data:`MOST_ROWS`."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self.window_s = window_s
        self._rows = np.empty((5, 0))  # ended at, TTFT, TPOT, lag, output tokens
        self._totals: deque[tuple[float, Totals]] = deque()
        self._failed = np.zeros(len(ERRORS), np.int64)
        self._statuses: dict[int, int] = {}

    def add(self, now_s: float, records: Sequence[Records], states: Sequence[tuple[int, ...]]) -> None:
        """Take the records that came since the last call, and each worker's newest :data:`~.journal.STATE`."""
        sent, ended, opened, held, failed, _ = (sum(figures) for figures in zip(_NO_STATE, *states, strict=True))
        self._totals.append((now_s, Totals(sent + held, sent, ended, opened, held, failed)))
        # One that is older than the window stays, to count from.
        while len(self._totals) > 2 and self._totals[1][0] <= now_s - self.window_s:
            self._totals.popleft()
        new = [self._columns(part) for part in records if len(part)]
        rows = np.concatenate([self._rows, *new], axis=1) if new else self._rows
        self._rows = rows[:, rows[0] > now_s - self.window_s][:, -MOST_ROWS:]

    def figures(self) -> Figures:
        """The figures as of the last call of :meth:`add`."""
        now_s, totals = self._totals[-1] if self._totals else (0.0, Totals(0, 0, 0, 0, 0, 0))
        before_s, before = self._totals[0] if self._totals else (0.0, totals)
        long_s = now_s - before_s
        _, ttft, tpot, lag, tokens = self._rows
        return Figures(
            now_s=now_s,
            all=totals,
            due_per_s=(totals.due - before.due) / long_s if long_s else math.nan,
            sent_per_s=(totals.sent - before.sent) / long_s if long_s else math.nan,
            ended_per_s=(totals.ended - before.ended) / long_s if long_s else math.nan,
            tokens_per_s=float(tokens.sum()) / long_s if long_s else math.nan,
            ttft=spread(ttft),
            tpot=spread(tpot),
            lag=spread(lag),
            errors=self._errors(),
        )

    def _columns(self, records: Records) -> NDArray[np.float64]:
        error, tokens = records["error"], records["output_tokens"]
        failed = error != 0
        self._failed += np.bincount(np.minimum(error, len(ERRORS) - 1), minlength=len(ERRORS))
        for status, count in zip(
            *np.unique(records["status"][error == ERROR["status"]], return_counts=True), strict=True
        ):
            self._statuses[int(status)] = self._statuses.get(int(status), 0) + int(count)
        ttft = np.where(failed, math.inf, records["first_token_s"] - records["due_s"])
        with np.errstate(divide="ignore", invalid="ignore"):
            tpot = (records["done_s"] - records["first_token_s"]) / (tokens - 1)
        tpot = np.where(failed, math.inf, np.where(tokens > 1, tpot, math.nan))
        return np.array([records["done_s"], ttft, tpot, records["sent_s"] - records["due_s"], np.maximum(tokens, 0)])

    def _errors(self) -> dict[str, int]:
        counts = {
            kind: int(count) for kind, count in zip(ERRORS, self._failed, strict=True) if kind not in ("", "status")
        }
        counts |= {f"status {status}": count for status, count in self._statuses.items()}
        return {kind: count for kind, count in sorted(counts.items(), key=lambda item: -item[1]) if count}


def spread(values: NDArray[np.float64]) -> Spread:
    """The percentiles of ``values``, without those that are nan: the least value that so large a share does not exceed.

    >>> spread(np.array([3.0, 1.0, 2.0, np.nan]))
    Spread(p50_s=2.0, p99_s=3.0, most_s=3.0)
    """
    values = values[~np.isnan(values)]
    if not values.size:
        return Spread(math.nan, math.nan, math.nan)
    ranks = [math.ceil(q * values.size) - 1 for q in (0.5, 0.99, 1.0)]
    found = np.partition(values, ranks)
    return Spread(*(float(found[rank]) for rank in ranks))


class Course:
    """How a figure went over a whole run, in at most ``most`` points; of two too many the larger stays."""

    def __init__(self, step_s: float = 1.0, most: int = 64) -> None:
        self.step_s = step_s
        self.points: list[float] = []
        self._most, self._next_s = most, 0.0

    def add(self, now_s: float, value: float) -> None:
        """Take a value; those that come before a step has passed are left out."""
        if now_s < self._next_s:
            return
        self.points.append(value)
        if len(self.points) > self._most:
            pairs = zip(self.points[::2], [*self.points[1::2], math.nan], strict=False)
            self.points = [max(pair, key=lambda value: -math.inf if math.isnan(value) else value) for pair in pairs]
            self.step_s *= 2
        self._next_s = now_s + self.step_s
