"""Requests that an engine has served, as they are held against their simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import DataError
from groundswell.results import Results
from groundswell.table import Workload

Floats = NDArray[np.float64]

FEWEST = 10
"""Requests that ended well; fewer say nothing."""


@dataclass(frozen=True, eq=False)
class Observed:
    """[N] requests that ended well, in the order in which they came, times from when the first one came.

    What failed is left out. Lengths are the server's counts where it tells them.
    """

    workload: Workload
    came_s: Floats
    """When each was sent, or was due where that is not known."""
    first_s: Floats
    done_s: Floats
    output: Floats
    gap_s: Floats
    """Times between tokens, if these were kept,"""
    gap_ended_s: Floats
    """and when each ended."""
    left_out: int
    """Requests that failed or have no reply."""
    cached: float
    """The share of prompt tokens that the server had in its prefix cache; a simulation of lengths has none."""

    @classmethod
    def of(cls, results: Results) -> Observed:
        """From a replayed run. Raises DataError where fewer than :data:`FEWEST` requests ended well."""
        came_s = results.floats("sent_s")
        came_s = np.where(np.isnan(came_s), results.floats("due_s"), came_s)
        prompt = _first_known(results, "prompt_tokens", "made_tokens", "input_tokens")
        output = _first_known(results, "output_tokens", "events", "asked_tokens")
        first_s, done_s = results.floats("first_token_s"), results.floats("done_s")
        well = ~results.failed & ~np.isnan(first_s) & ~np.isnan(done_s) & (output >= 1) & (prompt >= 1)
        rows = np.flatnonzero(well)
        if rows.size < FEWEST:
            raise DataError(f"{rows.size} requests ended well: a calibration needs {FEWEST} or more, better 200")
        rows = rows[np.argsort(came_s[rows], kind="stable")]
        begin_s = came_s[rows[0]]
        lengths = prompt[rows].astype(np.int32), output[rows].astype(np.int32)
        workload = Workload.from_columns(
            came_s[rows] - begin_s, np.zeros(rows.size, np.uint32), ("observed",), *lengths
        )
        gap_s, ended_s = _gaps(results, rows)
        cached = np.nansum(results.floats("cached_tokens")[rows]) / prompt[rows].sum()
        times = (came_s[rows] - begin_s, first_s[rows] - begin_s, done_s[rows] - begin_s)
        left_out = len(results) - rows.size
        return cls(workload, *times, output[rows], gap_s, ended_s - begin_s, left_out, float(cached))

    def __len__(self) -> int:
        return self.came_s.size


def _first_known(results: Results, *names: str) -> Floats:
    """The value of the first of some columns that has one."""
    known = np.full(len(results), np.nan)
    for name in names:
        known = np.where(np.isnan(known), results.floats(name), known)
    return known


def _gaps(results: Results, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Times between the events of replies, and when they ended."""
    if "event_s" not in results:
        return np.empty(0), np.empty(0)
    events = results.frame["event_s"].gather(rows).drop_nulls()
    at_s = events.list.explode(empty_as_null=False, keep_nulls=False).to_numpy()
    lengths = events.list.len().to_numpy()
    begins = np.zeros(at_s.size, np.bool_)
    begins[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    return np.diff(at_s)[~begins[1:]], at_s[1:][~begins[1:]]
