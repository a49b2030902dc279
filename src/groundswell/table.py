"""Workload: what to send, one row a request, in columns whose names say their units."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell._version import __version__
from groundswell.errors import DataError, UsageError
from groundswell.schema import Schema
from groundswell.whole_file import appearing, faults_of

Floats = NDArray[np.float64]
Tokens = NDArray[np.int32]

METADATA_KEY = "groundswell"
"""Under this key a Parquet file says where it comes from, as JSON."""

BLOCK_SIZE_KEY = "prefix_block_tokens"
"""Where a workload's metadata says how many tokens each of its prefix blocks stands for."""

PARQUET: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "row_group_size": 2**18}
"""How Parquet is written: benchmarks/bench_formats.py has what each choice costs. That the size of row groups is stated
also makes the bytes independent of how the rows came in."""

ITEM_COLUMNS = ("image_tokens", "audio_tokens", "video_tokens")

REQUIRED = {"arrival_s": pl.Float64(), "client": pl.Enum([]), "input_tokens": pl.Int32(), "output_tokens": pl.Int32()}
OPTIONAL = {
    "reason_tokens": pl.Int32(),
    **dict.fromkeys(ITEM_COLUMNS, pl.List(pl.Int32())),
    "conversation": pl.Int64(),
    "turn": pl.Int16(),
    "think_s": pl.Float64(),
    "prefix_blocks": pl.List(pl.Int64()),
    "prefix_runs": pl.List(pl.Int64()),
    "model": pl.String(),
    "failed": pl.Boolean(),
}
_SCHEMA = Schema("a workload's", REQUIRED, OPTIONAL)
COLUMNS = _SCHEMA.columns
"""Every column a workload can have, and its type; the categories of ``client`` are the clients' names."""

_NOT_NEGATIVE = ("arrival_s", "input_tokens", "output_tokens", "reason_tokens", "think_s", *ITEM_COLUMNS)


@dataclass(frozen=True, eq=False)
class Workload:
    """Requests in order of arrival, and where they come from.

    ``arrival_s`` counts from the workload's start; ``output_tokens`` includes ``reason_tokens``; the sizes of images,
    audio and video are lists, one entry an item, and not counted in ``input_tokens``. ``prefix_blocks`` are the ids of
    a prompt's blocks, or ``prefix_runs`` the same in runs (:mod:`groundswell.prefix`). The constructor checks that the
    columns are there and of the right types; :meth:`checked` looks at the values too. ``metadata`` is what JSON holds.
    """

    frame: pl.DataFrame
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _SCHEMA.check(self.frame.schema, "workload")

    def __len__(self) -> int:
        return self.frame.height

    def __repr__(self) -> str:
        return f"Workload({len(self)} requests; {', '.join(self.frame.columns)})"

    @property
    def arrival_s(self) -> Floats:
        """When each request is due, in seconds from the start, rising."""
        return self.frame["arrival_s"].to_numpy()

    @property
    def input_tokens(self) -> Tokens:
        """The length of each prompt's text."""
        return self.frame["input_tokens"].to_numpy()

    @property
    def output_tokens(self) -> Tokens:
        """The length of each reply, reasoning included."""
        return self.frame["output_tokens"].to_numpy()

    @property
    def client_code(self) -> NDArray[np.uint32]:
        """Each request's sender, as a number into :attr:`clients`."""
        return self.frame["client"].to_physical().cast(pl.UInt32).to_numpy()

    @property
    def clients(self) -> tuple[str, ...]:
        """The names of all clients that are known, whether they sent something or not."""
        return _names_of(self.frame.schema["client"])

    @classmethod
    def from_columns(
        cls,
        arrival_s: Floats,
        client_code: NDArray[np.uint32],
        clients: Sequence[str],
        input_tokens: Tokens,
        output_tokens: Tokens,
        reason_tokens: Tokens | None = None,
        items: Mapping[str, tuple[NDArray[np.integer[Any]], Tokens]] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Workload:
        """A workload that shares the given arrays.

        ``client_code[i]`` is a number into ``clients``. ``items`` has, for ``image_tokens`` and the like, how many
        items each request has and the sizes of all of them in a row.
        """
        columns = [
            pl.Series("arrival_s", arrival_s),
            client_column(client_code, clients),
            pl.Series("input_tokens", input_tokens),
            pl.Series("output_tokens", output_tokens),
        ]
        if reason_tokens is not None:
            columns.append(pl.Series("reason_tokens", reason_tokens))
        for name, (count, size) in (items or {}).items():
            columns.append(list_column(name, count, size))
        return cls(pl.DataFrame(columns), metadata or {})

    @classmethod
    def concat(cls, blocks: Sequence[Workload]) -> Workload:
        """The blocks as one workload, with the metadata of the first. Clients and columns must be the same in all."""
        if not blocks:
            raise UsageError("no blocks to put together; a workload without requests still has one, which is empty")
        for block in blocks:
            if block.frame.schema != blocks[0].frame.schema:
                raise DataError("workload: the blocks differ in their columns or in the clients they know")
        return cls(pl.concat([block.frame for block in blocks], rechunk=True), blocks[0].metadata)

    @classmethod
    def read(cls, path: str | Path) -> Workload:
        """The workload in a Parquet file. Raises UsageError where there is none, DataError for what is wrong in it.

        Whole numbers of other widths are converted, and names kept as text become categories.
        """
        path = Path(path)
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        try:
            frame = pl.read_parquet(path).rechunk()
        except (pl.exceptions.PolarsError, OSError) as fault:
            raise DataError(f"{path}: not a readable Parquet file: {' '.join(str(fault).split())}") from None
        return cls(_SCHEMA.converted(frame, str(path), _alike), parquet_noted(path)).checked(str(path))

    def write(self, path: str | Path) -> None:
        """Write a Parquet file that :meth:`read` gives back. It appears when it is whole."""
        path = Path(path)
        with appearing(path) as place, faults_of(path):
            self.frame.write_parquet(place, metadata=parquet_metadata(self.metadata), **PARQUET)

    def checked(self, where: str = "workload") -> Workload:
        """This workload, if its values can be meant: no gaps, nothing negative, arrivals finite and in order.

        Raises :class:`DataError` that begins with ``where`` and names column and row (counted from 0).
        """
        for name in REQUIRED:
            if self.frame[name].null_count():
                raise DataError(f"{where}: column {name!r} is empty in row {_first(self.frame[name].is_null())}")
        arrival = self.frame["arrival_s"]
        if not arrival.is_finite().all():
            raise DataError(f"{where}: column 'arrival_s' is not finite in row {_first(~arrival.is_finite())}")
        if (arrival.diff() < 0).any():
            raise DataError(
                f"{where}: column 'arrival_s' is not sorted: row {_first(arrival.diff() < 0)} is before the one above"
            )
        for name in _NOT_NEGATIVE:
            if name in self.frame.columns:
                column = self.frame[name]
                low = column.list.min() if isinstance(column.dtype, pl.List) else column
                if (low < 0).any():
                    raise DataError(f"{where}: column {name!r} is negative in row {_first(low < 0)}")
        return self


def parquet_metadata(metadata: Mapping[str, Any]) -> dict[str, str]:
    """What a Parquet file keeps of where it comes from."""
    return {METADATA_KEY: json.dumps({"version": __version__, **metadata}, sort_keys=True)}


def parquet_noted(path: Path) -> dict[str, Any]:
    """What a readable Parquet file says of where it comes from: nothing, if we did not write it.

    Raises DataError if that is not JSON.
    """
    try:
        metadata = json.loads(pl.read_parquet_metadata(path).get(METADATA_KEY, "{}"))
    except ValueError:
        raise DataError(f"{path}: its {METADATA_KEY!r} metadata is not JSON") from None
    return metadata if isinstance(metadata, dict) else {}


def client_column(code: NDArray[np.uint32], clients: Sequence[str]) -> pl.Series:
    """The ``client`` column for numbers into ``clients``."""
    # Casting numbers to an Enum looks every one up; taking rows of a column that holds each name once is faster.
    return _roster(tuple(clients)).gather(pl.Series(code)).alias("client")


def list_column(name: str, count: NDArray[np.integer[Any]], value: NDArray[Any]) -> pl.Series:
    """A column of lists: ``count[i]`` values for row ``i``, taken in turn from ``value``."""
    flat = pl.Series(name, value)
    if not flat.len():
        return pl.Series(name, [[]], dtype=pl.List(flat.dtype)).new_from_index(0, len(count))
    end = np.cumsum(count)
    # Polars makes lists of running numbers, and changes what is in lists as one flat column, at some 50 M rows/s. Its
    # ways to gather rows into lists are five times slower.
    runs = pl.DataFrame({"start": end - count, "end": end}).select(
        pl.int_ranges("start", "end", dtype=pl.UInt32)
        .list.eval(
            pl.element().map_batches(
                lambda place: flat.slice(int(place[0] or 0), place.len()), return_dtype=flat.dtype, is_elementwise=True
            )
        )
        .alias(name)
    )
    return runs[name]


@lru_cache(maxsize=16)
def _roster(clients: tuple[str, ...]) -> pl.Series:
    return pl.Series("client", clients, dtype=pl.Enum(clients))


@lru_cache(maxsize=16)
def _names_of(clients: pl.Enum) -> tuple[str, ...]:
    return tuple(clients.categories)


def _alike(dtype: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether both are whole numbers, or lists of such, of whatever width."""
    return _whole(wanted) and _whole(dtype)


def _whole(dtype: pl.DataType) -> bool:
    return (dtype.inner if isinstance(dtype, pl.List) else dtype).is_integer()


def _first(mask: pl.Series) -> int:
    return int(mask.fill_null(False).arg_max() or 0)
