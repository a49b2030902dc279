"""Instances for the rate that an hour of the day is expected to bring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundswell.errors import DataError, UsageError
from groundswell.scaling import SCALING, Scaler
from groundswell.scaling.forecast import DAY_S, Forecast
from groundswell.scaling.reactive import Reactive
from groundswell.simulate.parts import Scaling
from scalers import evenly, scaled, seen
from simulating import asking


def test_rates_are_those_of_the_parts_middles_and_linear_between_also_over_midnight() -> None:
    hourly = Forecast(tuple(float(hour) for hour in range(24)), 1.0)
    assert hourly.highest_per_s(9.5 * 3600, 9.5 * 3600) == pytest.approx(9.0)
    assert hourly.highest_per_s(9.75 * 3600, 9.75 * 3600) == pytest.approx(9.25)
    assert hourly.highest_per_s(0, 0) == pytest.approx(11.5)
    assert hourly.highest_per_s(DAY_S, DAY_S) == pytest.approx(11.5)
    assert hourly.highest_per_s(3 * DAY_S + 9.75 * 3600, 3 * DAY_S + 9.75 * 3600) == pytest.approx(9.25)


def test_the_highest_rate_of_a_stretch_is_found_within_it() -> None:
    peak = Forecast((1.0, 9.0, 1.0, 2.0), 1.0)
    assert peak.highest_per_s(7 * 3600, 11 * 3600) == pytest.approx(9.0)  # at 9 h
    assert peak.highest_per_s(10 * 3600, 11 * 3600) == pytest.approx(9 - 8 / 6)
    assert peak.highest_per_s(20 * 3600, 34 * 3600) == pytest.approx(9.0)  # the next day's
    assert peak.highest_per_s(0, 5 * DAY_S) == pytest.approx(9.0)


def test_a_run_begins_at_a_time_of_the_day() -> None:
    assert Forecast((1.0, 9.0, 1.0, 2.0), 1.0, start_s=8 * 3600).highest_per_s(3600, 3600) == pytest.approx(9.0)


def test_instances_are_wanted_for_what_comes_until_the_next_would_have_started() -> None:
    """From 6 h to 18 h the rate rises from 0 to 24 by 2 an hour; one takes 2, with a quarter more: 1.25 an hour."""
    rising = Forecast((0.0, 24.0), 2.0, margin=1.25)
    wanted = rising.begin()
    assert wanted(seen(10 * 3600, startup_s=3540)) == 7  # at 11 h: 10 · 1.25 / 2 = 6.25
    assert wanted(seen(10 * 3600, startup_s=0)) == 6  # at 10 h and a minute: 5.02
    assert wanted(seen(18 * 3600 - 60, startup_s=0)) == 15
    assert Forecast((24.0,), 2.0, margin=1.0).begin()(seen()) == 12  # no more for a rounding error


def test_a_floor_is_never_gone_below() -> None:
    floor = "(reactive:target=10,hold_s=0,tolerance=0)"
    scaler = SCALING.build(f"forecast:rates=(10,20),per_instance_per_s=10,margin=1,floor={floor}")
    assert SCALING.text(scaler).endswith(f",margin=1,floor={floor}")
    wanted = scaler.begin()
    assert [wanted(seen(k * 60.0, in_flight=n)) for k, n in enumerate([0, 55, 10])] == [2, 6, 2]


def test_rates_are_learned_from_a_day() -> None:
    """Hour h has h + 1 requests, evenly; a second day has twice as many."""
    at_s = np.concatenate([(h + (np.arange(h + 1) + 0.5) / (h + 1)) * 3600 for h in range(24)])
    day = asking(at_s, np.ones(at_s.size, int), np.ones(at_s.size, int))
    learned = Forecast.learned(day, 2.0, margin=1.5)
    assert (learned.per_instance_per_s, learned.margin) == (2.0, 1.5)
    assert learned.rates == pytest.approx(np.arange(1, 25) / 3600, rel=0.04)  # the last hour ends with its last request
    both_s = np.concatenate([at_s, np.repeat(at_s + DAY_S, 2)])
    both = asking(both_s, np.ones(both_s.size, int), np.ones(both_s.size, int))
    assert Forecast.learned(both, 1.0).rates == pytest.approx(1.5 * np.arange(1, 25) / 3600, rel=0.04)


def test_what_is_learned_has_its_time_of_day() -> None:
    """Six hours at 3/s and eighteen at 1/s that begin at 22 h are those from 22 h to 4 h."""
    learned = Forecast.learned(evenly([(3, 6 * 3600), (1, 18 * 3600)]), 1.0, start_s=22 * 3600.0)
    high = {22, 23, 0, 1, 2, 3}
    assert learned.rates == pytest.approx([3.0 if hour in high else 1.0 for hour in range(24)], rel=0.002)


def test_a_part_of_a_day_does_not_tell_the_rest() -> None:
    with pytest.raises(DataError, match=r"lasts 12h, so nothing can be expected of the time of day from 12 h to 24 h"):
        Forecast.learned(evenly([(1, 12 * 3600 - 1)]), 1.0)
    with pytest.raises(DataError, match="the workload is empty"):
        Forecast.learned(asking([], [], []), 1.0)


def test_a_rhythm_and_a_mean_rate_are_a_forecast() -> None:
    assert Forecast.of_rhythm([1, 2, 3], 10.0, 2.0).rates == pytest.approx([5.0, 10.0, 15.0])


def test_a_curve_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("time_s,rate_per_s\n0,1\n43200,5\n")
    scaler = SCALING.build(f"forecast:rates={tmp_path}/day.csv,per_instance_per_s=1,margin=1")
    assert isinstance(scaler, Forecast)
    assert scaler.highest_per_s(21_600, 21_600) == pytest.approx(3.0)
    assert scaler.highest_per_s(0.75 * DAY_S, 0.75 * DAY_S) == pytest.approx(3.0)
    assert SCALING.build(SCALING.text(scaler)) == scaler


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("per_instance_per_s=1", "forecast takes rates, per_instance_per_s"),
        ("rates=(1,2),per_instance_per_s=0", "per_instance_per_s must be a number above 0"),
        ("rates=(0,0),per_instance_per_s=1", "rates must be numbers not below 0, and not all 0"),
        ("rates=(1,-2),per_instance_per_s=1", "rates must be numbers not below 0, and not all 0"),
        ("rates=nowhere.csv,per_instance_per_s=1", "nowhere.csv: cannot be read"),
        ("rates=1,per_instance_per_s=1,start_s=90000", "start_s is a time of day"),
        ("rates=1,per_instance_per_s=1,floor=cubic", "scaling has no 'cubic'"),
    ],
)
def test_a_forecast_that_cannot_be_is_told_of(text: str, told: str) -> None:
    with pytest.raises(UsageError) as fault:
        SCALING.build(f"forecast:{text}")
    assert told in str(fault.value)


def test_a_curve_that_is_longer_than_a_day_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("0,1\n100000,5\n")
    with pytest.raises(DataError, match=r"two\.csv: a day's times go from 0 to less than 86400 s"):
        Forecast(str(tmp_path / "two.csv"), 1.0)


def test_a_forecast_fleet_is_up_before_the_rate_is_there_and_a_reactive_one_is_not() -> None:
    """A day with 2.5 - 2 cos(2π t / day) requests/s. An instance takes 0.75/s, which are 7.5 in flight as a reply takes
    10 s, and starts for half an hour. The mean over an hour and the line between two hours are within 2 % of the curve.
    A reactive fleet has too few for about half an hour after each of the five times that the rate passes a multiple of
    0.75; a request more or less in flight is worth ten minutes of that."""
    day_s = np.linspace(0, DAY_S, 100_001)
    count = 2.5 * day_s - 2 * DAY_S / (2 * np.pi) * np.sin(2 * np.pi * day_s / DAY_S)
    at_s = np.interp(np.arange(0.5, count[-1]), count, day_s)
    workload = asking(at_s, np.ones(at_s.size, int), np.full(at_s.size, 1000))

    def short_s(scaler: Scaler) -> float:
        """How long the fleet had too few instances."""
        series = scaled(workload, Scaling(scaler, startup_s=1800.0)).metadata["series"]
        looked_s, up = np.array(series["at_s"]), np.array(series["instances"])
        rate_per_s = 2.5 - 2 * np.cos(2 * np.pi * looked_s / DAY_S)
        return float((np.diff(looked_s, prepend=0.0) * (0.75 * up < rate_per_s)).sum())

    assert short_s(Forecast.learned(workload, 0.75, margin=1.02)) == 0.0
    assert short_s(Reactive(target=7.5, tolerance=0)) > 5 * 1200
