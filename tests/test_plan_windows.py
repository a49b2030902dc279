"""Long workloads are planned for by their worst windows, and short ones as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from groundswell.errors import UsageError
from groundswell.plan.drivers import demand_of
from groundswell.plan.windows import demand
from groundswell.simulate.parts import Engine, StepCost
from groundswell.table import Workload
from planning import SERVICE_S, traffic, whole

DAY_S = 86_400.0


def day(seed: int = 0) -> Workload:
    """A request a second all day; from 30,000 s on for ten minutes with long prompts, from 50,000 s on with long
    replies, and at 70,000 s a crowd of 400 within 5 s."""
    rng = np.random.default_rng([9, seed])
    at_s = np.sort(np.concatenate([rng.uniform(0.0, DAY_S, 86_400), 70_000.0 + rng.uniform(0.0, 5.0, 400)]))
    prompt = np.where((at_s >= 30_000) & (at_s < 30_600), 8_000, 500)
    output = np.where((at_s >= 50_000) & (at_s < 50_600), 2_000, 50)
    return traffic(at_s, prompt, output)


def test_the_windows_are_where_most_is_asked_for() -> None:
    parts, rule = whole(day()).parts()
    found = {part.window.why: part.window for part in reversed(parts)}
    assert found["most prompt tokens"].from_s == pytest.approx(30_000, abs=60)
    assert found["most reply tokens"].from_s == pytest.approx(50_000, abs=60)
    assert any(part.window.from_s < 70_000 < 70_005 < part.window.to_s for part in parts)
    assert all(part.window.to_s - part.window.from_s == pytest.approx(600.0) for part in parts)
    assert "10m" in rule


def test_a_window_comes_with_what_is_before_and_behind_it() -> None:
    made = whole(day())
    part = made.cut(40_000.0, 40_600.0)
    at_s = made.workload.arrival_s
    lead_s = made.lead_s
    assert len(part.workload) == ((at_s >= 40_000 - lead_s) & (at_s < 40_600 + lead_s)).sum()
    judged = at_s[(at_s >= 40_000) & (at_s <= 40_600)]
    assert part.workload.arrival_s[part.judged] + part.from_s == pytest.approx(judged)
    assert part.alone.prompt.size == len(part.workload)


def test_a_workload_of_two_hours_is_taken_as_a_whole() -> None:
    parts, _ = whole(traffic(np.linspace(0.0, 7_200.0, 2_000))).parts()
    assert [part.why for part in parts] == ["all of it"]
    assert len(parts[0].workload) == 2_000
    parts, _ = whole(traffic(np.linspace(0.0, 7_201.0, 2_000))).parts()
    assert "all of it" not in {part.why for part in parts}


def test_a_window_that_is_longer_than_the_workload_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a window of 10m: must be at least 1s, and no longer than the workload"):
        whole(traffic(np.linspace(0.0, 100.0, 2_000))).parts(600.0)


def test_demand_is_the_time_that_requests_take_over_the_time_there_is() -> None:
    """Each request takes a step of 0.25 s, 8 at a time in one: 64 a second keep two instances busy. From 100 s to 200 s
    there are twice as many."""
    engine = Engine(StepCost(SERVICE_S), 10_000, most_running=8, most_tokens=8, block_tokens=1)
    at_s = np.concatenate([np.arange(0, 100, 1 / 64), np.arange(100, 200, 1 / 128), np.arange(200, 300, 1 / 64)])
    made = whole(traffic(at_s, prompt=1), engine)
    least = demand(engine, made.alone, np.array([0.0, 100.0, 50.0]), 100.0)
    assert least == pytest.approx([2.0, 4.0, 3.0], rel=1e-3)
    mean, *most = demand_of(made)
    assert mean.requests_per_s == pytest.approx(at_s.size / 300.0, rel=1e-3)
    assert [each.width_s for each in most] == [60.0, 10.0]
    assert most[0].least_instances == pytest.approx(4.0, rel=1e-2)
    assert 95.0 <= most[0].at_s <= 141.0


def test_without_a_client_a_window_has_the_others() -> None:
    at_s = np.linspace(0.0, 300.0, 3_000)
    made = whole(traffic(at_s, client=np.arange(3_000) % 3))
    parts, _ = made.parts()
    (left,) = made.without("b", parts)
    assert len(left.workload) == 2_000
    assert "b" not in set(left.workload.frame["client"])
    assert left.busy < parts[0].busy
    (part,) = made.parts()[0]
    only = whole(traffic(at_s, client=1))
    assert only.without("b", [part]) != []
    assert only.without("b", only.parts()[0]) == []
