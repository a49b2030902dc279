"""One simulated engine does what a plain one does, step by step: times, gaps, memory, whoever is preempted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from groundswell.gap_buckets import gap_buckets
from groundswell.simulate.parts import Engine, Fleet, Pool
from groundswell.simulate.state import TOO_LONG, Ints, World
from groundswell.simulate.world import Asked
from groundswell.table import Workload
from plain_engine import PlainEngine, Request
from simulating import CASES, COST, Case, asking, served

TIMES = ("arrival_s", "admitted_s", "first_s", "done_s", "longest_gap_s")
CLOSE_S = 1e-9


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
    assert world.at["free"][0] + world.at["kept"][0] == plain.memory.room == plain.how.blocks
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


@settings(max_examples=70)
@given(case=CASES)
def test_an_engine_does_what_one_step_after_the_other_does(case: Case) -> None:
    same(by_arrays(case), by_objects(case))


@pytest.mark.parametrize(
    "how",
    [
        {"caching": False},
        {"caching": True},
        {"caching": True, "policy": "shortest", "resuming": True},
        {"policy": "longest", "ahead": True},
        {"caching": True, "policy": "priority", "whole_prompts": True},
        {"caching": True, "resuming": True, "whole_prompts": True, "ahead": True},
    ],
    ids=lambda how: " ".join(map(str, how.values())),
)
def test_it_does_so_where_more_than_a_thousand_are_preempted(how: dict[str, Any]) -> None:
    case = Case(1, 700, 200.0, 1, 20.0, 100.0, 1, True, True, 4, 2, 5.0, 64, **how)
    world = by_arrays(case)
    assert world.at["preemptions"][0] > 1000
    assert not case.caching or world.requests["cached"].any()
    same(world, by_objects(case))


def test_blocks_without_a_name_may_lie_scattered_among_named_ones() -> None:
    kind = np.random.default_rng(1).integers(0, 3, 2000)
    at_s, prompt, output = 1.017 * np.arange(2000), np.full(2000, 17), 1 + kind
    workload = asking(at_s, prompt, output, [[k] for k in kind], 16)
    how = Engine(COST, 64, 8, 512, block_tokens=4)
    world = served(workload, Fleet((Pool(how, 1),)))
    same(world, by_objects_of(workload, how, 4))


def test_what_hangs_from_the_middle_of_a_segment_is_found() -> None:
    """The second leaves blocks behind the two that it shares with the first, which are named anew and grow."""
    first, second = [1, 2, 3, 4, 5, 6], [1, 2, 13, 14, 15, 16]
    names = [first[:2], second, first, second, first]
    prompt, at_s = [16 * len(ids) + 1 for ids in names], 10.0 * np.arange(5)
    workload = asking(at_s, prompt, np.full(5, 2), names)
    how = Engine(COST, 100)
    world = served(workload, Fleet((Pool(how, 1),)))
    assert world.requests["cached"].tolist() == [0, 32, 32, 96, 96]
    same(world, by_objects_of(workload, how, 1))


def test_equal_blocks_behind_others_are_not_found() -> None:
    """Ids may be of a block's own tokens only, and one can stand in a prompt more than once."""
    draw = np.random.default_rng(2)
    names: list[list[int]] = [draw.integers(0, 3, count).tolist() for count in draw.integers(0, 8, 300)]
    prompt = np.array([16 * len(ids) + 1 for ids in names])
    world = served(
        asking(10.0 * np.arange(300), prompt, np.full(300, 2), names), Fleet((Pool(Engine(COST, 10_000), 1),))
    )
    known: set[tuple[int, ...]] = set()
    cached = []
    for ids in names:
        beginnings = [tuple(ids[: k + 1]) for k in range(len(ids))]
        cached.append(16 * sum(begins in known for begins in beginnings))
        known.update(beginnings)
    assert world.requests["cached"].tolist() == cached


def test_turns_find_what_was_said_before_and_the_reply() -> None:
    """Prompt and reply of a first turn are 40 + 30 tokens, of which the last is never computed: 4 blocks are full. A
    second turn that goes on otherwise finds but the beginning."""
    says, replies = [1, 2, -1], [1, 2, 3, 4, 5, 6]
    workload = asking(
        [0.0, 1.0, 100.0, 101.0],
        [40, 100, 40, 100],
        [30, 2, 30, 2],
        [says, replies, [11, 12, -2], [11, 22, 23, 24, 25, 26]],
        conversation=[1, 1, 2, 2],
    )
    for turns in ("closed", "open"):
        world = served(workload, Fleet((Pool(Engine(COST, 100), 1),)), turns)
        assert world.requests["cached"].tolist() == [0, 64, 0, 16]


@pytest.mark.parametrize("most_running", [2, 5])
def test_the_longest_gap_of_each_is_kept_where_steps_get_shorter_and_shorter(most_running: int) -> None:
    """One decodes all the time while prompts are read, each shorter than the one before: for each that joins, another
    step is the longest."""
    n, draw = 300, np.random.default_rng(0)
    at_s = np.concatenate(([0.0], 0.1 + np.cumsum(draw.exponential(0.2, n - 1))))
    prompt, output = np.append(10, 2000 - 6 * np.arange(n - 1)), np.append(3000, draw.integers(2, 30, n - 1))
    workload, how = asking(at_s, prompt, output), Engine(COST, 10**5, most_running, 8192)
    same(served(workload, Fleet((Pool(how, 1),))), by_objects_of(workload, how, 1))
