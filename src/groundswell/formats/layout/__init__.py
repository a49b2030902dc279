"""How the rows of somebody's file become rows of a workload: what a format says of itself to be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import polars as pl

Kind = Literal["csv", "jsonl", "json", "parquet"]


@dataclass(frozen=True)
class Head:
    """The beginning of a file: what sniffing looks at."""

    path: Path
    kind: Kind
    """What the bytes are: CSV with a header, one JSON object a line, one JSON document, or Parquet."""
    columns: tuple[str, ...]
    """The header of a CSV without a byte-order mark, the columns of a Parquet file, the keys of the first objects."""
    first: tuple[Mapping[str, Any], ...]
    """Up to 100 of the first rows; a CSV's values as text."""
    types: Mapping[str, pl.DataType] = field(default_factory=dict)
    """The types of a Parquet file's columns."""


REFUSED = "refused"
"""A column beside a workload's: what is wrong with a row whose values do not fit each other, and null for others."""


@dataclass(frozen=True)
class Layout:
    """What to read of a file, and what its rows mean."""

    raw: Mapping[str, pl.DataType]
    """The columns to read, with the types they have if the file is right."""
    rows: Callable[[pl.DataFrame], pl.DataFrame]
    """From a frame of the raw columns, and ``line`` (u32: where in the file the row is), to a workload's columns.

    ``arrival_s`` is a float of seconds on the file's own clock (Unix seconds where the file has dates), ``client`` is
    text or absent, ``line`` stays as it is. Rows need not be sorted, may be more or fewer than the raw ones, and hold
    null where a value is missing or cannot be meant: the reader says so, with the line. With :data:`REFUSED` the layout
    says itself what is wrong with a row.
    """
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What is known beforehand: ``prefix_block_tokens``, ``dated`` (arrivals are Unix time), ``client_is``."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Which column of the file a workload's column comes from, so that errors name what a person finds there."""
    notes: tuple[str, ...] = ()
    """What a person should know of how this was read, one sentence each."""


class Readable(Protocol):
    """What a format's part has so that its files can be read."""

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether a file that begins so is of this format and no other."""

    def layout(self, head: Head) -> Layout:
        """How to read this file. Raises UsageError that names the column that is missing and those that there are."""
