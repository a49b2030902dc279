"""Plans for what is odd: crowds where nothing is judged, few requests over days, windows that are short for their SLO,
clocks that begin elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from groundswell.errors import UsageError
from groundswell.plan import Options, plan
from groundswell.plan.figures import Verified, Window
from groundswell.plan.verify import windows_of
from groundswell.simulate.parts import Engine, StepCost
from planning import LARGE, bursty, traffic, whole

QUICK = Engine(StepCost(0.05), 1_000, most_running=1)
"""Serves 20 requests a second, one after the other."""
DIRECT = Options(methods=("direct",), clients=0)
DAYS_S = 14 * 86_400.0


def test_a_crowd_at_the_end_that_is_not_judged_takes_no_instances() -> None:
    """Of 7,500 requests 1,500 come at the end, whose tenth is not judged: without them one instance is half busy."""
    rng = np.random.default_rng(1)
    even_s = np.sort(rng.uniform(0.0, 600.0, 6_000))
    crowd_s = rng.uniform(590.0, 592.0, 1_500)
    alone = plan(traffic(even_s), QUICK, "ttft:p99<1s", options=DIRECT)
    crowded = plan(traffic(np.sort(np.concatenate([even_s, crowd_s]))), QUICK, "ttft:p99<1s", options=DIRECT)
    assert alone.instances == crowded.instances == 1


def test_windows_of_a_long_workload_are_as_long_as_its_percentile_takes() -> None:
    """20,000 requests in a fortnight are 10 in ten minutes, and 443 or more within 2^6 of these."""
    rng = np.random.default_rng(2)
    rare = traffic(np.sort(rng.uniform(0.0, DAYS_S, 20_000)), 500, 200)
    found = plan(rare, LARGE, "ttft:p99<1s", options=DIRECT)
    assert found.instances == 1
    assert {round(window.to_s - window.from_s) for window in found.windows} <= {32 * 600, 64 * 600}
    assert max(window.requests for window in found.windows) >= 443
    assert found.verified is not None
    assert found.verified.windows == found.verified.kept >= 30
    with pytest.raises(UsageError, match=r"windows are too short: \d+ requests .* plan for longer windows, or a lower"):
        plan(rare, LARGE, "ttft:p99<1s", options=Options(methods=("direct",), clients=0, window_s=600.0))


def test_a_workload_without_enough_for_any_window_is_taken_as_a_whole() -> None:
    at_s = np.linspace(0.0, 10_000.0, 500)
    (part,), rule = whole(traffic(at_s)).parts(least=300)
    assert part.why == "all of it"
    assert "all of it" in rule
    assert all(part.why != "all of it" for part in whole(traffic(at_s)).parts(least=200)[0])


def test_a_short_window_may_be_worked_off_after_its_end() -> None:
    """Windows of ten seconds ask for more than the whole that they are part of, but not where a minute may pass."""
    workload = bursty(1)
    slo = "ttft:p90<60s"
    windows = plan(workload, LARGE, slo, options=Options(methods=("direct",), clients=0, window_s=10.0))
    busiest = max(part.busy for part in whole(workload).parts(10.0)[0])
    assert windows.instances == plan(workload, LARGE, slo, options=DIRECT).instances
    assert windows.instances is not None
    assert windows.instances < busiest


def test_short_windows_do_not_have_to_see_the_end_of_long_replies() -> None:
    """A second in which many long replies begin asks for no more between tokens than the minute that it is part of."""
    rng = np.random.default_rng(1)
    at_s = np.sort(rng.uniform(0.0, 300.0, 30_000))
    workload = traffic(at_s, 100, np.where(rng.random(30_000) < 0.1, 3_000, 5))
    options = (Options(methods=("direct",), clients=0, window_s=window_s) for window_s in (1.0, 60.0))
    second, minute = (plan(workload, LARGE, "itl:p99<40ms", options=each).instances for each in options)
    assert second is not None
    assert minute is not None
    assert abs(second - minute) <= 1


def test_time_counts_from_the_first_request() -> None:
    rng = np.random.default_rng(3)
    at_s = np.sort(rng.uniform(0.0, 300.0, 6_000))
    at_s -= at_s[0]
    early, late = (plan(traffic(first_s + at_s, 100, 50), LARGE, "ttft:p99<1s", options=DIRECT) for first_s in (0, 1e5))
    assert early.traffic.rate_per_s == pytest.approx(late.traffic.rate_per_s)
    assert early.windows[0].to_s == pytest.approx(late.windows[0].to_s)
    assert early.instances == late.instances


def test_a_window_that_no_fleet_keeps_is_left_out_though_its_time_is_rounded() -> None:
    day = whole(traffic(np.arange(0.0, 100.0, 0.05)))
    begins_s = [np.nextafter(30.0, np.inf), np.nextafter(70.0, 0.0), 0.0]
    lost = tuple(Window(begin_s, begin_s + 10.0, 200, "") for begin_s in begins_s)
    found = windows_of(day, Verified(1, 10.0, 10, 7, (), lost))
    assert found == [(at_s, at_s + 10.0) for at_s in (10.0, 20.0, 40.0, 50.0, 60.0, 80.0, 90.0)]


@pytest.mark.parametrize("slo", ["itl:p99<50ms", "tpot:p99<50ms"])
def test_replies_of_one_token_keep_whatever_is_asked_of_the_others(slo: str) -> None:
    found = plan(traffic(np.linspace(0.0, 300.0, 6_000), 100, 1), LARGE, slo, options=DIRECT)
    assert found.instances == 1
    assert found.answer.trials[0].held == "unclear"
