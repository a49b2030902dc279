"""A simulated fleet loses nothing at any time, whatever becomes of its instances; small examples are exactly right."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from groundswell.routing import ROUTING
from groundswell.scaling import Seen
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Engine, Fleet, Outage, Pool, Scaling, Stage, StepCost, Transfer
from groundswell.simulate.serving import serve
from groundswell.simulate.state import LOST, TOO_LONG, World
from groundswell.simulate.world import Asked, served_of, world_of
from groundswell.table import Workload
from simulating import CASES, Case, asking, served
from world_checks import check, check_end

EVEN = StepCost(0.01)
"""Each step takes 10 ms."""


def fleet_of(case: Case, instances: int, router: str, view_s: float, apart: bool, **more: Any) -> Fleet:
    """``apart``: some instances read prompts, as many decode."""
    pools: tuple[Pool, ...] = (Pool(case.engine, instances),)
    if apart:
        pools = (Pool(case.engine, instances, "p", "prefill"), Pool(case.engine, instances, "d", "decode"))
    return Fleet(pools, ROUTING.build(router), view_s, transfer=Transfer(0.003, 1.1e-5), **more)


FLEETS: dict[str, Any] = {
    "case": CASES,
    "instances": st.integers(1, 4),
    "router": st.sampled_from(["jsq", "round_robin"]),
    "view_s": st.sampled_from([0.0, 0.0, 0.05, 10.0]),
    "apart": st.booleans(),
}


class Looks:
    """Checks a world at every 40th look."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, world: World) -> None:
        self.count += 1
        if self.count % 40 == 1:
            check(world)


def open_or_closed(case: Case) -> str:
    return "closed" if case.closed else "open"


@settings(max_examples=30)
@given(**FLEETS)
def test_nobody_is_lost_and_every_block_is_somewhere(case: Case, **how: Any) -> None:
    world = served(case.workload(), fleet_of(case, **how), open_or_closed(case), case.priority(), Looks())
    check_end(world)
    q = world.requests
    assert world.gaps.sum() == (q["output"] - 1)[q["error"] == 0].sum()
    assert world.at["preemptions"].sum() == q["preempted"].sum()


@settings(max_examples=30)
@given(
    outages=st.lists(st.tuples(st.integers(0, 7), st.floats(0, 1), st.floats(0.001, 0.5)), max_size=12),
    most_tries=st.integers(1, 4),
    retry_s=st.sampled_from([0.0, 0.02, 3.0]),
    **FLEETS,
)
def test_instances_that_fail_lose_nobody(
    outages: list[tuple[int, float, float]], most_tries: int, retry_s: float, case: Case, **how: Any
) -> None:
    workload = case.workload()
    span_s = float(workload.arrival_s[-1]) + 1.0
    fleet = fleet_of(case, **how)
    until_s, planned = np.zeros(fleet.instances), []
    for i, at, down in sorted(outages, key=lambda outage: outage[1]):
        if i < fleet.instances and at * span_s >= until_s[i]:
            planned.append(Outage(at * span_s, i, down * span_s))
            until_s[i] = (at + down) * span_s
    fleet = replace(fleet, outages=tuple(planned), most_tries=most_tries, retry_s=retry_s)
    world = served(workload, fleet, open_or_closed(case), case.priority(), Looks())
    check_end(world)
    q = world.requests
    assert (q["tries"] <= most_tries).all()
    assert ((q["error"] == LOST) >= (q["tries"] == most_tries)).all()
    assert world.gaps.sum() >= (q["output"] - 1)[q["error"] == 0].sum()
    assert world.fleet["lost"][0] == q["tries"].sum()


def alike(a: World, b: World) -> None:
    for name in ("requests", "at", "gaps", "load", "seen", "fleet", "stage_done_s"):
        x, y = getattr(a, name), getattr(b, name)
        for column in x.dtype.names or [...]:
            assert np.array_equal(x[column], y[column], equal_nan=True), (name, column)


@settings(max_examples=20)
@given(cuts=st.integers(2, 300), **FLEETS)
def test_many_slices_of_time_are_one_and_one_seed_is_one_result(cuts: int, case: Case, **how: Any) -> None:
    fleet = fleet_of(case, **how)
    asked = Asked.of(case.workload(), open_or_closed(case))
    worlds = []
    at_s: list[float] = np.linspace(0, 2 * float(asked.arrival_s[-1]), cuts).tolist()
    for times_s in (at_s[:0], at_s[:0], at_s):
        worlds.append(world_of(asked, fleet))
        router = fleet.router.state(served_of(asked, fleet, 0))
        for until_s in (*times_s, np.inf):
            serve(worlds[-1], router, until_s)
    alike(worlds[0], worlds[1])
    alike(worlds[0], worlds[2])


@settings(max_examples=12)
@given(case=CASES, instances=st.integers(2, 5))
def test_each_instance_in_turn_is_each_alone(case: Case, instances: int) -> None:
    """Under round robin an instance's share is every n-th request, whatever becomes of the others."""
    case = replace(case, turns=1)
    workload = case.workload()
    together = served(workload, fleet_of(case, instances, "round_robin", 0.0, False))
    for i in range(instances):
        share = Workload(workload.frame[i::instances], workload.metadata)
        alone = served(share, fleet_of(case, 1, "jsq", 0.0, False))
        for name in ("admitted_s", "first_s", "done_s", "longest_gap_s", "cached", "preempted"):
            assert np.array_equal(together.requests[name][i::instances], alone.requests[name], equal_nan=True), name


def test_a_turn_comes_a_pause_after_the_reply_before_it() -> None:
    case = Case(5, 300, 20.0, 1, 60.0, 30.0, turns=5, room=30.0, caching=True)
    workload = case.workload()
    turns = Asked.of(workload).turns
    q = served(workload, fleet_of(case, 2, "jsq", 0.0, False)).requests
    came = q["error"][turns.later] == 0
    assert came.sum() > 150
    assert np.array_equal((q["done_s"][turns.now] + turns.think_s)[came], q["arrival_s"][turns.later][came])
    first = np.setdiff1d(np.arange(300), turns.later)
    assert np.array_equal(q["arrival_s"][first], workload.arrival_s[first])


def test_turns_behind_one_that_fails_fail_with_it() -> None:
    workload = asking(
        [0.0, 1.0, 2.0, 3.0], [10, 10_000, 10, 10], [3] * 4, conversation=[7, 7, 7, 8], think_s=[0.0, 0.5, 0.5, 0.0]
    )
    q = served(workload, Fleet((Pool(Engine(EVEN, 100), 1),))).requests
    assert q["error"].tolist() == [0, TOO_LONG, TOO_LONG, 0]
    assert q["done_s"] == pytest.approx([0.03, 0.53, 0.53, 3.03], abs=1e-12)
    assert q["arrival_s"] == pytest.approx([0.0, 0.53, 0.53, 3.0], abs=1e-12)


def test_keys_and_values_go_from_one_engine_to_the_other() -> None:
    cost = StepCost(0.01, 1e-5, decode_s=1e-4, context_s=1e-7, prefill_s=1e-9)
    how = Engine(cost, 100, most_tokens=512)
    fleet = Fleet((Pool(how, 1, "p", "prefill"), Pool(how, 2, "d", "decode")), transfer=Transfer(0.5, 1e-3))
    world = served(asking([1.0, 9.0], [1000, 100], [5, 1]), fleet)
    q = world.requests
    chunks_s = 0.01 + 512e-5 + 512 * 256e-9 + 0.01 + 488e-5 + 488 * (512 + 244) * 1e-9
    decode_s = [0.01 + 1e-5 + 1e-4 + 1e-7 * context for context in (1000, 1001, 1002, 1003)]
    assert q["first_s"][0] == pytest.approx(1.0 + chunks_s, abs=1e-12)
    assert q["done_s"][0] == pytest.approx(1.0 + chunks_s + 0.5 + 1.0 + sum(decode_s), abs=1e-12)
    assert q["longest_gap_s"][0] == pytest.approx(0.5 + 1.0 + decode_s[0], abs=1e-12)
    assert q["instance"][0] in (1, 2)
    assert q["instance"][1] == 0  # with its first token it has all
    assert world.at["steps"].sum() == 7
    check_end(world)


def in_line(arrival_s: ArrayLike, took_s: ArrayLike, places: int) -> NDArray[np.float64]:
    """When each leaves a stage with so many places, first come, first served (Kiefer and Wolfowitz); those that need
    no time pass."""
    arrival_s, took_s = np.asarray(arrival_s), np.asarray(took_s)
    free_s, done_s = [0.0] * places, np.empty(arrival_s.size)
    for r in np.argsort(arrival_s, kind="stable"):
        if took_s[r] == 0.0 or not places:
            done_s[r] = arrival_s[r] + took_s[r]
        else:
            done_s[r] = max(arrival_s[r], heapq.heappop(free_s)) + took_s[r]
            heapq.heappush(free_s, done_s[r])
    return done_s


def test_stages_serve_whoever_comes_first() -> None:
    draw = np.random.default_rng(1)
    n, instances = 400, 2
    sizes = [draw.integers(1, 900, k).tolist() for k in draw.integers(0, 4, n)]
    workload = asking(np.cumsum(draw.exponential(0.1, n)), draw.integers(1, 50, n), [2] * n, image_tokens=sizes)
    fetch, encode = Stage("fetch", 0.07, 0.03, 0.0, 0), Stage("encode", 0.05, 0.0, 2e-4)
    stages = (fetch, Stage("normalise", 0.0, 0.11, 1e-4, 2), encode)
    world = served(workload, Fleet((Pool(Engine(EVEN, 1000), instances),), stages=stages))
    items, tokens = np.array([len(size) for size in sizes]), np.array([sum(size) for size in sizes])
    at_s = workload.arrival_s
    for k, stage in enumerate(stages):
        took_s = np.where(items > 0, stage.request_s, 0.0) + stage.item_s * items + stage.token_s * tokens
        at_s = in_line(at_s, took_s, stage.parallel * instances)
        assert world.stage_done_s[:, k] == pytest.approx(at_s, abs=1e-9)
    assert np.array_equal(world.requests["ready_s"], world.stage_done_s[:, -1])
    assert (np.diff(world.stage_done_s, axis=1) > 1.0).any()  # somebody had to wait
    check_end(world)


def failing(outages: tuple[Outage, ...], workload: Workload, instances: int = 1, **how: Any) -> World:
    pools = (Pool(Engine(EVEN, 100), instances),)
    return served(workload, Fleet(pools, ROUTING.build("round_robin"), outages=outages, **how))


def test_whoever_was_on_an_instance_that_failed_begins_anew_when_one_is_up() -> None:
    world = failing((Outage(0.255, 0, 1.0),), asking([0.0, 0.6], [10, 10], [100, 1]))
    q = world.requests
    assert q["tries"].tolist() == [1, 0]
    assert q["ready_s"] == pytest.approx([1.255, 1.255], abs=1e-12)
    assert q["first_s"] == pytest.approx([1.265, 1.265], abs=1e-12)
    assert q["done_s"] == pytest.approx([2.255, 1.265], abs=1e-12)
    assert q["arrival_s"].tolist() == [0.0, 0.6]
    assert world.gaps.sum() == 25 + 99  # the 26th token of the first try was on its way
    assert world.at["steps"][0] == 26 + 100
    assert world.at["busy_s"][0] == pytest.approx(0.255 + 1.0, abs=1e-12)
    check_end(world)


def test_whoever_has_been_sent_too_often_fails_when_the_instance_does() -> None:
    workload = asking([0.0, 0.1], [10, 10], [10, 100], conversation=[1, 1], think_s=[0.0, 0.1])
    world = failing((Outage(0.5, 0, 1.0), Outage(2.0, 0, 1.0)), workload, most_tries=2, retry_s=0.25)
    q = world.requests
    assert q["error"].tolist() == [0, LOST]
    assert q["arrival_s"] == pytest.approx([0.0, 0.2], abs=1e-12)
    assert q["done_s"] == pytest.approx([0.1, 2.0], abs=1e-12)
    assert q["tries"].tolist() == [0, 2]
    check_end(world)


def test_an_instance_is_up_when_the_last_of_its_failures_is_over() -> None:
    world = failing((Outage(1.0, 0, 1.0), Outage(2.0, 0, 1.0)), asking([1.5], [10], [1]))
    assert world.requests["ready_s"].tolist() == [3.0]


def test_others_take_what_an_instance_that_is_down_would_get() -> None:
    world = failing((Outage(0.5, 1, 3.0),), asking(np.arange(1, 9) * 0.3, [10] * 8, [1] * 8), 2)
    assert world.requests["instance"].tolist() == [0, 0, 0, 0, 0, 0, 0, 0]


def test_a_view_that_is_never_new_shows_nothing_and_one_that_is_always_new_shows_all() -> None:
    case = Case(2, 400, 40.0, mean_output=30.0)
    workload = case.workload()
    blind, in_turn, new, all_seen = (
        served(workload, fleet_of(case, 3, router, view_s, False)).requests["instance"]
        for router, view_s in (("jsq", 1e9), ("round_robin", 0.0), ("jsq", 1e-9), ("jsq", 0.0))
    )
    assert np.array_equal(blind, in_turn)
    assert np.array_equal(new, all_seen)
    assert not np.array_equal(blind, all_seen)


def test_one_more_instance_does_not_make_waits_longer_in_turn() -> None:
    p99_s = np.empty((2, 8, 6))  # to the first and to the last token, by seed and instances
    for seed in range(8):
        case = Case(seed, 2500, 40.0, 1, 200.0, 80.0, room=40.0)
        workload = case.workload()
        for n in range(6):
            q = served(workload, fleet_of(case, n + 1, "round_robin", 0.0, False)).requests
            q = q[q["error"] == 0]
            for k, name in enumerate(("first_s", "done_s")):
                p99_s[k, seed, n] = np.quantile(q[name] - q["arrival_s"], 0.99)
    worse_s = np.diff(p99_s, axis=2)
    assert (worse_s.mean(axis=1) <= 5 * worse_s.std(axis=1, ddof=1) / np.sqrt(8)).all()


@dataclass(frozen=True)
class AnyNumber:
    """Wants any number of instances."""

    seed: int
    every_s: float

    def begin(self) -> Callable[[Seen], int]:
        draw = np.random.default_rng(self.seed)
        return lambda seen: int(draw.integers(0, 6))


@settings(max_examples=20)
@given(case=CASES, seed=st.integers(0, 99), first=st.integers(0, 4), startup=st.sampled_from([0.0, 0.07, 0.3]))
def test_a_fleet_that_grows_and_shrinks_loses_nobody(case: Case, seed: int, first: int, startup: float) -> None:
    workload = case.workload()
    span_s = max(float(workload.arrival_s[-1]), 0.1)  # all can come at once
    scaling = Scaling(AnyNumber(seed, max(span_s / 20, 0.2)), first, 1, startup * span_s)
    failures = tuple(Outage(part * span_s, i, 0.2 * span_s) for i, part in enumerate((0.2, 0.5, 0.7)))
    fleet = fleet_of(case, 4, "jsq", 0.0, False, scaling=scaling, outages=failures)
    world = served(workload, fleet, open_or_closed(case), case.priority(), Looks())
    check_end(world)
    assert (world.at["up_s"] <= world.requests["done_s"].max() + span_s + 0.2).all()


@pytest.mark.parametrize(("priorities", "order"), [({}, "bbbaac"), ({"c": -1, "b": 5}, "bcaabb")])
def test_clients_are_admitted_by_their_priority(priorities: dict[str, int], order: str) -> None:
    """One request runs at a time, and all come at nearly one time: the first runs before the others are there."""
    code = np.array([1, 1, 1, 0, 0, 2], np.uint32)
    ones = np.ones(6, np.int32)
    workload = Workload.from_columns(np.linspace(0.0, 5e-4, 6), code, ("a", "b", "c"), ones, ones)
    engine = Engine(EVEN, 100, most_running=1, policy="priority")
    frame = simulate(workload, Fleet((Pool(engine, 1),), priorities=priorities)).frame.sort("done_s")
    assert "".join(frame["client"].cast(str).to_list()) == order
