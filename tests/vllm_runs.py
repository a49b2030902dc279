"""Measured runs of vLLM 0.19: 300 requests each of Llama-3.1-8B on two cards, with tables of the cards' kernels.

Published with LLMServingSim (casys-kaist/LLMServingSim, MIT); they lie where GROUNDSWELL_DATA says.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from groundswell.results import Results
from groundswell.simulate.cost import Profile, profile_of
from groundswell.simulate.kernels import profile_from
from groundswell.simulate.parts import Engine

DATA = Path(os.environ.get("GROUNDSWELL_DATA", Path(__file__).parents[2] / "shared" / "data"))
MODEL = "llama-3.1-8b"
CARDS = ("rtx4090", "rtxpro6000")

needs_runs = pytest.mark.skipif(
    not (DATA / "vllm_runs").is_dir(), reason="needs the measured runs of vLLM (GROUNDSWELL_DATA)"
)


@dataclass(frozen=True)
class Run:
    """A card's run."""

    card: str

    @property
    def folder(self) -> Path:
        return DATA / "vllm_runs" / f"{self.card.upper()}_Llama-3.1-8B"

    @property
    def settings(self) -> dict[str, Any]:
        """Of the engine, as the run says."""
        said = json.loads((self.folder / "meta.json").read_text("utf-8"))
        how = {name: said["engine_kwargs"][f"max_num_{theirs}"] for name, theirs in _OPTIONS.items()}
        if "kv_cache" in said:
            how["blocks"] = said["kv_cache"]["num_gpu_blocks"] - 1  # one is never given away
        return how

    def embedded(self) -> Profile:
        """The profile that the package has of the card."""
        return profile_of(MODEL, self.card)

    def kernels(self) -> Profile:
        """A profile of the card's tables of kernels, for as much context as there is memory for."""
        folder = DATA / "latency" / "profiles" / f"{self.card.upper()}_meta-llama_Llama-3.1-8B_bf16_tp1"
        engine = self.engine(self.embedded())
        return profile_from(folder, MODEL, self.card, most_context=engine.blocks * engine.block_tokens)

    def engine(self, profile: Profile) -> Engine:
        """As it was set."""
        return profile.configured(**self.settings)

    def results(self) -> Results:
        """What came of the requests, as replay would tell it: due when they were sent, on one clock.

        Arrivals are on the wall's clock and tokens on the engine's. The request that was queued soonest after it was
        sent says how these two stand to each other.
        """
        run = pl.read_ndjson(self.folder / "requests.jsonl").sort("arrival_time")
        apart_s = float((run["queued_ts"] - run["arrival_time"]).to_numpy().min())
        begin_s = float(run["arrival_time"][0])
        n = run.height
        columns = {
            "row": np.arange(n, dtype=np.int64),
            "client": pl.Series(["run"] * n, dtype=pl.Enum(["run"])),
            "input_tokens": run["input_toks"].cast(pl.Int32),
            "asked_tokens": run["output_toks"].cast(pl.Int32),
            "due_s": run["arrival_time"] - begin_s,
            "first_token_s": run["first_token_ts"] - apart_s - begin_s,
            "done_s": run["last_token_ts"] - apart_s - begin_s,
            "error": pl.Series([None] * n, dtype=pl.String),
            "output_tokens": run["output_toks"].cast(pl.Int32),
        }
        return Results(pl.DataFrame(columns)).checked()


_OPTIONS = {"most_running": "seqs", "most_tokens": "batched_tokens"}
