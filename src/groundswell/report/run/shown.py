"""A run as the page shows it: its name, what came of it, and the judgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groundswell.characterize.figures import Series
from groundswell.report import words
from groundswell.report.run import summaries
from groundswell.stats.fits import Floats

if TYPE_CHECKING:
    from groundswell.judge.figures import Judgement
    from groundswell.results import Results

MOST_NAME = 20


@dataclass(frozen=True, eq=False)
class Shown:
    """One run of a page."""

    name: str
    results: Results
    judgement: Judgement

    @cached_property
    def span_s(self) -> float:
        """From the run's start to the last of what is known of it: the last reply, or reading of a metric."""
        over_time, at, done = self.judgement.over_time, self.metric("at_s"), self.results.floats("done_s")
        ends = (over_time.at_s[-1:] + over_time.width_s, at[np.isfinite(at)][-1:], done[np.isfinite(done)])
        return max(self.judgement.window.span_s, 1e-3, *(float(end.max(initial=0.0)) for end in ends))

    @property
    def simulated(self) -> bool:
        """Whether nothing was sent: its requests came, and its fleet tells of itself."""
        return bool(self.judgement.run.get("simulated"))

    @property
    def width_s(self) -> float:
        """The length of the stretches of the server's metrics."""
        return summaries.width_s(self.span_s)

    @property
    def rate_width_s(self) -> float:
        """The length of the stretches in which requests are counted: those of the judgement, if that is not many."""
        return max(self.judgement.over_time.width_s, self.width_s)

    def metric(self, name: str) -> Floats:
        """One of the server's metrics, a value a reading; empty where there is none, or none that can be meant."""
        given = self.results.series.get(name)
        numbers = isinstance(given, list) and all(value is None or _is_number(value) for value in given)
        value = np.array(given if numbers else [], np.float64)
        return value if name == "at_s" or value.size == self.metric("at_s").size else np.empty(0)

    def over_time(self, name: str) -> Series:
        """One of the judgement's figures over time; what is infinite is nan."""
        over_time = self.judgement.over_time
        value = np.asarray(getattr(over_time, name), np.float64)
        return Series(over_time.width_s, over_time.at_s, np.where(np.isfinite(value), value, np.nan))

    def never(self, name: str) -> Floats:
        """The middles of the stretches in which one of the judgement's latencies over time is infinite."""
        over_time = self.judgement.over_time
        return np.asarray(over_time.at_s[np.isposinf(getattr(over_time, name))] + over_time.width_s / 2)

    def rate(self, name: str, keep: NDArray[np.bool_] | None = None) -> Series:
        """How many requests a second had the time of a column in each stretch, up to the end of the last one: also
        what ended after the last was due. Of all requests, or those to keep."""
        at = self.results.floats(name)
        at = at if keep is None else at[keep]
        return summaries.rate(at[np.isfinite(at)], self.span_s, self.rate_width_s)


def names(paths: Sequence[Path]) -> list[str]:
    """The files by the ends of their paths, as much of them as tells them apart."""
    return words.labels(words.ends([str(path) for path in paths]), MOST_NAME)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def teller(runs: Sequence[Shown]) -> str:
    """Who tells what cannot be seen from outside: a server, or the fleet of a simulation."""
    kinds = {run.simulated for run in runs}
    return "server or fleet" if len(kinds) > 1 else "fleet" if True in kinds else "server"


def arrived(runs: Sequence[Shown]) -> str:
    """What requests did first, "were sent" or, where nothing is sent, "came"."""
    kinds = {run.simulated for run in runs}
    return "were sent or came" if len(kinds) > 1 else "came" if True in kinds else "were sent"
