"""What came of a simulation, as results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from groundswell.results import Results
from groundswell.simulate.state import LOST, TOO_LONG, Floats, World
from groundswell.table import Workload, client_column

ERRORS = {TOO_LONG: "too long", LOST: "instance lost"}
"""Why a simulated request can fail: it fits into no engine's memory, or the instances it was on failed too often."""


_MOST_POINTS = 512


@dataclass
class Series:
    """The fleet over time, under the names that servers' metrics have (:mod:`groundswell.replay.server_metrics`).

    Every second point is dropped when there are too many, so however long a run lasts, its series is short.
    """

    at_s: list[float] = field(default_factory=list)
    running: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    kv_used: list[float] = field(default_factory=list)
    preemptions: list[float] = field(default_factory=list)
    instances: list[float] = field(default_factory=list)
    """That take requests."""
    stride: int = field(default=1, init=False)
    """Of how many steps in time the next point should be taken."""

    def add(self, world: World, at_s: float) -> None:
        """How things are now."""
        at = world.at
        there = at[at["running"]]
        self.at_s.append(at_s)
        self.running.append(float(at["active"].sum()))
        self.waiting.append(float(at["waiting"].sum()))
        self.kv_used.append(float(1.0 - (there["free"] + there["kept"]).sum() / max(int(there["blocks"].sum()), 1)))
        self.preemptions.append(float(at["preemptions"].sum()))
        self.instances.append(float(world.load["up"].sum()))
        if len(self.at_s) > _MOST_POINTS:
            self.stride *= 2
            for points in self._columns().values():
                del points[::2]

    def noted(self, world: World) -> dict[str, list[float]]:
        """For the metadata of results."""
        return self._columns() | (self._prefixes(world) if world.ids.size else {})

    def _columns(self) -> dict[str, list[float]]:
        return {name: value for name, value in vars(self).items() if isinstance(value, list)}

    def _prefixes(self, world: World) -> dict[str, list[float]]:
        """Prompt tokens that were looked for in memory, and those that were there, up to each point."""
        q = world.requests
        there = ~np.isnan(q["admitted_s"])
        place = np.searchsorted(self.at_s, q["admitted_s"][there])
        counted = {"prefix_queries": q["prompt"][there], "prefix_hits": q["cached"][there]}
        size = len(self.at_s) + 1
        return {name: np.cumsum(np.bincount(place, n, size))[:-1].tolist() for name, n in counted.items()}


def results_of(world: World, workload: Workload, run: dict[str, Any], series: Series) -> Results:
    """The table, with what is known of the fleet in its metadata."""
    q, frame = world.requests, workload.frame
    done = ~np.isnan(q["done_s"])
    failed = q["error"] > 0
    error = pl.Series("error", q["error"]).replace_strict({0: None, **ERRORS}, return_dtype=pl.String)
    late = ~done & ~failed
    columns: dict[str, Any] = {
        "row": np.arange(q.size, dtype=np.int64),
        "client": client_column(workload.client_code, workload.clients),
        "input_tokens": workload.input_tokens,
        "asked_tokens": workload.output_tokens,
        "due_s": q["arrival_s"].copy(),
        "ready_s": _nulls(q["ready_s"]),
        "admitted_s": _nulls(q["admitted_s"]),
        "first_token_s": _nulls(q["first_s"]),
        "done_s": _nulls(q["done_s"]),
        "error": error if not late.any() else _with(error, late, "unfinished"),
        "prompt_tokens": q["prompt"].copy(),
        "output_tokens": pl.Series(np.where(failed | late, 0, q["output"])).cast(pl.Int32),
        "cached_tokens": q["cached"].copy(),
        "preempted": q["preempted"].copy(),
        "instance": pl.Series(q["instance"].astype(np.int32)).replace({-1: None}),
        "longest_gap_s": pl.Series(q["longest_gap_s"].astype(np.float32)),
    }
    for name in ("conversation", "turn", "model"):
        if name in frame.columns:
            columns[name] = frame[name]
    if world.stages.size:
        columns["stage_s"] = _lists(world.stage_done_s)
    metadata = {"run": run, "gaps": _gaps(world), "series": series.noted(world), "totals": _totals(world)}
    return Results(pl.DataFrame(columns), metadata)


def _nulls(values: Floats) -> pl.Series:
    return pl.Series(values.copy()).fill_nan(None)


def _lists(values: Floats) -> pl.Series:
    """A list for each row; what is nan is null."""
    return (
        pl.Series(values, dtype=pl.Array(pl.Float64, values.shape[1]))
        .arr.to_list()
        .list.eval(pl.element().fill_nan(None))
    )


def _with(error: pl.Series, where: Any, word: str) -> pl.Series:
    return pl.select(pl.when(pl.Series(where)).then(pl.lit(word)).otherwise(error)).to_series().alias("error")


def _gaps(world: World) -> dict[str, Any]:
    stretches = []
    for counts in world.gaps:
        bucket = np.flatnonzero(counts)
        stretches.append(np.column_stack((bucket, counts[bucket])).tolist())
    return {"width_s": float(world.stretch_s[0]), "first": 0, "stretches": stretches}


def _totals(world: World) -> dict[str, float]:
    """What an engine's counters would have grown by; of the requests themselves the rows tell."""
    q = world.requests
    told = {"preemptions": float(world.at["preemptions"].sum())}
    if world.ids.size:
        there = ~np.isnan(q["admitted_s"])
        told |= {
            "prefix_queries": float(q["prompt"][there].sum()),
            "prefix_hits": float(q["cached"][there].sum()),
        }
    return told
