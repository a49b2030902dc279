"""What every topic's charts share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundswell.report import palette
from groundswell.report.axes import Clock


@dataclass(frozen=True)
class Context:
    """The trace's clock, and its busiest clients, who keep their colours throughout."""

    clock: Clock
    busiest: tuple[str, ...] = ()

    def colours(self, clients: Sequence[str]) -> list[str]:
        """A colour for each client: the busiest have theirs, others take those that are left."""
        own = dict(zip(self.busiest, palette.SERIES, strict=False))
        left = [colour for colour in palette.SERIES if colour not in own.values()] or palette.SERIES
        others = [client for client in clients if client not in own]
        own |= {client: left[i % len(left)] for i, client in enumerate(others)}
        return [own[client] for client in clients]
