"""One simulated engine: the way in one piece is the way step by step, and nothing is lost on either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.chance import compiled
from groundswell.simulate.blocks import Cache, cache_of
from groundswell.simulate.replica import advance, arrive
from groundswell.simulate.state import (
    FCFS,
    LONGEST,
    PRIORITY,
    SHORTEST,
    Instances,
    Requests,
    Settings,
    Tally,
    instances_of,
    requests_of,
    tally_of,
)


@dataclass
class Came:
    """What came of a simulation."""

    requests: Requests
    at: Instances
    cache: Cache
    tally: Tally
    served: Any


@compiled
def _one_engine(
    requests: Any, at: Any, cache: Any, how: Any, tally: Any, given_: Any, one_by_one: Any, served: Any
) -> None:
    for r in range(requests.arrival_s.size):
        advance(requests, at, cache, how, tally, given_, 0, requests.arrival_s[r], one_by_one)
        served[r] = arrive(requests, at, how, 0, r)
    advance(requests, at, cache, how, tally, given_, 0, np.inf, one_by_one)


def simulated(
    seed: int,
    one_by_one: bool,
    n: int = 300,
    rate_per_s: float = 20.0,
    most_running: int = 32,
    most_tokens: int = 512,
    blocks: int = 600,
    policy: int = FCFS,
    caching: bool = False,
    watermark: int = 0,
    mean_prompt: float = 300.0,
    mean_output: float = 60.0,
    block_tokens: int = 16,
) -> Came:
    """Poisson arrivals of geometric lengths; with ``caching``, prompts that share beginnings of twenty kinds."""
    random = np.random.default_rng(seed)
    arrival_s = np.cumsum(random.exponential(1 / rate_per_s, n))
    prompt, output = random.geometric(1 / mean_prompt, n), random.geometric(1 / mean_output, n)
    ids, begins = [], [0]
    for r in range(n if caching else 0):
        kind, count = random.integers(20), min(prompt[r] // block_tokens, random.integers(30))
        shared = min(count, 5 + kind % 7)
        ids += [kind * 1000 + b for b in range(shared)] + [10**6 + r * 1000 + b for b in range(count - shared)]
        begins.append(len(ids))
    requests = requests_of(arrival_s, prompt, output, random.integers(0, 3, n), begins if caching else None)
    at = instances_of(1, most_running, blocks)
    cache, tally = cache_of(1, blocks, np.array(ids, np.int64)), tally_of(float(arrival_s[-1]))
    how = Settings(
        most_running,
        most_tokens,
        block_tokens,
        watermark,
        policy,
        caching,
        0.012,
        2e-5,
        4e-5,
        96.0,
        1e-7,
        6.6e-8,
        2.6e-9,
    )
    served = np.zeros(n, np.bool_)
    _one_engine(requests, at, cache, how, tally, np.zeros(most_running, np.int64), one_by_one, served)
    return Came(requests, at, cache, tally, served)


def alike(a: Came, b: Came) -> None:
    for name in ("first_s", "done_s", "longest_gap_s"):
        x, y = getattr(a.requests, name), getattr(b.requests, name)
        assert np.array_equal(np.isnan(x), np.isnan(y))
        assert np.nanmax(np.abs(x - y), initial=0.0) < 1e-9
    assert np.array_equal(a.tally.gaps.sum(axis=0), b.tally.gaps.sum(axis=0))
    for name in ("preempted", "cached", "made"):
        assert np.array_equal(getattr(a.requests, name), getattr(b.requests, name))
    assert a.at.steps[0] == b.at.steps[0]


def whole(came: Came) -> None:
    """All that could be served is, nothing is held, and each gap between tokens was counted."""
    requests, at = came.requests, came.at
    assert np.array_equal(np.isfinite(requests.done_s), came.served)
    assert np.array_equal(requests.made[came.served], requests.output[came.served])
    assert at.free[0] + came.cache.kept[0] == at.blocks[0]
    assert at.active[0] == at.waiting[0] == at.waiting_tokens[0] == 0
    assert came.tally.gaps.sum() == (requests.output[came.served] - 1).sum()
    first_s, done_s = requests.first_s[came.served], requests.done_s[came.served]
    assert (requests.arrival_s[came.served] < first_s).all()
    assert (first_s <= done_s).all()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    rate_per_s=st.sampled_from([2.0, 10.0, 40.0]),
    most_running=st.sampled_from([1, 4, 32, 64]),
    most_tokens=st.sampled_from([1, 7, 64, 512, 2048]),
    blocks=st.sampled_from([90, 200, 600, 3000]),
    policy=st.sampled_from([FCFS, SHORTEST, LONGEST, PRIORITY]),
    caching=st.booleans(),
    watermark=st.sampled_from([0, 5]),
    mean_prompt=st.sampled_from([2.0, 300.0]),
)
def test_steps_in_one_piece_are_those_one_by_one(seed: int, **how: Any) -> None:
    step_by_step, in_one_piece = (simulated(seed, one_by_one, n=120, **how) for one_by_one in (True, False))
    alike(step_by_step, in_one_piece)
    whole(in_one_piece)


@pytest.mark.parametrize("caching", [False, True])
def test_the_two_ways_agree_where_thousands_are_preempted(caching: bool) -> None:
    came = simulated(1, False, n=3000, blocks=400, most_running=64, mean_output=100.0, caching=caching)
    assert came.at.preemptions[0] > 1000
    alike(simulated(1, True, n=3000, blocks=400, most_running=64, mean_output=100.0, caching=caching), came)
    whole(came)


def test_one_request_alone_takes_what_its_steps_take() -> None:
    requests = requests_of(np.array([1.0]), [1000], [5])
    at, tally = instances_of(1, 8, 100), tally_of(1.0)
    how = Settings(8, 512, 16, 0, FCFS, False, 0.01, 1e-5, 0.0, 1.0, 1e-4, 1e-7, 1e-9)
    served = np.zeros(1, np.bool_)
    _one_engine(requests, at, cache_of(1, 100, np.empty(0, np.int64)), how, tally, np.zeros(8, np.int64), False, served)
    chunks_s = 0.01 + 512e-5 + 512 * 256e-9 + 0.01 + 488e-5 + 488 * (512 + 244) * 1e-9
    assert requests.first_s[0] == pytest.approx(1.0 + chunks_s, abs=1e-12)
    decode_s = sum(0.01 + 1e-5 + 1e-4 + 1e-7 * context for context in (1000, 1001, 1002, 1003))
    assert requests.done_s[0] == pytest.approx(1.0 + chunks_s + decode_s, abs=1e-12)
    assert at.steps[0] == 6


def test_what_can_never_fit_is_not_taken() -> None:
    came = simulated(3, False, blocks=20, mean_prompt=300.0)
    too_long = -(-(came.requests.prompt + came.requests.output) // 16) > 20
    assert too_long.any()
    assert np.array_equal(~came.served, too_long)
    whole(came)


def test_a_beginning_that_was_computed_is_found_again() -> None:
    requests = requests_of(np.array([0.0, 10.0, 20.0]), [100, 100, 100], [4, 4, 4], None, [0, 6, 12, 18])
    ids = np.array([1, 2, 3, 4, 5, 6, 1, 2, 3, 40, 50, 60, 7, 2, 3, 4, 5, 6], np.int64)
    at = instances_of(1, 8, 100)
    how = Settings(8, 512, 16, 0, FCFS, True, 0.01, 1e-5, 0.0, 1.0, 0.0, 0.0, 0.0)
    served = np.zeros(3, np.bool_)
    _one_engine(requests, at, cache_of(1, 100, ids), how, tally_of(30.0), np.zeros(8, np.int64), False, served)
    assert requests.cached.tolist() == [0, 48, 0]  # the third begins otherwise, and what is behind is not looked at
