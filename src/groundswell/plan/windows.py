"""Which part of a workload is planned for: all of it, or of a long one the windows that ask for most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.plan.alone import Alone, busy_s
from groundswell.plan.figures import Window
from groundswell.simulate.parts import Engine
from groundswell.table import Workload
from groundswell.units import show_duration

Floats = NDArray[np.float64]

ALL = "all of it"
"""Why a part is planned for that is no window."""
WHOLE_S = 7200.0
"""A workload of at most this length is planned for as a whole."""
WINDOW_S = 600.0
EACH = 2
"""So many windows are taken by each measure."""
_STEPS = 10
"""Windows are looked for at tenths of their length."""
_BURST_S = 10.0
_LEAST_S, _SHARE = 30.0, 0.1
_FILL = 2.0
"""A fleet fills while requests are in it, which takes longer than for one that has it alone."""


@dataclass(frozen=True, eq=False)
class Part:
    """A stretch of a workload, with what comes before and behind, so that the fleet is neither empty nor left alone.

    ``workload`` counts time from ``from_s`` of the whole; what is due from ``begin_s`` to ``end_s`` of its own time is
    judged.
    """

    workload: Workload
    from_s: float
    begin_s: float
    end_s: float
    why: str
    alone: Alone = field(repr=False)
    busy: float
    """So many instances are busy all the time with what is judged, at least."""

    @property
    def span_s(self) -> float:
        """To the last arrival."""
        return float(self.workload.arrival_s[-1])

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Whether each request is judged, if none is held up."""
        at_s = self.workload.arrival_s
        return (at_s >= self.begin_s) & (at_s <= self.end_s)

    def least(self, waits_s: float) -> float:
        """So many instances there must be, or what is judged is held up for more than ``waits_s``: what comes in a
        window may be worked off so much later, and as long as requests take. All of a workload that takes more than
        there are is an overload, however it ends."""
        width_s = self.end_s - self.begin_s
        return self.busy if self.why == ALL else self.busy * width_s / (width_s + waits_s + _FILL * self._slow_s)

    @cached_property
    def _slow_s(self) -> float:
        return _slow_s(self.alone)

    @property
    def window(self) -> Window:
        """As the plan tells of it."""
        begin_s, end_s = self.from_s + self.begin_s, self.from_s + self.end_s
        return Window(begin_s, end_s, int(self.judged.sum()), self.why)


@dataclass(frozen=True, eq=False)
class Whole:
    """A workload from its first request on, and what each request takes alone."""

    workload: Workload
    alone: Alone
    engine: Engine

    @property
    def span_s(self) -> float:
        """To the last arrival."""
        return float(self.workload.arrival_s[-1])

    @property
    def slow_s(self) -> float:
        """The p95 of the time that requests take alone."""
        return _slow_s(self.alone)

    @property
    def lead_s(self) -> float:
        """How long the fleet is given to fill before requests are judged: twice :attr:`slow_s`, half a minute at
        least."""
        return max(_FILL * self.slow_s, _LEAST_S)

    @property
    def short(self) -> str:
        """Why the workload is short for its requests, in words; empty where it is not."""
        if _FILL * self.slow_s <= _SHARE * self.span_s:
            return ""
        return (
            f"one request in 20 takes {show_duration(self.slow_s)} or more even alone, and the workload lasts "
            f"{show_duration(self.span_s)}: fleets are still filling while they are judged, and may need more later"
        )

    def parts(self, window_s: float | None = None, least: int = 0) -> tuple[list[Part], str]:
        """What is planned for, and the rule in words. ``window_s`` is how long windows are; if it is None, a workload
        that is short enough is taken as a whole, and windows of others are as many times longer than ten minutes as it
        takes for ``least`` requests in one of them."""
        if window_s is not None:
            if not 1.0 <= window_s <= self.span_s:
                raise UsageError(
                    f"a window of {show_duration(window_s)}: must be at least 1s, and no longer than the workload, "
                    f"which lasts {show_duration(self.span_s)}"
                )
            return self._windows(window_s)
        width_s = WINDOW_S
        while self.span_s > WHOLE_S and 2.0 * width_s <= self.span_s:
            chosen, rule = self._windows(width_s)
            if max(int(part.judged.sum()) for part in chosen) >= least:
                return chosen, rule
            width_s *= 2.0
        edge_s = min(self.lead_s, _SHARE * self.span_s)
        part = self._part(self.workload, 0.0, (edge_s, self.span_s - edge_s), ALL, self.alone)
        said = show_duration(edge_s)
        return [part], f"all of it is planned for; requests of its first and last {said} are served, but not judged"

    def _windows(self, width_s: float) -> tuple[list[Part], str]:
        """The windows of a length that ask for most, and the rule."""
        chosen = [self.cut(at_s, at_s + width_s, why) for at_s, why in self._worst(width_s)]
        rule = (
            f"planned for windows of {show_duration(width_s)}, and the SLO is asked of each of them: the {EACH} with "
            f"the most prompt tokens, the {EACH} with the most reply tokens, and those around the {EACH} busiest "
            f"{_BURST_S:g} s, where they are not the same; each is served with the {show_duration(self.lead_s)} before "
            f"and behind it, which are not judged"
        )
        return chosen, rule

    def cut(self, begin_s: float, end_s: float, why: str = "") -> Part:
        """The requests from ``begin_s`` to ``end_s`` as a part, with those of :attr:`lead_s` around them."""
        from_s = max(begin_s - self.lead_s, 0.0)
        low, high = np.searchsorted(self.workload.arrival_s, [from_s, end_s + self.lead_s])
        return self._slice(int(low), int(high), from_s, (begin_s, end_s), why)

    def without(self, client: str, parts: list[Part]) -> list[Part]:
        """``parts`` where ``client`` sends nothing; those of which nothing is left are left out."""
        found = []
        for part in parts:
            kept = (part.workload.frame["client"] != client).to_numpy()
            if (kept & part.judged).any():
                frame, alone = part.workload.frame.filter(pl.Series(kept)), part.alone.at(kept)
                workload = Workload(frame, part.workload.metadata)
                found.append(self._part(workload, part.from_s, (part.begin_s, part.end_s), part.why, alone))
        return found

    def _slice(self, low: int, high: int, from_s: float, judged_s: tuple[float, float], why: str) -> Part:
        frame = self.workload.frame.slice(low, high - low).with_columns(pl.col("arrival_s") - from_s)
        workload = Workload(frame, self.workload.metadata)
        alone = replace(self.alone.at(slice(low, high)), arrival_s=workload.arrival_s)
        return self._part(workload, from_s, (judged_s[0] - from_s, judged_s[1] - from_s), why, alone)

    def _part(self, workload: Workload, from_s: float, judged_s: tuple[float, float], why: str, alone: Alone) -> Part:
        begin_s, end_s = judged_s
        busy = demand(self.engine, alone, np.array([begin_s]), end_s - begin_s)[0]
        return Part(workload, from_s, begin_s, end_s, why, alone, float(busy))

    def _worst(self, width_s: float) -> Iterator[tuple[float, str]]:
        """Where the windows that ask for most begin, and by what."""
        begins = np.arange(0.0, self.span_s - width_s * (1.0 - 1.0 / _STEPS), width_s / _STEPS)
        begins = np.minimum(begins, self.span_s - width_s)
        taken: list[float] = []
        for why, asked in self._measures(begins, width_s):
            own: list[float] = []
            for _ in range(EACH):
                free = np.all([np.abs(begins - at_s) >= width_s for at_s in own], axis=0) if own else asked >= 0.0
                if not (free & (asked > 0)).any():
                    break
                at_s = float(begins[np.argmax(np.where(free, asked, -1.0))])
                own.append(at_s)
                if all(abs(at_s - other) > width_s / 2 for other in taken):
                    taken.append(at_s)
                    yield at_s, why

    def _measures(self, begins: Floats, width_s: float) -> Iterator[tuple[str, Floats]]:
        alone = self.alone
        fits = ~alone.too_long
        for why, tokens in (("most prompt tokens", alone.prompt * fits), ("most reply tokens", alone.output * fits)):
            yield why, summed(alone.arrival_s, tokens, begins, width_s)
        bins = np.arange(0.0, self.span_s, _BURST_S)
        most = demand(self.engine, alone, bins, _BURST_S)
        middle = np.searchsorted(bins, begins + 0.2 * width_s), np.searchsorted(bins, begins + 0.8 * width_s)
        burst = [most[a:b].max(initial=0.0) for a, b in zip(*middle, strict=True)]
        yield f"the busiest {_BURST_S:g} s", np.array(burst)


def _slow_s(alone: Alone) -> float:
    there = alone.e2e_s[~alone.too_long]
    return float(np.quantile(there, 0.95)) if there.size else 0.0


def summed(arrival_s: Floats, values: NDArray[np.generic], begins: Floats, width_s: float) -> Floats:
    """The sum of ``values`` of what arrives within ``width_s`` from each of ``begins`` on."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=float)])
    low, high = np.searchsorted(arrival_s, begins), np.searchsorted(arrival_s, begins + width_s)
    return np.asarray(total[high] - total[low])


def demand(engine: Engine, alone: Alone, begins: Floats, width_s: float) -> Floats:
    """How many instances are busy all the time, at least, with what arrives within ``width_s`` from each of ``begins``
    on."""
    work, tokens, steps = (
        summed(alone.arrival_s, values, begins, width_s) for values in (alone.work_s, alone.tokens, alone.steps)
    )
    return busy_s(engine, work, tokens, steps) / width_s
