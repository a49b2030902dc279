"""A client measured from its own requests: a trace of when they came and a dataset of how long they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from groundswell.clients.client import Windows, check_fields, check_name, fault_of
from groundswell.clients.pool import FIELDS
from groundswell.errors import DataError, UsageError
from groundswell.lengths import Length
from groundswell.lengths.empirical import Empirical, grouped
from groundswell.number_csv import read_numbers

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RecordedClient:
    """Requests at ``arrival_s`` (seconds on the pool's clock, in any order), each with a length in each of ``columns``.

    Each window keeps its count and the CV of its gaps, each slot its lengths as an empirical table.
    """

    name: str
    arrival_s: Floats
    columns: Mapping[str, Floats]
    stated: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_name(self.name)
        try:
            arrival_s = _column("arrival_s", self.arrival_s)
            columns = {field: _column(field, values) for field, values in self.columns.items()}
            check_fields(columns)
            for field, values in columns.items():
                if values.size != arrival_s.size:
                    raise UsageError(f"{arrival_s.size} arrivals have {values.size} of {field}; each request needs one")
                if fault := fault_of(field, values):
                    raise UsageError(fault)
        except UsageError as fault:
            raise UsageError(f"client {self.name!r}: {fault}") from fault
        order = np.argsort(arrival_s, kind="stable")
        object.__setattr__(self, "arrival_s", arrival_s[order])
        object.__setattr__(self, "columns", {field: values[order] for field, values in columns.items()})

    @classmethod
    def read(cls, name: str, path: str | Path) -> RecordedClient:
        """From a CSV with a header of ``arrival_s``, ``input_tokens``, ``output_tokens`` and perhaps more fields."""
        table = read_numbers(path)
        known = ("arrival_s", *FIELDS)
        if not table.names:
            raise DataError(f"{path}:1: expected a header such as arrival_s,input_tokens,output_tokens")
        for column in table.names:
            if column not in known or table.names.count(column) > 1:
                raise DataError(f"{path}:1: column {column!r} is unknown or there twice; known are {', '.join(known)}")
        columns = dict(zip(table.names, table.columns, strict=True))
        if "arrival_s" not in columns:
            raise DataError(f"{path}:1: column arrival_s is missing")
        try:
            return cls(name, columns.pop("arrival_s"), columns)
        except UsageError as fault:
            raise DataError(f"{path}: {fault}") from fault

    def windows(self, edge_s: Floats) -> Windows:
        """Every window's count over its length, and the CV, shape and scale (s) of the gaps within it.

        A window of too few gaps to have a CV takes the mean of the client's others, and keeps no shape and scale.
        """
        if not ((self.arrival_s >= edge_s[0]) & (self.arrival_s < edge_s[-1])).any():
            raise UsageError(
                f"client {self.name!r} sent nothing between {edge_s[0]:g} s and {edge_s[-1]:g} s; "
                f"its requests lie between {self.arrival_s[0]:g} s and {self.arrival_s[-1]:g} s"
            )
        size = edge_s.size - 1
        first = np.searchsorted(self.arrival_s, edge_s, side="left")
        window = np.searchsorted(edge_s, self.arrival_s, side="right") - 1
        inside = (np.diff(window) == 0) & (window[1:] >= 0) & (window[1:] < size)
        at, gap_s = window[1:][inside], np.diff(self.arrival_s)[inside]
        gaps = np.bincount(at, minlength=size)
        mean_s = np.bincount(at, gap_s, size) / np.maximum(gaps, 1)
        spread_s = np.sqrt(np.bincount(at, (gap_s - mean_s[at]) ** 2, size) / np.maximum(gaps, 1))
        known = (gaps >= 2) & (mean_s > 0)
        measured = np.where(known, spread_s / np.where(known, mean_s, 1.0), 0.0)
        usual = np.average(measured, weights=gaps * known) if known.any() else 1.0
        squared = np.where(known, np.maximum(measured, 1e-3) ** 2, np.nan)
        cv = np.where(known, measured, usual)
        return Windows("gamma", np.diff(first) / np.diff(edge_s), cv, 1.0 / squared, mean_s * squared)

    def slots(self, edge_s: Floats) -> Mapping[str, Sequence[Length | None]]:
        """Every slot's lengths, none for a slot without requests."""
        bound = np.searchsorted(self.arrival_s, edge_s, side="left")
        runs = [slice(low, high) for low, high in pairwise(bound)]
        return {field: [_table(values[run]) for run in runs] for field, values in self.columns.items()}


def _table(values: Floats) -> Length | None:
    if not values.size:
        return None
    value, count = np.unique(values, return_counts=True)
    share = count / values.size
    value, share = grouped(value, np.cumsum(share), np.cumsum(value * share))
    return Empirical(tuple(value.tolist()), tuple(share.tolist()))


def _column(name: str, values: Any) -> Floats:
    try:
        column = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        column = np.array([np.nan])
    if column.ndim != 1 or not column.size or not np.isfinite(column).all():
        raise UsageError(f"{name} must be one list of finite numbers, at least one")
    return column
