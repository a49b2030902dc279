"""Results: what came of a workload, one row a request that was due, in columns whose names say their units."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.errors import DataError, UsageError
from groundswell.gap_buckets import LEAST_GAP_S, PER_DOUBLING, gap_of
from groundswell.schema import Schema
from groundswell.table import PARQUET, parquet_metadata, parquet_noted
from groundswell.whole_file import appearing, faults_of

Floats = NDArray[np.float64]

REQUIRED: dict[str, pl.DataType] = {
    "row": pl.Int64(),
    "client": pl.Enum([]),
    "input_tokens": pl.Int32(),
    "asked_tokens": pl.Int32(),
    "due_s": pl.Float64(),
    "first_token_s": pl.Float64(),
    "done_s": pl.Float64(),
    "error": pl.String(),
}
OPTIONAL: dict[str, pl.DataType] = {
    "conversation": pl.Int64(),
    "turn": pl.Int16(),
    "model": pl.String(),
    "sent_s": pl.Float64(),
    "stage_s": pl.List(pl.Float64()),
    "ready_s": pl.Float64(),
    "admitted_s": pl.Float64(),
    "head_s": pl.Float64(),
    "first_answer_s": pl.Float64(),
    "made_tokens": pl.Int32(),
    "prompt_tokens": pl.Int32(),
    "output_tokens": pl.Int32(),
    "reason_tokens": pl.Int32(),
    "cached_tokens": pl.Int32(),
    "events": pl.Int32(),
    "longest_gap_s": pl.Float32(),
    "status": pl.Int16(),
    "words": pl.String(),
    "retried": pl.Boolean(),
    "held": pl.Boolean(),
    "fresh": pl.Boolean(),
    "instance": pl.Int32(),
    "preempted": pl.Int32(),
    "event_s": pl.List(pl.Float64()),
}
_SCHEMA = Schema("results'", REQUIRED, OPTIONAL)
COLUMNS = _SCHEMA.columns
"""Every column that results can have, and its type; the categories of ``client`` are the clients' names."""

_NEVER_EMPTY = ("row", "client", "input_tokens", "asked_tokens", "due_s")
_FINITE = ("due_s", "sent_s", "ready_s", "admitted_s", "head_s", "first_token_s", "first_answer_s", "done_s")
_NOT_NEGATIVE = (
    *("row", "input_tokens", "asked_tokens", "due_s", "made_tokens", "prompt_tokens", "output_tokens"),
    *("reason_tokens", "cached_tokens", "events", "longest_gap_s", "instance", "preempted"),
)
_IN_ORDER = ("sent_s", "ready_s", "admitted_s", "head_s", "first_token_s", "first_answer_s", "done_s")


@dataclass(frozen=True, eq=False)
class Results:
    """Requests that were due, in the order of the workload's rows, and what came of each.

    Times count from the run's start, in seconds; what did not come to pass is null. ``head_s`` is when the reply's head
    came, which many servers send before they have begun with the reply; ``done_s`` is when a request ended,
    well or not; ``error`` is null where it ended well, and else one of :data:`groundswell.replay.journal.ERRORS`;
    ``words`` is what the server said of it. ``asked_tokens`` is the length of reply that the workload has,
    ``made_tokens`` that of the prompt as it was made; ``prompt_tokens``, ``output_tokens``, ``reason_tokens`` and
    ``cached_tokens`` are the server's counts. ``events`` that carried content came at ``event_s``, where that was kept.
    A simulated run tells when a request came to its engine (``ready_s``), when it was first scheduled (``admitted_s``),
    on which ``instance``, and how often it was ``preempted``; and when it was through each of the stages before an
    engine (``stage_s``), which ``run`` names under ``stages``.

    The constructor checks that the columns are there and of the right types; :meth:`checked` looks at the values too.
    ``metadata`` is what JSON holds: ``run`` (what was run), ``gaps`` (see :class:`Gaps`), ``series``, ``totals`` and
    ``rounding`` of the server's metrics. A run that was not sent over a network, as a simulated one, has less of it.
    """

    frame: pl.DataFrame
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _SCHEMA.check(self.frame.schema, "results")

    def __len__(self) -> int:
        return self.frame.height

    def __repr__(self) -> str:
        return f"Results({len(self)} requests; {', '.join(self.frame.columns)})"

    def __contains__(self, name: str) -> bool:
        return name in self.frame.columns

    @property
    def run(self) -> dict[str, Any]:
        """What was run: target, url, model, seed and so on; empty if that is not known."""
        return _object(self.metadata, "run")

    @property
    def series(self) -> dict[str, Any]:
        """The server's metrics over time: ``at_s``, and lists as long; empty if there are none."""
        return _object(self.metadata, "series")

    @property
    def totals(self) -> dict[str, Any]:
        """By how much the server's counters grew during the run; empty if there are none."""
        return _object(self.metadata, "totals")

    @property
    def rounding(self) -> dict[str, Any]:
        """By how much :attr:`totals` may be off, as the server rounds them; empty where it does not."""
        return _object(self.metadata, "rounding")

    @property
    def gaps(self) -> Gaps | None:
        """How long the times between events were, if that was kept. Raises DataError where it cannot be meant."""
        noted = _object(self.metadata, "gaps")
        return Gaps.noted(noted) if noted else None

    @property
    def clients(self) -> tuple[str, ...]:
        """The names of all clients that are known, whether they sent something or not."""
        client = self.frame.schema["client"]
        assert isinstance(client, pl.Enum)  # noqa: S101 (the constructor has checked)
        return tuple(client.categories)

    def floats(self, name: str) -> Floats:
        """A column as numbers, nan where it is null or not there."""
        if name not in self.frame.columns:
            return np.full(len(self), np.nan)
        return self.frame[name].cast(pl.Float64).to_numpy()

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Whether each request failed."""
        return self.frame["error"].is_not_null().to_numpy()

    @classmethod
    def read(cls, path: str | Path, leave_out: Collection[str] = ()) -> Results:
        """The results in a Parquet file, without the columns to leave out; ``event_s`` can be most of a file.

        Raises UsageError where there is none, DataError for what is wrong in it. Whole numbers and fractions of other
        widths are converted, names kept as text become categories, and columns that are unknown are passed over.
        """
        path = Path(path)
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        try:
            there = pl.read_parquet_schema(path)
            names = [name for name in COLUMNS if name in there and (name in REQUIRED or name not in leave_out)]
            # One by one: columns are put together from row groups, and only one is in memory twice at a time.
            frame = pl.DataFrame([pl.read_parquet(path, columns=[name])[name].rechunk() for name in names])
            metadata = parquet_noted(path)
        except (pl.exceptions.PolarsError, OSError) as fault:
            raise DataError(f"{path}: not a readable Parquet file: {' '.join(str(fault).split())}") from None
        if "arrival_s" in there and "due_s" not in there:
            raise DataError(f"{path}: is a workload, not the results of one; replay writes those")
        return cls(_SCHEMA.converted(frame, str(path), _alike), metadata).checked(str(path))

    def write(self, path: str | Path) -> None:
        """Write a Parquet file that :meth:`read` gives back. It appears when it is whole."""
        path = Path(path)
        with appearing(path) as place, faults_of(path):
            self.frame.write_parquet(place, metadata=parquet_metadata(self.metadata), **PARQUET)

    def checked(self, where: str = "results") -> Results:
        """These results, if their values can be meant: rows in order and each there once, times finite and in order,
        counts not negative, and an end for whatever ended well.

        Raises :class:`DataError` that begins with ``where`` and names the column and the place (counted from 0).
        """

        def refuse(wrong: pl.Series, what: str) -> None:
            if wrong.any():
                raise DataError(f"{where}: {what} in row {wrong.fill_null(False).arg_max()}")

        frame = self.frame
        for name in _NEVER_EMPTY:
            refuse(frame[name].is_null(), f"column {name!r} is empty")
        for name in _FINITE:
            if name in self:
                refuse(~frame[name].is_finite(), f"column {name!r} is not finite")
        for name in _NOT_NEGATIVE:
            if name in self:
                refuse(frame[name] < 0, f"column {name!r} is negative")
        refuse(frame["row"].diff() <= 0, "column 'row' does not rise")
        refuse(frame["error"].is_null() & frame["done_s"].is_null(), "there is neither an end nor an error")
        there = [name for name in _IN_ORDER if name in self]
        for before, after in pairwise(there):
            refuse(frame[after] < frame[before], f"column {after!r} is before {before!r}")
        return self


@dataclass(frozen=True, eq=False)
class Gaps:
    """How many gaps between neighbouring events of a reply were how long, over time.

    ``count[i, j]``: gaps in bucket ``bucket[j]`` that ended between ``first_s + i * width_s`` and ``width_s`` later.
    Bucket 0 goes up to ``least_s``, each further one is a ``per_doubling``-th of a doubling wide.
    """

    first_s: float
    width_s: float
    bucket: NDArray[np.int64]
    count: Floats
    least_s: float = LEAST_GAP_S
    per_doubling: int = PER_DOUBLING

    @property
    def gap_s(self) -> Floats:
        """The gap in the (geometric) middle of each bucket."""
        return gap_of(self.bucket, self.least_s, self.per_doubling)

    @classmethod
    def noted(cls, noted: Mapping[str, Any]) -> Gaps:
        """From metadata: ``width_s``, the number ``first`` of the first stretch (it begins at ``first * width_s``), and
        ``stretches``, a list of [bucket, count] for each. Raises DataError for anything else."""
        try:
            width_s, first = float(noted["width_s"]), int(noted["first"])
            pairs = [np.asarray(stretch, np.int64).reshape(-1, 2) for stretch in noted["stretches"]]
            least_s = float(noted.get("least_s", cls.least_s))
            per_doubling = int(noted.get("per_doubling", cls.per_doubling))
        except (KeyError, TypeError, ValueError):
            raise DataError("results: the metadata's 'gaps' are not width_s, first and stretches of pairs") from None
        flat = np.concatenate([np.empty((0, 2), np.int64), *pairs])
        if not width_s > 0 or (flat < 0).any():
            raise DataError("results: the metadata's 'gaps' have a width, buckets or counts below 0")
        bucket, place = np.unique(flat[:, 0], return_inverse=True)
        count = np.zeros((len(pairs), bucket.size))
        np.add.at(count, (np.repeat(np.arange(len(pairs)), [len(p) for p in pairs]), place), flat[:, 1])
        return cls(first * width_s, width_s, bucket, count, least_s, per_doubling)


def _object(metadata: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = metadata.get(name)
    return value if isinstance(value, dict) else {}


def _alike(dtype: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether a column of ``dtype`` says what one of ``wanted`` would: a column without any value does, too."""
    if isinstance(dtype, pl.Null):
        return True
    if isinstance(wanted, pl.String):
        return isinstance(dtype, (pl.Categorical, pl.Enum))
    if wanted.is_float():
        return dtype.is_numeric()
    return wanted.is_integer() and dtype.is_integer()
