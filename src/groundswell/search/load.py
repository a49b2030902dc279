"""A workload at another rate, with its own structure: the same requests for the same seed, whatever the rate."""

from __future__ import annotations

from typing import Literal

import polars as pl

from groundswell.errors import UsageError
from groundswell.replay.source import Source
from groundswell.rescale import rescale
from groundswell.search import LEAST_REQUESTS
from groundswell.table import COLUMNS, Workload, client_column

Scale = Literal["rates", "clients"]

_METHODS = {"rates": "itt", "clients": "thin:by=client"}


class Load:
    """A workload that can be asked for at any rate.

    ``scale`` says what is changed: the ``rates`` of all clients (conversations begin faster, and go on as they did), or
    which ``clients`` take part (a sample of them; copies where more are asked for than there are).
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
        # A workload is taken from its first request on: a rate is one of the time in which there is something.
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
        """``span_s`` of the workload at ``rate_per_s``, or as much as there is of it.

        A longer span begins with the requests of a shorter one, and with ``rates`` so does a higher rate. Raises
        UsageError where fewer than 100 requests are left.
        """
        factor = rate_per_s / self.rate_per_s
        # itt makes of the first seconds what it makes of them as a part of more, so only those that matter are scaled.
        needed_s = span_s * factor * 1.01 if self._scale == "rates" else span_s
        part = self._workload.frame.filter(pl.col("arrival_s") < needed_s)
        blocks = rescale([Workload(part, self._workload.metadata)], factor, _METHODS[self._scale], self._seed)
        frames = [block.frame.filter(pl.col("arrival_s") < span_s) for block in blocks]
        whole = pl.concat(frames, rechunk=True)
        if whole.height < LEAST_REQUESTS:
            raise UsageError(
                f"{self.name}: at {rate_per_s:.4g} req/s it has {whole.height} requests in {span_s:g} s; "
                f"a trial takes {LEAST_REQUESTS} or more: make --trial longer, or the workload"
            )
        return Workload(whole, self._workload.metadata)

    def most_s(self, rate_per_s: float) -> float:
        """How long the workload lasts at ``rate_per_s``."""
        return self.span_s * (self.rate_per_s / rate_per_s if self._scale == "rates" else 1.0)
