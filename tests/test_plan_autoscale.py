"""The fewest instance-hours with which an autoscaler keeps an SLO."""

from __future__ import annotations

import math

import numpy as np
import pytest

from groundswell.errors import DataError, UsageError
from groundswell.judge.slo import SLO
from groundswell.plan import Options, plan
from groundswell.plan.autoscale import Autoscaling, _tried, autoscaled
from groundswell.plan.figures import Answer, Attained
from groundswell.plan.text import describe
from groundswell.plan.trials import Setting
from groundswell.plan.verify import verify, windows_of
from groundswell.routing import ROUTING
from groundswell.scaling.forecast import DAY_S, Forecast
from groundswell.scaling.reactive import Reactive
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Fleet, Pool, Scaling
from planning import LARGE, ONE_BY_ONE, SERVICE_S, bursty, traffic, whole

SLOW = SLO.parse("ttft:p99<2s")


def answer(instances: int) -> Answer:
    return Answer("direct", "", instances, instances, instances, True, (), 1.0)


def attempts(threshold: float, full_at: float = 0.0) -> tuple[list[float], tuple[Attained, ...]]:
    """What is tried where loads of up to ``threshold`` keep an SLO, and those below ``full_at`` want all instances."""
    asked: list[float] = []

    def attempt(load: float) -> Attained:
        asked.append(load)
        hours = 100.0 if load < full_at else 0.1 / load
        return Attained(load, hours, 1.0, 1, 1.0, 1, int(load <= threshold), ())

    return asked, _tried(attempt, 1.0, 1, 100.0)


@pytest.mark.parametrize("threshold", [0.011, 0.3, 0.99, 1.0, 1.3, 77.0])
def test_the_most_that_an_instance_can_have_is_found_within_a_step(threshold: float) -> None:
    asked, tried = attempts(threshold)
    keeping = [one.load for one in tried if one.kept]
    assert threshold / 2**0.25 * (1 - 1e-12) <= max(keeping) <= threshold
    assert min(one.load for one in tried if not one.kept) == pytest.approx(max(keeping) * 2**0.25)
    assert len(asked) == len(set(asked)) == len(tried) <= 14
    assert [one.load for one in tried] == sorted(asked)


def test_it_is_given_up_where_a_fleet_is_as_large_as_it_gets() -> None:
    asked, tried = attempts(threshold=0.0, full_at=0.2)
    assert not any(one.kept for one in tried)
    assert min(asked) == 1 / 8
    everything, _ = attempts(threshold=math.inf)
    assert max(everything) == 2.0**8


def test_a_fleet_that_is_told_the_rate_has_the_hours_that_follow_from_it() -> None:
    """Requests come evenly, twice as many in the second half; a forecast that knows it wants 2 and then 4."""
    half_s = DAY_S / 2
    at_s = np.concatenate([np.arange(0.0, half_s, 1.0), np.arange(half_s, DAY_S, 0.5)])
    day = traffic(at_s)
    expected = Forecast.learned(day, per_instance_per_s=0.5, parts=2, margin=1.0)
    setting = Setting(ONE_BY_ONE, ROUTING.build("jsq"), 0, 100)
    windows = [(0.0, DAY_S)]
    fixed, found = autoscaled(setting, whole(day, ONE_BY_ONE), SLOW, windows, answer(4), Autoscaling((expected,), 60.0))
    assert fixed.best is not None
    assert fixed.best.instance_hours == pytest.approx(4 * 24.0, rel=1e-3)
    assert (fixed.best.kept, fixed.best.windows, fixed.best.in_time) == (1, 1, 1.0)
    told = next(one for one in found.tried if one.load == 0.5)
    # 1/s until the first quarter's middle, 2/s from the third's on, linear between; at most every_s + startup_s early.
    # A day begins at 1.5/s, halfway between its last and first part.
    scaler_hours = sum(
        max(math.ceil(expected.highest_per_s(t, t + 120.0) / 0.5), 1) / 60.0 for t in np.arange(60.0, DAY_S + 1, 60.0)
    )
    assert told.instance_hours == pytest.approx(scaler_hours, rel=0.01)
    assert told.kept == 1
    # Each takes 4 a second: one instance is busy for a half of the time then, and keeps the SLO.
    assert found.best is not None
    assert found.best.load >= 2.0
    assert found.best.instance_hours < told.instance_hours


def test_what_is_attained_is_what_the_rows_say() -> None:
    """Of two windows, each judged by itself, and of each request."""
    day = bursty(5)
    windows = [(30.0, 150.0), (150.0, 270.0)]
    setting = Setting(LARGE, ROUTING.build("jsq"), 0, 100)
    slo = SLO.parse("ttft:p99<1.5s,e2e:p90<15s")
    given = autoscaled(setting, whole(day), slo, windows, answer(5), Autoscaling((Reactive(20.0),), 20.0))
    scaler = given[1]
    one = scaler.tried[len(scaler.tried) // 2]
    fleet = Fleet((Pool(LARGE, 10),), setting.router, scaling=Scaling(Reactive(one.load), first=5, startup_s=20.0))
    run = simulate(day, fleet)
    due_s = run.floats("due_s")
    ttft_s, e2e_s = run.floats("first_token_s") - due_s, run.floats("done_s") - due_s
    kept, figures = 0, []
    for begin_s, end_s in windows:
        inside = (due_s >= begin_s) & (due_s < end_s)
        p99_s, p90_s = (
            np.sort(values[inside])[math.ceil(q * inside.sum()) - 1] for values, q in ((ttft_s, 0.99), (e2e_s, 0.9))
        )
        kept += int(p99_s < 1.5 and p90_s < 15.0)
        figures.append((p99_s, p90_s))
    judged = (due_s >= 30.0) & (due_s <= 270.0)
    assert one.kept == kept
    assert [each.value_s for each in one.worst] == pytest.approx(np.max(figures, axis=0))
    assert one.in_time == pytest.approx(np.mean((ttft_s < 1.5)[judged] & (e2e_s < 15.0)[judged]))
    assert one.instance_hours == pytest.approx(run.run["instance_s"] / 3600.0)
    assert one.mean_instances <= one.most_instances <= 10


def test_a_plan_of_windows_asks_each_of_them_and_none_that_no_fleet_keeps() -> None:
    day = bursty(6)
    prompt = day.input_tokens.astype(np.int64)
    prompt[(day.arrival_s > 120.0) & (day.arrival_s < 180.0)] = 20_000  # for which no bound of two seconds is kept
    heavy = traffic(day.arrival_s, prompt, 1, day.client_code)
    slo = SLO.parse("ttft:p50<1s")
    found = plan(
        heavy,
        LARGE,
        slo,
        options=Options(("direct",), window_s=60.0, clients=0, autoscaling=Autoscaling((Reactive(8.0),), 5.0)),
    )
    assert found.verified is not None
    assert len(found.verified.unreachable) == 1
    assert [one.windows for each in found.autoscaled for one in each.tried] == [4] * len(found.autoscaled[1].tried) + [
        4
    ]
    again = whole(heavy)
    setting = Setting(LARGE, ROUTING.build("jsq"), 0, 100)
    windows = windows_of(again, verify(setting, again, slo, found.instances or 1, 60.0))
    assert windows == [(0.0, 60.0), (60.0, 120.0), (180.0, 240.0), (240.0, 300.0)]
    assert "autoscaled" in describe(found)


def test_gaps_are_the_same_by_whatever_stretches_they_are_counted() -> None:
    day, fleet = bursty(7, 1_000), Fleet((Pool(LARGE, 3),))
    usual, minutes = simulate(day, fleet).gaps, simulate(day, fleet, stretch_s=60.0).gaps
    assert usual is not None
    assert minutes is not None
    assert minutes.width_s == 60.0
    assert len(minutes.count) == 6  # five minutes and a twentieth
    size = max(usual.count.shape[1], minutes.count.shape[1])
    by_two, by_minute = (np.pad(gaps.count.sum(axis=0), (0, size - gaps.count.shape[1])) for gaps in (usual, minutes))
    assert np.array_equal(by_two, by_minute)


def test_a_forecast_comes_from_an_earlier_day_and_its_floor_is_tuned_with_it() -> None:
    rng = np.random.default_rng(1)
    yesterday = traffic(np.sort(rng.uniform(0.0, DAY_S, 5_000)))
    (made,) = Autoscaling(history=yesterday).each(0.25)
    assert isinstance(made, Forecast)
    assert made.load == 0.25
    assert made.unit == "req/s each"
    assert np.mean(made.rates) == pytest.approx(5_000 / DAY_S, rel=0.02)  # type: ignore[arg-type]
    floored = Forecast((1.0,), 2.0, floor=Reactive(10.0)).with_load(4.0)
    assert floored.load == 4.0
    assert isinstance(floored.floor, Reactive)
    assert floored.floor.target == 20.0
    with pytest.raises(DataError, match=r"nothing can\s+be expected"):
        Autoscaling(history=bursty(1)).each(1.0)


def test_what_cannot_be_sized_is_told() -> None:
    with pytest.raises(UsageError, match="no autoscaler to size"):
        Autoscaling()
    with pytest.raises(UsageError, match="starts for 0 s or more"):
        Autoscaling((Reactive(),), -1.0)
    assert SERVICE_S < 2.0
