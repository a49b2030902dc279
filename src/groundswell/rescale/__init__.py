"""A trace at another rate: by the pace of its conversations or of its whole clock, by fewer or more of its senders, or
by a model fitted to it.

A part is a frozen dataclass of the choices it leaves to a person. It says what becomes of the span that a workload
covers, and makes the rescaled workload of blocks in order of time, which it goes through once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import ClassVar, Protocol

from groundswell.errors import UsageError
from groundswell.family import Family
from groundswell.rescale._selection import Selected, Selection
from groundswell.rescale._target import Target
from groundswell.table import Workload

LEAST_FACTOR, MOST_FACTOR = 1e-4, 1e4

__all__ = ["METHODS", "Method", "Selected", "Selection", "Target", "rescale"]


class Method(Protocol):
    """What a way of rescaling says of itself."""

    shortens: ClassVar[bool]
    """Whether the span is divided by the factor; if not, it is kept."""

    def rescaled(self, blocks: Iterable[Workload], factor: float, seed: int) -> Iterator[Workload]:
        """``blocks``, which are in order of time from 0 s on, at ``factor`` times their rate, in order again."""


METHODS: Family[Method] = Family("methods", __name__)


def rescale(
    blocks: Iterable[Workload], factor: float, method: Method | str = "itt", seed: int = 0
) -> Iterator[Workload]:
    """The requests of ``blocks`` at ``factor`` times their rate, in blocks in order of time, from 0 s on.

    ``method`` is a part or its text, such as ``itt`` or ``thin:by=client``. Blocks are in order of time and count it
    from the begin of the span that they cover (:class:`Selection` makes such blocks of a trace). Memory does not grow
    with the number of requests. The same seed gives the same rows, however the blocks are cut.

    Raises :class:`UsageError` for a factor that cannot be meant, :class:`DataError` for turns without a conversation or
    before its first.
    """
    part = METHODS.build(method) if isinstance(method, str) else method
    return part.rescaled(blocks, checked_factor(factor), seed)


def checked_factor(factor: float) -> float:
    """``factor``, if it is one."""
    if not (math.isfinite(factor) and LEAST_FACTOR <= factor <= MOST_FACTOR):
        raise UsageError(f"a factor of {factor:g}: must be a number from {LEAST_FACTOR:g} to {MOST_FACTOR:,.0f}")
    return factor
