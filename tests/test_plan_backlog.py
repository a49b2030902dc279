"""Overload is told from bursts: what waits grows all through the run."""

from __future__ import annotations

import numpy as np

from groundswell.plan.backlog import backlog_of
from groundswell.plan.figures import Backlog
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Fleet, Pool
from planning import ONE_BY_ONE, SERVICE_S, traffic

SPAN_S = 1_000.0


def served(arrival_s: np.ndarray, instances: int = 1, begin_s: float = 50.0) -> Backlog:
    run = simulate(traffic(np.sort(arrival_s)), Fleet((Pool(ONE_BY_ONE, instances),)))
    return backlog_of([run], begin_s)


def test_what_comes_faster_than_it_is_served_is_overload() -> None:
    """At 1.25 times the capacity a fifth of what comes is left over: 1,000 of 5,000 wait when the last comes."""
    backlog = served(np.arange(0.0, SPAN_S, SERVICE_S / 1.25))
    assert backlog.grows
    assert abs(backlog.untaken.value - 0.2) < 0.01
    assert abs(backlog.waiting - 1_000) <= 2


def test_a_fleet_that_keeps_up_is_not_overloaded_by_chance() -> None:
    """Poisson arrivals at 0.9 of the capacity (M/D/1): of 40 runs none, where 2.5 % could be if nothing else were asked
    than that the interval is above 0."""
    rng = np.random.default_rng(4)
    rate_per_s = 0.9 / SERVICE_S
    found = [served(np.cumsum(rng.exponential(1.0 / rate_per_s, 3_600))) for _ in range(40)]
    assert not any(each.grows for each in found)


def test_one_crowd_at_the_end_is_no_overload() -> None:
    steady = np.arange(0.0, SPAN_S, SERVICE_S / 0.5)
    crowd = np.full(300, SPAN_S - 5.0) + np.linspace(0.0, 4.0, 300)
    backlog = served(np.concatenate([steady, crowd]))
    assert backlog.waiting > 250
    assert not backlog.grows


def test_a_crowd_that_is_worked_off_is_no_overload() -> None:
    steady = np.arange(0.0, SPAN_S, SERVICE_S / 0.5)
    backlog = served(np.concatenate([steady, np.full(500, 300.0)]))
    assert not backlog.grows
    assert backlog.waiting <= 2


def test_runs_are_taken_together() -> None:
    at_s = np.arange(0.0, SPAN_S, SERVICE_S / 1.25)
    run = simulate(traffic(at_s), Fleet((Pool(ONE_BY_ONE, 1),)))
    one, two = backlog_of([run], 50.0), backlog_of([run, run], 50.0)
    assert two.waiting == 2 * one.waiting
    assert two.untaken.value == one.untaken.value


def test_a_run_that_was_broken_off_is_seen_up_to_then() -> None:
    """A fifth is left over up to 400 s, as it would be to the end."""
    at_s = np.arange(0.0, SPAN_S, SERVICE_S / 1.25)
    fleet = Fleet((Pool(ONE_BY_ONE, 1),))
    run = simulate(traffic(at_s), fleet, stop_when=lambda world, now_s: now_s >= 400.0)
    assert 400.0 <= run.run["stopped_s"] < 410.0
    backlog = backlog_of([run], 50.0)
    assert backlog.grows
    assert abs(backlog.waiting - 400) <= 10
