"""A profile that is fitted to a run against vLLM at one rate says what comes at others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from groundswell.results import Results
from groundswell.simulate.calibrate import calibrate, compared
from groundswell.simulate.cost import Profile
from groundswell.simulate.parts import StepCost
from groundswell.table import Workload
from real_runs import sent
from real_servers import Server
from replaying import workload

pytestmark = pytest.mark.vllm

GUESS = Profile("tiny", "cpu", "vllm 0.32", StepCost(0.01, 2e-5, context_s=1e-7, prefill_s=1e-9), kv_tokens=255 * 32)
"""Nobody has measured a tiny model on a processor like this."""
REPLY = 48


def traffic(requests: int, rate_per_s: float, seed: int) -> Workload:
    """Prompts of 24 to 200 tokens, replies of 32 to 64, at random times."""
    rng = np.random.default_rng(seed)
    arrival_s = np.cumsum(rng.exponential(1 / rate_per_s, requests))
    given = workload(arrival_s, input_tokens=rng.integers(24, 200, requests))
    replies = pl.Series("output_tokens", rng.integers(32, 2 * REPLY - 32 + 1, requests), dtype=pl.Int32)
    return Workload(given.frame.with_columns(replies), dict(given.metadata))


def test_what_is_fitted_at_one_rate_holds_at_others(vllm_server: Server, tmp_path: Path) -> None:
    """Some six requests run at a time where it is fitted, and some two and twelve where it is not."""

    def run(requests: int, rate_per_s: float, seed: int) -> Results:
        return sent(traffic(requests, rate_per_s, seed), vllm_server, tmp_path, seed=seed).results

    alone = run(12, 2.0, 1)
    alone_s = float(np.mean(alone.floats("done_s") - alone.floats("sent_s")))
    engine = GUESS.configured(block_tokens=32, most_running=64)
    found = calibrate(run(200, 6 / alone_s / 2, 2), GUESS, engine)
    assert abs(found.unseen.mean_tpot) < 0.15
    for requests, at_a_time in ((60, 1), (200, 6)):
        errors = compared(run(requests, at_a_time / alone_s, 3), found.profile, engine)
        assert abs(errors.mean_tpot) < 0.15, (found, errors)
