"""When second 0 of a workload is, for formats that write dates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

START_KEY = "start_unix_s"
"""Where a workload's metadata says at what Unix time its second 0 is."""

UNDATED = datetime(2023, 11, 16, tzinfo=UTC)
"""Second 0 of a workload that does not say: the day of Azure's first traces, from midnight."""


def unix_start(metadata: Mapping[str, Any]) -> float:
    """The Unix time of second 0, as the workload says or else as :data:`UNDATED` does."""
    start = metadata.get(START_KEY)
    return float(start) if isinstance(start, (int, float)) else UNDATED.timestamp()


def dates(metadata: Mapping[str, Any]) -> pl.Expr:
    """Arrivals as dates and times of ISO 8601, in UTC and with six decimals."""
    # Added up as whole microseconds: a float of Unix seconds does not hold them.
    microsecond = (pl.col("arrival_s") * 1e6).round().cast(pl.Int64) + round(unix_start(metadata) * 1e6)
    return microsecond.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
