"""A profile that is fitted to a run against vLLM at one rate says what comes at others."""

from __future__ import annotations

from collections.abc import Iterator
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
from real_servers import Server, in_venvs, tiny_model
from replaying import workload

pytestmark = pytest.mark.vllm

BLOCKS, BLOCK_TOKENS = 256, 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """vLLM with a model whose steps take longer than what is around them."""
    venv = in_venvs.venv_of("vllm") or pytest.skip(in_venvs.how_to_get("vllm"))
    model = tiny_model.make(tmp_path_factory.mktemp("small"), tiny_model.SMALL)
    with in_venvs.vllm(venv, model, blocks=BLOCKS, block_tokens=BLOCK_TOKENS) as started:
        yield started


def traffic(requests: int, rate_per_s: float, seed: int) -> Workload:
    """Prompts of 24 to 199 tokens, replies of 32 to 64, at random times."""
    rng = np.random.default_rng(seed)
    arrival_s = np.cumsum(rng.exponential(1 / rate_per_s, requests))
    given = workload(arrival_s, input_tokens=rng.integers(24, 200, requests))
    replies = pl.Series("output_tokens", rng.integers(32, 65, requests), dtype=pl.Int32)
    return Workload(given.frame.with_columns(replies), dict(given.metadata))


def guessed(alone: Results) -> tuple[Profile, float]:
    """What anybody would take a step to cost who has sent a few requests one by one: a token is what the first one
    takes longer than the others, for each of its prompt's tokens. Also how long a request takes alone."""
    begin_s, first_s, end_s = (alone.floats(name) for name in ("sent_s", "first_token_s", "done_s"))
    tpot_s = float(np.mean((end_s - first_s) / (alone.floats("output_tokens") - 1)))
    token_s = (float(np.mean(first_s - begin_s)) - tpot_s) / float(np.mean(alone.floats("input_tokens")))
    cost = StepCost(tpot_s - token_s, token_s)
    held = (BLOCKS - 1) * BLOCK_TOKENS  # vLLM keeps one block for itself
    return Profile("small", "cpu", "vllm 0.32", cost, kv_tokens=held), float(np.mean(end_s - begin_s))


def test_what_is_fitted_at_one_rate_holds_at_others(server: Server, tmp_path: Path) -> None:
    """Fitted to half of a run in which about four run at a time, and asked of half that rate and one and a half
    times."""

    def run(requests: int, rate_per_s: float, seed: int) -> Results:
        folder = tmp_path / str(seed)
        folder.mkdir()
        return sent(traffic(requests, rate_per_s, seed), server, folder, seed=seed).results

    run(60, 20.0, 1)  # sizes of batches that it has not had take longer
    profile, alone_s = guessed(run(12, 0.7, 2))
    engine = profile.configured(block_tokens=BLOCK_TOKENS, most_running=64)
    found = calibrate(run(200, 3.0 / alone_s, 3), profile, engine)
    told = {"unseen": found.unseen.mean_tpot}
    for requests, at_a_time, seed in ((80, 1.5, 4), (200, 4.5, 5)):
        errors = compared(run(requests, at_a_time / alone_s, seed), found.profile, engine)
        told[f"{at_a_time / alone_s:.3g}/s"] = errors.mean_tpot
    print(f"TPOT, calibrated at {3.0 / alone_s:.3g}/s: {told}")  # noqa: T201 (the figures of docs/calibrate.md)
    assert all(abs(off) < 0.15 for off in told.values()), told
