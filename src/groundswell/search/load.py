"""A workload at another rate, with its own structure: the same requests for the same seed, whatever the rate."""

from __future__ import annotations

from typing import Literal

import polars as pl

from groundswell.errors import UsageError
from groundswell.replay.source import Source
from groundswell.rescale import rescale
from groundswell.search import LEAST_REQUESTS
from groundswell.table import COLUMNS, Workload, client_column
from groundswell.units import show_duration

Scale = Literal["rates", "clients"]

_METHODS = {"rates": "itt", "clients": "thin:by=client"}
MOST_COPIES = 100.0
"""Of clients no more than so many times those that there are."""
_NEAR = 0.005
"""So near the rate comes to what is asked for, where the workload can be had at any rate."""
_STEPS = 4


class Load:
    """A workload that can be asked for at any rate.

    ``scale`` says what is changed: the ``rates`` of all clients (conversations begin faster, and go on as they did), or
    which ``clients`` take part (a sample of them; copies where more are asked for than there are). It is taken from
    its first request on. Raises UsageError for a workload that is too short to search with.
    """

    def __init__(self, source: Source, scale: Scale, seed: int = 0) -> None:
        if scale not in _METHODS:
            raise UsageError(f"scale {scale!r}: must be rates or clients")
        frames = [
            frame.drop("row").with_columns(client_column(frame["client"].to_numpy(), source.clients))
            for frame in source.blocks(tuple(COLUMNS))
        ]
        whole = pl.concat(frames, rechunk=True) if frames else pl.DataFrame()
        if whole.height < LEAST_REQUESTS:
            raise UsageError(f"{source.name}: has {whole.height} requests; a search takes {LEAST_REQUESTS} or more")
        self._workload = Workload(
            whole.with_columns(pl.col("arrival_s") - whole["arrival_s"][0]), dict(source.metadata)
        )
        self._scale: Scale = scale
        self._seed, self.name = seed, source.name
        self.span_s = float(self._workload.arrival_s[-1])
        if not self.span_s > 0:
            raise UsageError(f"{source.name}: all requests are due at one time, so it has no rate")
        self.rate_per_s = len(self._workload) / self.span_s

    def at(self, rate_per_s: float, span_s: float) -> Workload:
        """``span_s`` of the workload at ``rate_per_s``.

        With ``rates`` its first requests, as many as that is, their times scaled so that they take ``span_s``; so a
        longer span and a higher rate begin with the requests of a shorter and a lower one. With ``clients`` those of a
        sample that is part of the sample of every higher rate: its rate is the one that is asked for on average over
        all samples, and as near as whole clients come. Raises UsageError where nothing is left.
        """
        factor = self._factor(rate_per_s, span_s)
        made = self._made(factor, span_s)
        for _ in range(_STEPS if self._scale == "rates" else 0):
            # Turns that come later than the span are missing in it: so many more conversations have to begin.
            ratio = made.height / (rate_per_s * span_s)
            if abs(ratio - 1.0) <= _NEAR or not ratio:
                break
            # Begins go on to the end of the span, though, so that its end is like its begin.
            factor = min(factor / ratio, self.span_s / span_s)
            made = self._made(factor, span_s)
        if not made.height:
            raise UsageError(f"{self.name}: at {rate_per_s:.4g} req/s no client is left in {show_duration(span_s)}")
        return Workload(made, self._workload.metadata)

    def lasts_s(self, rate_per_s: float) -> float:
        """How long the workload lasts at ``rate_per_s``."""
        return len(self._workload) / rate_per_s if self._scale == "rates" else self.span_s

    def most_per_s(self, span_s: float) -> float:
        """The highest rate at which it lasts ``span_s``. Raises UsageError where it does at none."""
        if self._scale == "rates":
            return len(self._workload) / span_s
        if self.span_s < 0.99 * span_s:
            short = f"{self.name}: lasts {show_duration(self.span_s)}, and a trial {show_duration(span_s)}"
            raise UsageError(f"{short}; make --trial shorter, or --scale rates")
        return self.rate_per_s * MOST_COPIES

    def _factor(self, rate_per_s: float, span_s: float) -> float:
        """What to scale by, of the part of the workload that will be asked for."""
        arrival_s = self._workload.arrival_s
        if self._scale == "clients":
            return rate_per_s * span_s / int(arrival_s.searchsorted(span_s))
        wanted = min(round(rate_per_s * span_s), arrival_s.size - 1)
        return max(float(arrival_s[wanted]), 1e-9) / span_s

    def _made(self, factor: float, span_s: float) -> pl.DataFrame:
        # A conversation's turns do not come nearer to its begin, and begins are scaled: of the first seconds itt makes
        # what it makes of them as a part of more.
        needed_s = span_s * max(factor, 1.0) * 1.01 if self._scale == "rates" else span_s
        part = self._workload.frame.filter(pl.col("arrival_s") < needed_s)
        blocks = rescale([Workload(part, self._workload.metadata)], factor, _METHODS[self._scale], self._seed)
        frames = [block.frame.filter(pl.col("arrival_s") < span_s) for block in blocks]
        return pl.concat(frames, rechunk=True) if frames else part.clear()
