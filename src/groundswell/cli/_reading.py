"""The options of verbs that read a workload as often as they need it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from groundswell.cli import _options as take

if TYPE_CHECKING:
    from groundswell.replay.source import Source


@dataclass(frozen=True)
class Reading:
    """How a workload is read (:func:`groundswell.cli._groups.with_options`)."""

    from_: take.From = None
    columns: take.Map = None
    time_unit: take.TimeUnit = None
    block_tokens: take.TableBlockTokens = None
    client_by: take.ClientBy = None
    bad_rows: take.BadRows = "stop"
    dequantise: take.Dequantise = False

    def opened(self, path: Path) -> Source:
        """The workload in a file, and what a person should know of it on stderr."""
        from groundswell.cli._traces import opened_source

        return opened_source(
            path,
            self.from_,
            self.columns,
            self.time_unit,
            self.block_tokens,
            self.client_by,
            self.bad_rows,
            self.dequantise,
        )
