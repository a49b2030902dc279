"""What requests take alone is what the simulation takes for them, and no engine is busy for less than the bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from groundswell.plan.alone import Alone, busy_s
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Engine, Fleet, Pool, StepCost
from groundswell.simulate.world import Asked
from planning import LARGE, bursty, traffic
from simulating import asking

ENGINES = some.builds(
    lambda c0, token, hinge, at, decode, context, prefill, most: Engine(
        StepCost(c0, token, hinge, at, decode, context, prefill), 20_000, most_running=64, most_tokens=most
    ),
    some.floats(1e-3, 0.02),
    some.floats(0, 1e-4),
    some.floats(0, 1e-4),
    some.floats(0, 300),
    some.floats(0, 1e-5),
    some.floats(0, 1e-7),
    some.floats(0, 1e-8),
    some.sampled_from([64, 256, 2048]),
)
ONE = some.tuples(some.integers(1, 5_000), some.integers(1, 60))


@given(ENGINES, some.lists(ONE, min_size=1, max_size=6))
def test_a_request_that_has_the_engine_for_itself_takes_what_is_said(
    engine: Engine, asked: list[tuple[int, int]]
) -> None:
    prompt, output = np.array(asked).T
    far_apart = 1e4 * np.arange(len(asked))
    workload = traffic(far_apart, prompt, output)
    run = simulate(workload, Fleet((Pool(engine, 1),)))
    alone = Alone.of(Asked.of(workload), engine)
    first_s, done_s = run.floats("first_token_s") - far_apart, run.floats("done_s") - far_apart
    assert alone.ttft_s == pytest.approx(first_s, rel=1e-6, abs=1e-8)
    assert alone.e2e_s == pytest.approx(done_s, rel=1e-6, abs=1e-8)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_token = np.where(output > 1, (done_s - first_s) / (output - 1), np.nan)
    assert alone.tpot_s == pytest.approx(per_token, rel=1e-6, abs=1e-8, nan_ok=True)
    longest = run.floats("longest_gap_s")
    assert (alone.itl_s[output > 1] <= longest[output > 1] * (1 + 1e-6)).all()


@given(ENGINES, some.integers(0, 10_000), some.integers(1, 4))
def test_an_engine_is_never_busy_for_less_than_the_bound(engine: Engine, seed: int, instances: int) -> None:
    workload = bursty(seed, requests=150, span_s=20.0)
    run = simulate(workload, Fleet((Pool(engine, instances),)))
    alone = Alone.of(Asked.of(workload), engine)
    least = busy_s(engine, *(np.array([values.sum()], float) for values in (alone.work_s, alone.tokens, alone.steps)))
    spent_s = run.run["busy_share"] * instances * float(run.floats("done_s").max())
    assert least[0] <= spent_s * (1 + 1e-6)


def test_what_an_earlier_request_had_is_in_the_cache_at_best() -> None:
    """Blocks of 16: the second prompt of 50 tokens begins with the first's two full blocks, the third with all three;
    the fourth is as the third, and computes its last block and what is behind it."""
    names = [[1, 2], [1, 2, 3], [1, 2, 3], [1, 2, 3, 4]]
    asked = Asked.of(asking([0, 1, 2, 3], [40, 50, 50, 64], [1, 1, 1, 1], names))
    alone = Alone.of(asked, LARGE)
    assert alone.tokens.tolist() == [40, 50 - 32, 50 - 48, 64 - 48]
    cold = Alone.of(asked, Engine(LARGE.cost, 20_000, caching=False))
    assert cold.tokens.tolist() == [40, 50, 50, 64]


def test_a_request_for_which_there_is_no_memory_takes_for_ever() -> None:
    """Ten blocks of 16 tokens: 160 tokens fit, 161 do not; the simulation says the same."""
    engine = Engine(StepCost(0.01), 10)
    workload = traffic([0.0, 10.0, 20.0], [100, 100, 200], [60, 61, 1])
    alone = Alone.of(Asked.of(workload), engine)
    assert alone.too_long.tolist() == [False, True, True]
    assert np.isinf(alone.ttft_s).tolist() == [False, True, True]
    assert simulate(workload, Fleet((Pool(engine, 1),))).failed.tolist() == [False, True, True]
