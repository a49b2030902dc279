"""One simulated engine does what a plain one does, step by step: times, gaps, memory, whoever is preempted."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.gap_buckets import gap_buckets
from groundswell.simulate.parts import Engine, Fleet, Pool, StepCost
from groundswell.simulate.state import TOO_LONG, Ints, World
from groundswell.simulate.waiting import POLICIES
from groundswell.simulate.world import Asked
from groundswell.table import Workload
from plain_engine import PlainEngine, Request
from simulating import COST, asking, served

TIMES = ("arrival_s", "admitted_s", "first_s", "done_s", "longest_gap_s")
CLOSE_S = 1e-9


@dataclass(frozen=True)
class Case:
    """Requests drawn from a seed, and an engine for them."""

    seed: int = 0
    n: int = 120
    rate_per_s: float = 20.0
    together: int = 1  # how many come at a time
    mean_prompt: float = 300.0
    mean_output: float = 60.0
    turns: int = 1  # of a conversation, whose prompts hold what was said
    closed: bool = True
    pauses: bool = True  # between turns
    block_tokens: int = 16
    name_blocks: int = 1
    room: float = 10.0  # requests of mean length, for which there is memory
    most_running: int = 32
    most_tokens: int = 512
    watermark: float = 0.0
    policy: str = "fcfs"
    caching: bool = False
    cost: StepCost = COST

    @property
    def engine(self) -> Engine:
        most_tokens = max(self.most_tokens, self.most_running)
        blocks = math.ceil(self.room * (1.5 * self.mean_prompt + self.mean_output) / self.block_tokens)
        how = (blocks, self.most_running, most_tokens, self.block_tokens, self.watermark, self.policy)
        return Engine(self.cost, *how, self.caching)

    def workload(self) -> Workload:
        """Prompts begin with one of five texts and go on with all that was said in their conversation."""
        draw = np.random.default_rng(self.seed)
        moments = -(-self.n // self.together)
        at_s = np.repeat(np.cumsum(draw.exponential(self.together / self.rate_per_s, moments)), self.together)[: self.n]
        prompt, output = draw.geometric(1 / self.mean_prompt, self.n), draw.geometric(1 / self.mean_output, self.n)
        shared = draw.integers(0, 1 + int(self.mean_prompt), 5)
        talk = np.arange(self.n) % -(-self.n // self.turns)
        said: dict[int, int] = {}
        tokens, names = self.block_tokens * self.name_blocks, []
        for r in range(self.n):
            kind, before = talk[r] % 5, said.get(talk[r], 0)
            prompt[r] += before or shared[kind]
            said[talk[r]] = prompt[r] + output[r]
            of_all = min(prompt[r], shared[kind]) // tokens
            ids = [kind * 10**6 + b for b in range(of_all)]
            ids += [(10 + talk[r]) * 10**6 + b for b in range(of_all, prompt[r] // tokens)]
            names.append(ids + [-r - 1] * int(prompt[r] % tokens > 0))
        columns: dict[str, Any] = {}
        if self.turns > 1:
            columns = {"conversation": talk, "think_s": draw.exponential(self.pauses / self.rate_per_s, self.n)}
        return asking(at_s, prompt, output, names if self.caching else None, tokens, **columns)

    def priority(self) -> Ints:
        return np.random.default_rng(self.seed).integers(0, 3, self.n)


def by_arrays(case: Case) -> World:
    fleet = Fleet((Pool(case.engine, 1),))
    return served(case.workload(), fleet, "closed" if case.closed else "open", case.priority())


def by_objects(case: Case) -> PlainEngine:
    turns = "closed" if case.closed else "open"
    return by_objects_of(case.workload(), case.engine, case.name_blocks, turns, case.priority())


def by_objects_of(
    workload: Workload, how: Engine, name_blocks: int, turns: str = "closed", priority: Ints | None = None
) -> PlainEngine:
    asked = Asked.of(workload, turns)
    begin, count = asked.names.begin.tolist(), asked.names.count.tolist()
    requests = [
        Request(
            row,
            float(asked.arrival_s[row]),
            int(asked.prompt[row]),
            int(asked.output[row]),
            asked.names.ids[begin[row] : begin[row] + count[row]].tolist(),
            0 if priority is None else int(priority[row]),
        )
        for row in range(len(workload))
    ]
    for now, later, think_s in zip(asked.turns.now, asked.turns.later, asked.turns.think_s, strict=True):
        requests[now].then, requests[later].think_s = requests[later], float(think_s)
    engine = PlainEngine(how, name_blocks, requests)
    engine.run()
    return engine


def same(world: World, plain: PlainEngine) -> None:
    q, requests = world.requests, plain.requests
    ended = np.array([not request.too_long for request in requests])
    assert np.array_equal(q["error"] == TOO_LONG, ~ended)
    for name in TIMES:
        expected = np.array([getattr(request, name) for request in requests])
        assert np.abs(q[name] - expected)[ended].max(initial=0.0) < CLOSE_S, name
    for name in ("preempted", "cached"):
        assert q[name].tolist() == [getattr(request, name) for request in requests], name
    assert world.at["steps"][0] == plain.steps
    assert world.at["preemptions"][0] == sum(request.preempted for request in requests)
    assert world.at["free"][0] == plain.memory.free
    assert world.at["kept"][0] == plain.memory.in_row
    same_gaps(world.gaps, plain.gaps, float(world.stretch_s[0]))


def same_gaps(counted: Ints, gaps: list[tuple[float, float]], stretch_s: float) -> None:
    """Histograms are the same up to gaps within :data:`CLOSE_S` of an edge."""
    at_s, gap_s = np.array(gaps).reshape(-1, 2).T
    longer, shorter = (
        np.bincount(gap_buckets(gap_s + by_s), minlength=counted.shape[1]) for by_s in (CLOSE_S, -CLOSE_S)
    )
    running = np.cumsum(counted.sum(axis=0))
    assert counted.sum() == gap_s.size
    assert (np.cumsum(longer) <= running).all()
    assert (running <= np.cumsum(shorter)).all()
    later, earlier = (
        np.bincount(np.clip((at_s + by_s) / stretch_s, 0, len(counted) - 1).astype(int), minlength=len(counted))
        for by_s in (CLOSE_S, -CLOSE_S)
    )
    running = np.cumsum(counted.sum(axis=1))
    assert (np.cumsum(later) <= running).all()
    assert (running <= np.cumsum(earlier)).all()


CASES = st.builds(
    Case,
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([20, 120, 300]),
    rate_per_s=st.sampled_from([1.0, 10.0, 100.0, 1000.0]),
    together=st.sampled_from([1, 1, 3, 40]),
    mean_prompt=st.sampled_from([1.0, 4.0, 60.0, 300.0]),
    mean_output=st.sampled_from([1.0, 3.0, 30.0, 100.0]),
    turns=st.sampled_from([1, 1, 4]),
    closed=st.booleans(),
    pauses=st.booleans(),
    block_tokens=st.sampled_from([1, 2, 5, 16, 64]),
    name_blocks=st.integers(1, 4),
    room=st.sampled_from([2.0, 4.0, 4.0, 10.0, 30.0, 1000.0]),
    most_running=st.sampled_from([1, 2, 5, 32, 256]),
    most_tokens=st.sampled_from([1, 7, 64, 512, 8192]),
    watermark=st.sampled_from([0.0, 0.01, 0.2]),
    policy=st.sampled_from(POLICIES),
    caching=st.booleans(),
    cost=st.sampled_from([COST, replace(COST, context_s=0.0), StepCost(0.0101)]),
)


@settings(max_examples=100)
@given(case=CASES)
def test_an_engine_does_what_one_step_after_the_other_does(case: Case) -> None:
    same(by_arrays(case), by_objects(case))


@pytest.mark.parametrize(
    ("policy", "caching"),
    [("fcfs", False), ("fcfs", True), ("shortest", True), ("longest", False), ("priority", True)],
)
def test_it_does_so_where_more_than_a_thousand_are_preempted(policy: str, caching: bool) -> None:
    case = Case(1, 700, 200.0, 1, 20.0, 100.0, 1, True, True, 4, 2, 5.0, 64, policy=policy, caching=caching)
    world = by_arrays(case)
    assert world.at["preemptions"][0] > 1000
    assert not caching or world.requests["cached"].any()
    same(world, by_objects(case))


def test_blocks_without_a_name_may_lie_scattered_among_named_ones() -> None:
    kind = np.random.default_rng(1).integers(0, 3, 2000)
    at_s, prompt, output = 1.017 * np.arange(2000), np.full(2000, 17), 1 + kind
    workload = asking(at_s, prompt, output, [[k] for k in kind], 16)
    how = Engine(COST, 64, 8, 512, block_tokens=4)
    world = served(workload, Fleet((Pool(how, 1),)))
    same(world, by_objects_of(workload, how, 4))
