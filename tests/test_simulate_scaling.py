"""What an autoscaled fleet is paid for, and what its scaler sees, in small cases that can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from groundswell.results import Results
from groundswell.scaling import Seen
from groundswell.scaling.reactive import Reactive
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Engine, Fleet, Outage, Pool, Scaling, StepCost
from simulating import asking

SECONDS = Engine(StepCost(1.0), 1_000, most_running=1)
"""Each token takes a second, one request after the other."""


@dataclass(frozen=True)
class Told:
    """Wants what it is told to, look by look, and the last of it from then on; ``seen`` is what it saw."""

    wants: tuple[int, ...]
    every_s: float = 10.0
    seen: list[Seen] = field(default_factory=list)

    def begin(self) -> Callable[[Seen], int]:
        def wanted(seen: Seen) -> int:
            self.seen.append(seen)
            return self.wants[min(len(self.seen), len(self.wants)) - 1]

        return wanted


def scaled(workload: Any, told: Any, instances: int = 4, outages: tuple[Outage, ...] = (), **how: Any) -> Results:
    return simulate(workload, Fleet((Pool(SECONDS, instances),), outages=outages, scaling=Scaling(told, **how)))


def every(seconds: float, until_s: float) -> Any:
    """Requests of a second."""
    at_s = np.arange(0.0, until_s, seconds)
    return asking(at_s, [10] * at_s.size, [1] * at_s.size)


@pytest.mark.parametrize("startup_s", [0.0, 5.0, 15.0, 1e6])
def test_what_starts_is_paid_for_from_when_it_is_wanted_to_when_it_is_not(startup_s: float) -> None:
    run = scaled(every(2.0, 50.0), Told((3, 1)), startup_s=startup_s).run
    assert run["end_s"] == 49.0
    assert run["instance_s"] == pytest.approx(49.0 + 2 * 10.0)
    assert run["busy_share"] == pytest.approx(25.0 / 69.0)


def test_what_is_not_wanted_is_paid_for_until_it_is_looked_at_or_everything_has_ended() -> None:
    """Instance 1 has its only request until 30.5 s; looks are at 20, 40 and 60 s, the last request ends at 57 s."""
    workload = asking([0.0, 0.5, 21.0], [10] * 3, [30, 30, 27])
    results = scaled(workload, Told((1,), every_s=20.0), first=2)
    assert results.floats("instance").tolist() == [0.0, 1.0, 0.0]
    assert results.run["end_s"] == 57.0
    assert results.run["instance_s"] == pytest.approx(57.0 + 40.0)
    workload = asking([0.0, 0.5], [10] * 2, [30, 30])
    assert scaled(workload, Told((1,), every_s=20.0), first=2).run["instance_s"] == pytest.approx(2 * 30.5)


def test_nothing_is_decided_any_more_when_all_has_ended() -> None:
    """All ends at 15 s, after the look at 10 s; whatever is wanted at 20 s costs nothing."""
    for wants in ((2, 1), (2, 4), (2, 2)):
        results = scaled(asking([0.0], [10], [15]), Told(wants), startup_s=1e6)
        assert results.run["instance_s"] == pytest.approx(15.0 + 5.0)


def test_what_takes_no_requests_yet_is_stopped_first() -> None:
    """Instance 0 is down from 5 s to 500 s, so the one that is not needed is that, not the one that serves."""
    told = Told((2, 1))
    results = scaled(every(2.0, 60.0), told, instances=3, outages=(Outage(5.0, 0, 495.0),), first=2, startup_s=5.0)
    assert [seen.up for seen in told.seen] == [1] * len(told.seen)
    assert results.run["end_s"] == pytest.approx(59.0)
    assert results.run["instance_s"] == pytest.approx(20.0 + 59.0)


def test_an_instance_that_fails_while_it_starts_is_up_when_both_are_over() -> None:
    """Wanted at 10 s, it would be up at 20 s, and is down from 15 to 32 s."""
    told = Told((2,))
    results = scaled(every(1.0, 60.0), told, instances=2, outages=(Outage(15.0, 1, 17.0),), startup_s=10.0)
    assert [seen.up for seen in told.seen[:4]] == [1, 1, 1, 2]
    assert results.run["instance_s"] == pytest.approx(results.run["end_s"] + results.run["end_s"] - 10.0)


def test_an_instance_that_fails_while_it_ends_what_it_has_is_paid_for_until_the_next_look() -> None:
    workload = asking([0.0, 0.0, 60.0], [10] * 3, [50, 50, 1])
    results = scaled(workload, Told((1,)), instances=2, outages=(Outage(25.0, 1, 100.0),), first=2)
    assert results.run["end_s"] == pytest.approx(101.0)  # its request began anew behind the other one
    assert results.run["instance_s"] == pytest.approx(101.0 + 30.0)


def test_a_scaler_sees_those_that_no_instance_has_taken() -> None:
    """A crowd comes to a fleet that has to start, and another to one whose only instance is down."""
    crowd = asking(np.zeros(200), [10] * 200, [1] * 200)
    told = Told((1,))
    scaled(crowd, told, first=0, startup_s=25.0)
    assert [seen.in_flight for seen in told.seen[:4]] == [200, 200, 200, 196]
    assert [seen.waiting for seen in told.seen[:4]] == [200, 200, 200, 195]
    in_time = scaled(crowd, Reactive(target=10.0, every_s=10.0), 20, first=0, startup_s=60.0)
    assert in_time.run["end_s"] == pytest.approx(80.0)  # all 20 are up at 70 s, with ten requests each
    alone = scaled(every(0.25, 100.0), Reactive(10.0, every_s=10.0), 20, (Outage(1.0, 0, 300.0),), startup_s=20.0)
    assert alone.run["end_s"] < 150.0
