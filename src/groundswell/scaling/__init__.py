"""Autoscalers: how many instances a fleet should have, one file each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from groundswell.family import Family


@dataclass(frozen=True)
class Seen:
    """What an autoscaler knows of a fleet."""

    at_s: float
    up: int
    """Instances that take requests."""
    starting: int
    """Instances that will, when they have started."""
    in_flight: int
    waiting: int
    arrived: int
    """Requests since it last looked."""
    kv_use: float
    """Share of the blocks of instances that are up which are held."""
    startup_s: float
    every_s: float


class Scaler(Protocol):
    """How many instances there should be."""

    @property
    def every_s(self) -> float:
        """How often it looks."""

    def begin(self) -> Callable[[Seen], int]:
        """For one run: how many instances there should be, from now on or as soon as they have started, given what is
        seen. It is called every ``every_s``, in order, and may remember what it saw."""


class Tunable(Scaler, Protocol):
    """One that can be told how much each instance is meant to have, so that this can be looked for."""

    unit: ClassVar[str]
    """Of :attr:`load`, in words."""

    @property
    def load(self) -> float:
        """How much each instance is meant to have."""

    def with_load(self, load: float) -> Tunable:
        """The same, but for how much each instance is meant to have."""


SCALING: Family[Tunable] = Family("scaling", "groundswell.scaling")
