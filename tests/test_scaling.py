"""Autoscalers: what all keep to, those that react, and what a fleet is paid for."""

from __future__ import annotations

import pytest

from groundswell.errors import UsageError
from groundswell.scaling import SCALING
from groundswell.scaling.reactive import Reactive
from groundswell.simulate.parts import Fleet, Outage, Pool, Scaling
from scalers import ENGINE, Told, evenly, scaled, seen, up_at
from simulating import asking

SIMPLEST = {"reactive": "reactive", "forecast": "forecast:rates=(1,2),per_instance_per_s=1"}


@pytest.mark.parametrize("name", tuple(SCALING))
def test_a_scaler_is_built_from_text_and_says_what_it_does(name: str) -> None:
    text = SIMPLEST[name]
    assert SCALING.text(SCALING.build(text)) == text
    assert SCALING[name].__doc__


@pytest.mark.parametrize("name", tuple(SCALING))
def test_a_scaler_remembers_nothing_of_an_earlier_run(name: str) -> None:
    scaler = SCALING.build(SIMPLEST[name])
    first = [wanted(seen(k * 15.0, in_flight=700 - 100 * k)) for wanted in [scaler.begin()] for k in range(7)]
    again = [wanted(seen(k * 15.0, in_flight=700 - 100 * k)) for wanted in [scaler.begin()] for k in range(7)]
    assert first == again


def test_it_wants_what_is_in_flight_by_its_target_rounded_up() -> None:
    wanted = Reactive(target=10, tolerance=0, hold_s=0).begin()
    counts = [wanted(seen(k * 15.0, in_flight=n)) for k, n in enumerate([1, 10, 11, 95, 100, 3, 0])]
    assert counts == [1, 1, 2, 10, 10, 1, 0]


def test_small_differences_change_nothing() -> None:
    wanted = Reactive(target=10, tolerance=0.1, hold_s=0).begin()
    counts = [wanted(seen(k * 15.0, up=3, starting=1, in_flight=n)) for k, n in enumerate([36, 44, 45, 35])]
    assert counts == [4, 4, 5, 4]
    assert Reactive(target=10, tolerance=0.2, hold_s=0).begin()(seen(up=4, in_flight=33)) == 4


def test_fewer_are_wanted_only_when_the_hold_time_has_passed() -> None:
    wanted = Reactive(target=10, tolerance=0, hold_s=60).begin()
    in_flight = [50, 20, 30, 10, 10, 10, 10, 10, 10]
    counts = [wanted(seen(k * 15.0, up=5, in_flight=n)) for k, n in enumerate(in_flight)]
    assert counts == [5, 5, 5, 5, 5, 3, 3, 1, 1]  # 50 was seen at 0 s, 30 at 30 s


def test_what_is_there_when_a_run_begins_is_held_as_well() -> None:
    wanted = Reactive(target=10, tolerance=0, hold_s=60).begin()
    assert [wanted(seen(at_s, up=4)) for at_s in (15.0, 75.0, 76.0)] == [4, 4, 0]


@pytest.mark.parametrize("text", ["target=0", "hold_s=-1", "every_s=nan", "tolerance=inf"])
def test_a_reactive_scaler_that_cannot_be_is_told_of(text: str) -> None:
    with pytest.raises(UsageError, match=f"reactive: {text.split('=')[0]} must be a number"):
        SCALING.build(f"reactive:{text}")


def test_a_fleet_follows_a_step_of_the_load() -> None:
    """Replies take 1 s and at most a step more, so 5 requests/s are 5 or 6 in flight and 38 are 38 or 39 (Little). With
    10 in flight for each instance and a start-up of 30 s: one, then four, then one again when the hold time has passed.
    """
    reactive = Reactive(target=10, tolerance=0, hold_s=120, every_s=15)
    results = scaled(evenly([(5, 600), (38, 600), (5, 600)]), Scaling(reactive, startup_s=30))
    assert {up_at(results, at_s) for at_s in (100, 300, 590)} == {1}
    assert up_at(results, 625) == 1
    assert {up_at(results, at_s) for at_s in (675, 900, 1190)} == {4}
    assert up_at(results, 1310) == 4
    assert {up_at(results, at_s) for at_s in (1360, 1700)} == {1}
    assert results.frame["error"].null_count() == results.frame.height


def test_instance_seconds_add_up() -> None:
    """Three are wanted at 20 s and one at 60 s; they start for 15 s, and are idle when they are wanted no more."""
    told = Told((0.0, 20.0, 60.0), (1, 3, 1))
    results = scaled(evenly([(1.0, 100)], output=10), Scaling(told, startup_s=15.0))
    run = results.run
    assert run["instance_s"] == pytest.approx(run["end_s"] + 2 * (60 - 20))
    assert up_at(results, 34.0) == 1
    assert up_at(results, 36.0) == 3
    assert up_at(results, 61.0) == 1


def test_an_instance_that_is_not_wanted_ends_what_it_has_and_is_paid_until_then() -> None:
    """Two requests of 24 s each come at 5 s, one to each of two instances; from 10 s on one is enough. The other has
    ended when it is looked at after 30 s."""
    told = Told((0.0, 10.0), (2, 1))
    workload = asking([5.0, 5.0, 50.0], [1, 1, 1], [2400, 2400, 10])
    results = scaled(workload, Scaling(told, first=2))
    assert sorted(results.frame["instance"][:2].to_list()) == [0, 1]
    assert results.frame["error"].null_count() == 3
    assert results.run["instance_s"] == pytest.approx(results.run["end_s"] + 30.0)


def test_an_instance_that_is_wanted_again_while_it_ends_goes_on() -> None:
    told = Told((0.0, 10.0, 20.0), (2, 1, 2))
    workload = asking([5.0, 5.0, 40.0, 40.0], [1, 1, 1, 1], [2500, 2500, 10, 10])
    results = scaled(workload, Scaling(told, first=2, startup_s=1000.0))
    assert sorted(results.frame["instance"][2:].to_list()) == [0, 1]
    assert results.run["instance_s"] == pytest.approx(2 * results.run["end_s"])


def test_an_instance_that_is_stopped_while_it_starts_does_not_come_up() -> None:
    told = Told((0.0, 20.0, 30.0), (1, 2, 1))
    results = scaled(evenly([(2.0, 200)]), Scaling(told, startup_s=50.0))
    assert set(results.frame["instance"].to_list()) == {0}
    assert results.run["instance_s"] == pytest.approx(results.run["end_s"] + 10.0)


def test_an_instance_that_is_started_anew_takes_its_whole_start_up() -> None:
    told = Told((0.0, 20.0, 30.0, 40.0), (1, 2, 1, 2))
    results = scaled(evenly([(2.0, 200)]), Scaling(told, startup_s=50.0))
    first_s = results.frame.filter(results.frame["instance"] == 1)["due_s"].min()
    assert 90.0 <= float(str(first_s)) < 91.0
    assert results.run["instance_s"] == pytest.approx(2 * results.run["end_s"] + 10 - 40)


def test_a_repaired_instance_does_not_come_up_before_it_has_started() -> None:
    told = Told((0.0, 20.0), (1, 2))
    fails = (Outage(30.0, 1, 5.0),)
    results = scaled(evenly([(2.0, 200)]), Scaling(told, startup_s=50.0), outages=fails)
    first_s = results.frame.filter(results.frame["instance"] == 1)["due_s"].min()
    assert 70.0 <= float(str(first_s)) < 71.0


def test_a_fleet_can_begin_without_an_instance() -> None:
    told = Told((0.0,), (1,), every_s=20.0)
    results = scaled(evenly([(2.0, 60)]), Scaling(told, first=0, startup_s=10.0))
    assert results.frame["error"].null_count() == results.frame.height
    assert float(str(results.frame["ready_s"].min())) == pytest.approx(30.0)


def test_a_fleet_of_two_pools_and_one_that_could_end_are_told_of() -> None:
    scaling = Scaling(Reactive())
    with pytest.raises(UsageError, match="a fleet is scaled as one pool, not as 2"):
        Fleet((Pool(ENGINE, 1, "p", "prefill"), Pool(ENGINE, 1, "d", "decode")), scaling=scaling)
    for options in ({"least": 0}, {"first": -1}, {"startup_s": -1.0}):
        with pytest.raises(UsageError, match="a fleet that is scaled has 1 instance or more at least"):
            Scaling(Reactive(), **options)
