"""What tests of runs need: small workloads, and runs of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from groundswell.replay.launch import Outcome, replay
from groundswell.replay.options import Options
from groundswell.replay.plan import survey
from groundswell.replay.source import held
from groundswell.results import Results
from groundswell.table import Workload


def workload(
    arrival_s: Sequence[float] | np.ndarray[Any, Any], inputs: int = 40, outputs: int = 8, **columns: Any
) -> Workload:
    """Requests of one client, all alike; ``columns`` are further ones of a workload."""
    n = len(arrival_s)
    frame = pl.DataFrame(
        {
            "arrival_s": np.asarray(arrival_s, np.float64),
            "client": pl.Series(["a"] * n, dtype=pl.Enum(["a"])),
            "input_tokens": np.full(n, inputs, np.int32),
            "output_tokens": np.full(n, outputs, np.int32),
        }
    )
    types = {"conversation": pl.Int64(), "turn": pl.Int16(), "think_s": pl.Float64(), "input_tokens": pl.Int32()}
    more = [pl.Series(name, values, dtype=types.get(name), strict=False) for name, values in columns.items()]
    return Workload(frame.with_columns(more))


def run(given: Workload, url: str, folder: Path, **options: Any) -> tuple[Results, Outcome]:
    """The results of sending a workload, which is kept in ``folder``."""
    resume = options.pop("resume", False)
    source = held(given)
    settings = Options(url, **{"model": "m", "metrics": False, "probe": False, **options})
    outcome = replay(source, survey(source), settings, folder / "results.parquet", resume=resume)
    return Results.read(outcome.results), outcome
