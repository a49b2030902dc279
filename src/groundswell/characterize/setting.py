"""What every topic of a characterization is told beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from groundswell.errors import UsageError

DAY_S = 86_400.0
SHORTEST_S, LONGEST_S = 0.1, 366 * DAY_S
"""Of a window or a period."""


@dataclass(frozen=True)
class Setting:
    """The choices of a characterization.

    ``window_s`` is the stretch in which arrivals count as stationary: rates, CVs and gap fits are per window (20
    minutes as in ServeGen's figure 1 and BurstGPT). ``period_s`` cuts the day for shifts of lengths. ``midnight_s`` is
    where on the day the trace's second 0 lies, None if the trace does not say; then nothing is said of hours of the
    day.
    ``block_tokens`` is the size of a prefix block. ``seed`` decides what is drawn for bootstraps.
    """

    window_s: float = 1200.0
    period_s: float = 21_600.0
    midnight_s: float | None = None
    block_tokens: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        for what, seconds in (("window", self.window_s), ("period", self.period_s)):
            if not SHORTEST_S <= seconds <= LONGEST_S:
                raise UsageError(f"{what} {seconds:g} s: must be between {SHORTEST_S:g} s and {LONGEST_S:g} s")


def time_of_day_s(metadata: Mapping[str, Any]) -> float | None:
    """The time of day of a trace's second 0: from its date, or from the clock of the pool that made it; else None."""
    start_s = metadata.get("start_unix_s", metadata.get("start_s"))
    return float(start_s) % DAY_S if isinstance(start_s, (int, float)) and isfinite(start_s) else None


def informed(setting: Setting, metadata: Mapping[str, Any]) -> Setting:
    """``setting`` with what the trace says of itself."""
    if setting.midnight_s is None:
        setting = replace(setting, midnight_s=time_of_day_s(metadata))
    if "prefix_block_tokens" in metadata:
        setting = replace(setting, block_tokens=int(metadata["prefix_block_tokens"]))
    return setting
