"""Simulated engines that are queues of textbooks give what the textbooks say.

Each figure is a mean over batches of a long run; it may be off by five of the standard errors that the batches show,
which a right one is once in 10⁵ to 10⁶ times, and the seeds are fixed.
"""

from __future__ import annotations

from math import exp, factorial, log

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from groundswell.routing import ROUTING
from groundswell.simulate.parts import Engine, Fleet, Pool, StepCost
from groundswell.simulate.serving import serve
from groundswell.simulate.state import Records
from groundswell.simulate.world import Asked, served_of, world_of
from simulating import Case, asking, served

Floats = NDArray[np.float64]
TOKEN_S = 1e-3
BATCHES = 40


def agrees(values: ArrayLike, expected: float, slack: float = 0.0) -> None:
    """The mean of ``values``, in order of time and without the first twentieth, is as expected."""
    values = np.asarray(values, float)
    batches = values[values.size // 20 :]
    means = batches[: batches.size // BATCHES * BATCHES].reshape(BATCHES, -1).mean(axis=1)
    error = means.std(ddof=1) / np.sqrt(BATCHES)
    assert abs(means.mean() - expected) <= 5 * error + slack
    assert error < 0.1 * expected + slack  # else the test says nothing


def one_at_a_time(arrival_s: Floats, prompt: NDArray[np.int64]) -> Records:
    """An engine that reads one prompt at a time, each of which takes 1 ms a token."""
    how = Engine(StepCost(0.0, TOKEN_S), 1000, most_running=1, most_tokens=10**6, block_tokens=1024)
    return served(asking(arrival_s, prompt, np.ones(prompt.size)), Fleet((Pool(how, 1),))).requests


def poisson(rate_per_s: float, n: int, seed: int) -> Floats:
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate_per_s, n))


@pytest.mark.parametrize(("load", "seed"), [(0.5, 1), (0.8, 2)])
def test_exponential_service_is_an_mm1(load: float, seed: int) -> None:
    """Geometric lengths of 1,000 tokens in the mean are exponential to a thousandth."""
    n, mean_s = 200_000, 1000 * TOKEN_S
    q = one_at_a_time(poisson(load / mean_s, n, seed), np.random.default_rng(seed + 100).geometric(1e-3, n))
    wait_s, stay_s = q["admitted_s"] - q["arrival_s"], q["done_s"] - q["arrival_s"]
    relaxes_s = mean_s / (1 - load)
    agrees(wait_s, load * relaxes_s, 1e-3 * relaxes_s)
    agrees(wait_s > 0, load)
    agrees(wait_s > relaxes_s, load * exp(-1), 1e-3)
    agrees(stay_s, relaxes_s, 1e-3 * relaxes_s)
    agrees(stay_s > relaxes_s * log(20), 0.05, 1e-4)  # the P95 is where it should be


@pytest.mark.parametrize(("load", "seed"), [(0.6, 3), (0.9, 4)])
def test_constant_service_is_an_md1(load: float, seed: int) -> None:
    n, took_s = 200_000, 200 * TOKEN_S
    q = one_at_a_time(poisson(load / took_s, n, seed), np.full(n, 200))
    wait_s = q["admitted_s"] - q["arrival_s"]
    agrees(wait_s, load * took_s / (2 * (1 - load)))
    agrees(wait_s > 0, load)
    for times in (0.5, 1.5, 3.0):  # Erlang, 1909
        terms = [(-load * (times - k)) ** k / factorial(k) * exp(load * (times - k)) for k in range(int(times) + 1)]
        agrees(wait_s <= times * took_s, (1 - load) * sum(terms))


def test_any_service_keeps_to_pollaczek_and_khinchine() -> None:
    n, load, random = 200_000, 0.7, np.random.default_rng(5)
    prompt = np.where(random.uniform(size=n) < 0.1, 1000, 100)
    mean_s, square = 190 * TOKEN_S, 0.1 * 1.0**2 + 0.9 * 0.1**2
    q = one_at_a_time(poisson(load / mean_s, n, 5), prompt)
    agrees(q["admitted_s"] - q["arrival_s"], load / mean_s * square / (2 * (1 - load)))


def erlang_c(servers: int, offered: float) -> float:
    """The probability that all servers are busy (Erlang, 1917)."""
    last = offered**servers / factorial(servers) / (1 - offered / servers)
    return last / (sum(offered**k / factorial(k) for k in range(servers)) + last)


@pytest.mark.parametrize(("servers", "load", "seed"), [(4, 0.7, 6), (16, 0.85, 7)])
def test_places_of_a_batch_are_servers(servers: int, load: float, seed: int) -> None:
    """Steps of 1 ms however many run: with geometric replies of 400 tokens a place is a server with exponential
    service. Whoever comes waits for a step to end, at most 1 ms."""
    n, step_s, tokens = 100_000, 1e-3, 400
    mean_s = tokens * step_s
    output = np.random.default_rng(seed + 100).geometric(1 / tokens, n)
    arrival_s = poisson(load * servers / mean_s, n, seed)
    how = Engine(StepCost(step_s), 10**6, most_running=servers)
    q = served(asking(arrival_s, np.ones(n), output), Fleet((Pool(how, 1),))).requests
    wait_s, busy = q["admitted_s"] - q["arrival_s"], erlang_c(servers, load * servers)
    relaxes_s = mean_s / (servers * (1 - load))
    agrees(wait_s > step_s, busy, step_s / relaxes_s)
    agrees(wait_s, busy * relaxes_s, step_s)
    agrees(wait_s > relaxes_s, busy * exp(-1), step_s / relaxes_s)
    assert q["done_s"] - q["admitted_s"] == pytest.approx(output * step_s, abs=1e-9)


def test_where_places_are_enough_those_in_flight_are_poisson() -> None:
    """M/G/∞, whatever the service: here of 100 or 700 steps of 1 ms."""
    n, rate_per_s, step_s = 100_000, 50.0, 1e-3
    output = np.random.default_rng(8).choice([100, 700], n)
    how = Engine(StepCost(step_s), 10**6, most_running=1000)
    q = served(asking(poisson(rate_per_s, n, 8), np.ones(n), output), Fleet((Pool(how, 1),))).requests
    at_s = np.sort(np.random.default_rng(9).uniform(1.0, q["arrival_s"][-1], 40_000))
    there = np.searchsorted(q["arrival_s"], at_s) - np.searchsorted(np.sort(q["done_s"]), at_s)
    agrees(there, rate_per_s * 0.4, rate_per_s * step_s)
    agrees((there - there.mean()) ** 2, rate_per_s * 0.4, 2 * rate_per_s * step_s)


def test_those_in_flight_are_counted_and_as_many_as_little_says() -> None:
    """What a router sees at any time are those that have come and not ended, with their tokens; over time that is the
    rate times the mean stay, requests in flight counted."""
    case = Case(10, 4000, 60.0, 1, 200.0, 60.0, room=12.0)
    fleet = Fleet((Pool(case.engine, 3),), ROUTING.build("jsq"))
    asked = Asked.of(case.workload())
    world = world_of(asked, fleet)
    router = fleet.router.state(served_of(asked, fleet, 0))
    whole = served(case.workload(), fleet).requests
    assert whole["preempted"].sum() > 300
    assert not whole["error"].any()
    end_s, points = float(whole["done_s"].max()), 4000
    at_s = (np.arange(points) + np.random.default_rng(10).uniform(size=points)) * end_s / points
    seen = np.empty((points, 3))
    for k in range(points):
        serve(world, router, float(at_s[k]))
        seen[k] = [world.load[name].sum() for name in ("requests", "tokens", "prefill_tokens")]
    tokens = whole["prompt"] + whole["output"]
    for column, (end, weight) in enumerate(
        [("done_s", np.ones(4000)), ("done_s", tokens), ("first_s", whole["prompt"])]
    ):
        ends = np.argsort(whole[end], kind="stable")
        come = np.concatenate(([0], np.cumsum(weight)))[np.searchsorted(whole["arrival_s"], at_s)]
        gone = np.concatenate(([0], np.cumsum(weight[ends])))[np.searchsorted(whole[end][ends], at_s)]
        assert np.array_equal(seen[:, column], come - gone)
    stay_s = whole["done_s"] - whole["arrival_s"]
    apart = np.abs(np.diff(seen[:, 0])) / np.sqrt(12)  # of a point somewhere in its stretch
    error = np.sqrt((apart**2).sum()) / points
    assert abs(seen[:, 0].mean() - 4000 / end_s * stay_s.mean()) <= 5 * error
