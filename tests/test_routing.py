"""Routers: what all of them keep to, and what those pick that look at loads only."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numba import typeof

from groundswell.results import Results
from groundswell.routing import ROUTING, Served
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Engine, Fleet, Outage, Pool, StepCost
from routers import ENGINE, ROUTERS, Routed, error_of, fleet_of, mixed, plain
from simulating import asking

BY_CHANCE = {"random", "power_of_two"}


def instances(results: Results) -> list[int]:
    return results.frame["instance"].to_list()


@pytest.mark.parametrize("name", ROUTERS)
def test_only_instances_that_are_up_and_in_range_are_picked(name: str) -> None:
    rng = np.random.default_rng(1)
    routed = Routed(name, plain(50), 3, 3)
    for _ in range(200):
        up = rng.random(6) < 0.5
        routed.load(rng.integers(0, 300, 6), rng.integers(0, 9000, 6), rng.integers(0, 2000, 6), up)
        for begin, end in ((0, 6), (0, 3), (3, 6), (1, 2)):
            there = np.flatnonzero(up[begin:end]) + begin
            picks = routed.picks(rng.integers(0, 50, 5), begin, end)
            assert np.isin(picks, there).all() if there.size else (picks == -1).all()


@pytest.mark.parametrize("name", ROUTERS)
def test_every_instance_that_is_up_gets_something(name: str) -> None:
    taken = set(instances(simulate(mixed(400, 40.0), fleet_of(name))))
    assert taken >= {0, 1, 2} if name == "dual_pool" else taken == set(range(6))


@pytest.mark.parametrize("name", ROUTERS)
def test_the_same_seed_gives_the_same_picks(name: str) -> None:
    workload, fleet = mixed(300, 40.0), fleet_of(name, view_s=0.5)
    one, same, other = (simulate(workload, fleet, seed) for seed in (1, 1, 2))
    assert one.frame.equals(same.frame)
    if name in BY_CHANCE:
        assert instances(one) != instances(other)


@pytest.mark.parametrize("name", ROUTERS)
def test_a_router_sees_loads_as_old_as_its_view(name: str) -> None:
    new, old = (Routed(name, plain(20), 3, 3, view_s=5.0) for _ in range(2))
    new.load(np.arange(6), np.arange(6) * 900, np.arange(6) * 90)
    assert new.picks(range(20)).tolist() == old.picks(range(20)).tolist()


@pytest.mark.parametrize("name", ROUTERS)
def test_with_an_old_view_and_instances_that_fail_everything_ends(name: str) -> None:
    down = tuple(Outage(2.0, i, 3.0) for i in range(6))  # all of them, for a while
    results = simulate(mixed(300, 40.0), fleet_of(name, view_s=1.0, outages=down, most_tries=5))
    assert results.frame["error"].null_count() == 300
    assert not results.frame.filter(pl.col("ready_s").is_between(2.0, 5.0, closed="none")).height


@pytest.mark.parametrize("name", ROUTERS)
def test_pools_that_only_decode_are_routed_to_as_well(name: str) -> None:
    fleet = Fleet((Pool(ENGINE, 3, "p", "prefill"), Pool(ENGINE, 2, "d", "decode")), ROUTING.build(name))
    frame = simulate(mixed(300, 40.0), fleet).frame
    assert frame["error"].null_count() == 300
    assert set(frame.filter(pl.col("output_tokens") > 1)["instance"]) == {3, 4}


def test_no_two_routers_are_of_one_type_to_compiled_code() -> None:
    served = Served(4, ((0, 2), (2, 4)), (9000, 9000), 3, 0)
    assert len({typeof(ROUTING.build(name).state(served)) for name in ROUTERS}) == len(ROUTERS)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", ROUTERS)
def test_a_router_is_built_from_its_name_and_says_what_it_does(name: str) -> None:
    assert ROUTING.text(ROUTING.build(name)) == name
    assert ROUTING[name].__doc__
    assert ROUTING.signature(name)


def test_by_chance_each_that_is_up_is_as_likely() -> None:
    n = 60_000
    routed = Routed("random", plain(n), 5)
    routed.load([9, 0, 3, 0, 0], up=[True, True, False, True, True])
    count = np.bincount(routed.picks(np.arange(n)), minlength=5)
    assert count[2] == 0
    assert np.abs(count[[0, 1, 3, 4]] - n / 4).max() < 5 * np.sqrt(n / 4 * 3 / 4)


def test_a_requests_chance_does_not_depend_on_what_was_sent_before() -> None:
    for name in BY_CHANCE:
        row = np.arange(100)
        forward, backward = Routed(name, plain(100), 7).picks(row), Routed(name, plain(100), 7).picks(row[::-1])
        assert forward.tolist() == backward[::-1].tolist()


def test_a_request_that_is_sent_anew_has_a_new_chance() -> None:
    for name in BY_CHANCE:
        routed = Routed(name, plain(100), 7)
        first = routed.picks(range(100))
        routed.world.requests["tries"] = 1
        assert 0 < (routed.picks(range(100)) == first).sum() < 50


def test_two_choices_take_the_k_th_shortest_of_n_as_often_as_they_should() -> None:
    """The better of two of n: the k-th shortest with probability (n - k) / (n (n - 1) / 2), the longest never."""
    n, rows = 5, 60_000
    routed = Routed("power_of_two", plain(rows), n + 1)
    load = np.array([40, 10, 0, 30, 20, 50])
    routed.load(load, up=load != 0)
    count = np.bincount(routed.picks(np.arange(rows)), minlength=n + 1)[np.argsort(load)][1:]
    share = (n - np.arange(1, n + 1)) / (n * (n - 1) / 2)
    assert np.abs(count - rows * share).max() <= 5 * np.sqrt(rows / 4)
    assert count[-1] == 0


def test_two_choices_between_two_take_the_shorter_and_of_one_that_one() -> None:
    routed = Routed("power_of_two", plain(50), 3)
    routed.load([4, 3, 0], up=[True, True, False])
    assert set(routed.picks(range(50))) == {1}
    routed.load([4, 3, 0], up=[True, False, False])
    assert set(routed.picks(range(50))) == {0}


def test_the_shortest_queue_is_joined_and_equals_in_turn() -> None:
    routed = Routed("jsq", plain(9), 4)
    routed.load([3, 1, 2, 1], tokens=[0, 9, 0, 9])
    assert set(routed.picks(range(4))) == {1, 3}
    routed.load(0)
    assert sorted(routed.picks(range(4))) == [0, 1, 2, 3]


def test_each_has_its_turn() -> None:
    routed = Routed("round_robin", plain(9), 3)
    routed.load([9, 0, 5])
    assert routed.picks(range(7)).tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_the_fewest_tokens_count_and_not_the_fewest_requests() -> None:
    routed = Routed("least_tokens", plain(9), 3)
    routed.load([1, 5, 2], tokens=[4000, 900, 1000])
    assert set(routed.picks(range(3))) == {1}


def test_the_shortest_queue_waits_less_than_two_choices_and_these_less_than_chance() -> None:
    """Poisson arrivals, lengths geometric, one at a time on each of four instances, which are busy for 0.8 of the time.
    By chance each instance is a queue M/G/1 of its own, whose mean wait Pollaczek and Khinchine tell; the shortest
    queue cannot wait less than one row for all, about M/M/4 (Erlang C)."""
    n, each, step_s, mean = 200_000, 4, 0.01, 50
    rng = np.random.default_rng(11)
    rate_per_s = 0.8 * each / (mean * step_s)
    tokens = rng.geometric(1 / mean, n)
    workload = asking(np.cumsum(rng.exponential(1 / rate_per_s, n)), np.ones(n, int), tokens)
    engine = Engine(StepCost(step_s), blocks=1000, most_running=1)
    wait_s = {}
    for name in ("random", "power_of_two", "jsq"):
        frame = simulate(workload, Fleet((Pool(engine, each),), ROUTING.build(name))).frame
        wait_s[name] = (frame["admitted_s"] - frame["due_s"]).to_numpy()[n // 20 :]
    service_s, square = mean * step_s, (2 - 1 / mean) * mean**2 * step_s**2
    one_queue_s = 0.8 / service_s * square / (2 * (1 - 0.8))
    assert abs(wait_s["random"].mean() - one_queue_s) < 5 * error_of(wait_s["random"])
    a = 0.8 * each
    terms = a ** np.arange(each) / np.cumprod([1, *range(1, each)])
    last = a**each / 24 / (1 - 0.8)
    erlang_s = last / (terms.sum() + last) * service_s / (each * (1 - 0.8))
    assert wait_s["jsq"].mean() > 0.98 * erlang_s - 5 * error_of(wait_s["jsq"])
    for better, worse in (("jsq", "power_of_two"), ("power_of_two", "random")):
        less_s = wait_s[worse] - wait_s[better]
        assert less_s.mean() > 5 * error_of(less_s)
