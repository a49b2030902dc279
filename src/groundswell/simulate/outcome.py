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


@dataclass
class Series:
    """The fleet over time, as a server's metrics are told."""

    at_s: list[float] = field(default_factory=list)
    running: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    kv_use: list[float] = field(default_factory=list)
    preemptions: list[float] = field(default_factory=list)
    instances: list[float] = field(default_factory=list)

    def add(self, world: World, at_s: float) -> None:
        """How things are now."""
        at = world.at
        self.at_s.append(at_s)
        self.running.append(float(at["active"].sum()))
        self.waiting.append(float(at["waiting"].sum()))
        self.kv_use.append(float(1.0 - (at["free"] + at["kept"]).sum() / at["blocks"].sum()))
        self.preemptions.append(float(at["preemptions"].sum()))
        self.instances.append(float(world.load["up"].sum()))

    def noted(self) -> dict[str, list[float]]:
        """For the metadata of results."""
        return dict(vars(self))


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
    metadata = {"run": run, "gaps": _gaps(world), "series": series.noted(), "totals": _totals(world)}
    return Results(pl.DataFrame(columns), metadata)


def _nulls(values: Floats) -> pl.Series:
    return pl.Series(values.copy()).fill_nan(None)


def _with(error: pl.Series, where: Any, word: str) -> pl.Series:
    return pl.select(pl.when(pl.Series(where)).then(pl.lit(word)).otherwise(error)).to_series().alias("error")


def _gaps(world: World) -> dict[str, Any]:
    stretches = []
    for counts in world.gaps:
        bucket = np.flatnonzero(counts)
        stretches.append(np.column_stack((bucket, counts[bucket])).tolist())
    return {"width_s": float(world.stretch_s[0]), "first": 0, "stretches": stretches}


def _totals(world: World) -> dict[str, float]:
    """What an engine's counters would have grown by."""
    q = world.requests
    done = ~np.isnan(q["done_s"]) & (q["error"] == 0)
    prompts = float(q["prompt"][done].sum())
    told = {
        "requests": float(done.sum()),
        "prompt_tokens": prompts,
        "output_tokens": float(q["output"][done].sum()),
        "preemptions": float(world.at["preemptions"].sum()),
    }
    if world.ids.size:
        told |= {"prefix_queries": prompts, "prefix_hits": float(q["cached"][done].sum())}
    return told
