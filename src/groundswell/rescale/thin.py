"""Fewer or more of the senders: whole clients or conversations are left out, or come again as others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from groundswell.chance import uniforms
from groundswell.errors import UsageError
from groundswell.rescale import METHODS
from groundswell.rescale._cloning import cloned
from groundswell.rescale._units import CHOICE, KINDS, Units
from groundswell.rescale._waiting import in_time
from groundswell.table import Workload
from groundswell.units import parse_duration

JITTER = "5m"


@METHODS.register("thin")
@dataclass(frozen=True)
class Thin:
    """A sample of the units for a factor below 1; for one above, each unit and its copies: as many as the whole part of
    the factor says, and one more for a sample of the units.

    ``by`` says what a unit is: ``client``, ``conversation`` (a request without one is a unit), ``request``; ``auto`` is
    conversations where a trace names them, else clients, else requests. A unit is chosen by a hash of its name and the
    seed, so its chance is the same for all and the expected number of requests is exactly the factor's (Horvitz and
    Thompson, 1952). What is chosen for a factor is chosen for every larger one.

    The span is kept. A copy is moved in time by its own share of ``jitter`` (seconds, or such as 5m; 0 for copies at
    the same instants), round about within stretches of that length, which so keep their numbers of conversations.
    """

    by: str = "auto"
    jitter: float | str = JITTER
    shortens: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.by not in ("auto", *KINDS):
            raise UsageError(f"thin: by must be {', '.join(KINDS)} or auto, not {self.by!r}")
        if not (math.isfinite(self.jitter_s) and self.jitter_s >= 0):
            raise UsageError(f"thin: jitter must be a duration such as 5m, not {self.jitter!r}")

    @property
    def jitter_s(self) -> float:
        """In seconds."""
        return parse_duration(self.jitter) if isinstance(self.jitter, str) else float(self.jitter)

    def rescaled(self, blocks: Iterable[Workload], factor: float, seed: int) -> Iterator[Workload]:
        """``blocks`` with ``factor`` times the units. Where there are copies, what waits is what arrives in twice
        ``jitter``.
        """
        if factor > 1.0:
            return in_time(cloned(blocks, factor, self.by, self.jitter_s, seed))
        return _sampled(blocks, factor, self.by, seed)


def _sampled(blocks: Iterable[Workload], share: float, by: str, seed: int) -> Iterator[Workload]:
    """The requests of a ``share`` of the units."""
    units = Units(by, seed)
    for block in blocks:
        kept = uniforms(units.words(block), CHOICE) < share
        yield Workload(block.frame.filter(pl.Series(kept)), block.metadata)
