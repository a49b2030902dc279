"""When second 0 of a workload is, for formats that write dates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

START_KEY = "start_unix_s"
"""Where a workload's metadata says at what Unix time its second 0 is."""

UNDATED = datetime(2023, 11, 16, tzinfo=UTC)
"""Second 0 of a workload that does not say: the day of Azure's first traces, from midnight."""


def unix_start(metadata: Mapping[str, Any]) -> float:
    """The Unix time of second 0."""
    start = metadata.get(START_KEY)
    return float(start) if isinstance(start, (int, float)) else UNDATED.timestamp()
