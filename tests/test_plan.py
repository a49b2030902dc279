"""A plan's answers: against closed forms, against trying every number, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundswell.errors import UsageError
from groundswell.judge import judge
from groundswell.judge.slo import SLO
from groundswell.plan import Options, Plan, plan
from groundswell.plan.grid import Bounds
from groundswell.plan.outcome import Patience, Sent, observe, trial
from groundswell.plan.price import Price
from groundswell.plan.reach import check_enough
from groundswell.plan.text import describe
from groundswell.plan.trials import Setting, Trials
from groundswell.results import Results
from groundswell.routing import ROUTING
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Engine, Fleet, Pool, StepCost
from groundswell.table import Workload
from planning import LARGE, ONE_BY_ONE, SERVICE_S, bursty, traffic, whole

DIRECT = Options(methods=("direct",), clients=0)


def brute(workload: Workload, engine: Engine, slo: SLO, most: int) -> int:
    """The least number of those up to ``most`` that keeps an SLO, each of them tried."""
    setting = Setting(engine, ROUTING.build("jsq"), 0, most)
    tried = Trials.of("direct", setting, whole(workload, engine).parts()[0])
    return next(n for n in range(1, most + 1) if tried.at(n, slo).keeps)


@pytest.mark.parametrize("method", ["direct", "one_of", "scaled"])
@pytest.mark.parametrize(("per_s", "needed"), [(10.0, 3), (3.9, 1), (4.1, 2), (19.0, 5)])
def test_requests_at_even_distances_need_what_they_keep_busy(method: str, per_s: float, needed: int) -> None:
    """Each takes 0.25 s of an engine that has one at a time. With as many engines as are busy on average, rounded up,
    nobody waits, and with one less the queue grows without end."""
    found = plan(
        traffic(np.arange(0.0, 300.0, 1.0 / per_s)), ONE_BY_ONE, "ttft:p99<0.3s", options=Options((method,), clients=0)
    )
    answer = found.answer
    assert (answer.instances, answer.low, answer.high) == (needed, needed, needed)
    if needed > 1:
        below = answer.at(needed - 1)
        assert below is not None
        assert below.why.startswith("overloaded")
        assert not below.clauses


def test_poisson_arrivals_need_what_the_pollaczek_khinchine_formula_allows() -> None:
    """M/D/1: with one of N the mean time to the first token is s + ρs / 2(1 - ρ), where ρ = λs/N; every N-th request of
    a Poisson stream is more regular than Poisson, so it waits less. At 32 req/s, s = 0.25 s, a mean of 0.5 s holds from
    ρ = 2/3, that is N = 12, on at the latest, and cannot before N = 9, where ρ < 1. Stretched by N, the stream is
    Poisson, and needs those 12: within one of it, as 200,000 requests say."""
    rng = np.random.default_rng(12)
    at_s = np.cumsum(rng.exponential(1.0 / 32.0, 200_000))
    made = plan(traffic(at_s), ONE_BY_ONE, "ttft:mean<0.5s", options=Options(("scaled", "one_of"), clients=0))
    scaled, one_of = made.answers
    assert scaled.instances is not None
    assert abs(scaled.instances - 12) <= 1
    assert one_of.instances is not None
    assert 9 <= one_of.instances <= 12


@pytest.mark.parametrize("seed", range(20))
def test_the_direct_answer_is_what_trying_every_number_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    slo = SLO.parse(f"ttft:p99<{rng.choice([1.0, 1.5, 2.0, 4.0])}s,tbt:p99<{rng.choice([0.06, 0.1, 0.15, 0.2])}s")
    workload = bursty(seed, int(rng.integers(2_000, 8_000)))
    made = plan(workload, LARGE, slo, seed=0, options=DIRECT).answer
    assert made.instances is not None
    best = brute(workload, LARGE, slo, 2 * made.instances + 5)
    assert abs(made.instances - best) <= max(1, 0.05 * best)
    assert made.low <= made.instances <= (made.high or np.inf)


def test_a_trial_says_what_the_judge_says_of_the_same_run() -> None:
    """With the judge's window given to both."""
    workload, slo = bursty(5), SLO.parse("ttft:p90<0.8s,tpot:p50<0.03s,itl:p99<0.1s,e2e:mean<8s")
    fleet = Fleet((Pool(LARGE, 4),))
    begin_s, end_s = 30.0, float(workload.arrival_s[-1]) - 30.0
    outcome = observe(Sent((workload,), 4, begin_s, end_s), lambda n: fleet, 0)
    ours = trial(outcome, slo, 4)
    theirs = judge(simulate(workload, fleet), slo, warm_up_s=30.0, cool_down_s=30.0)
    for mine, other in zip(ours.clauses, theirs.clauses, strict=True):
        assert mine.held == other.held
        assert mine.figure.n == pytest.approx(other.figure.n, rel=0.01)
        assert mine.figure.value == pytest.approx(other.figure.value, rel=0.02)


def test_a_run_that_cannot_be_saved_is_broken_off_and_says_so() -> None:
    """At a tenth above the capacity in crowds: half of the requests are late long before the end."""
    workload = traffic(np.arange(0.0, 500.0, SERVICE_S / 1.1))
    slo = SLO.parse("ttft:p99<1s")
    patience = Patience.of([slo])
    assert patience is not None
    assert patience.pair == pytest.approx((1.0, 0.1))
    setting = Setting(ONE_BY_ONE, ROUTING.build("jsq"), 0, 10)
    outcome = observe(Sent((workload,), 1, 50.0, 450.0), setting.fleet, 0, patience)
    assert outcome.why
    assert not outcome.samples
    assert not observe(Sent((workload,), 2, 50.0, 450.0), setting.fleet, 0, patience).why


def test_patience_is_that_of_the_loosest_slo_and_none_where_one_asks_for_something_else() -> None:
    slos = [SLO.parse("ttft:p99<1s"), SLO.parse("ttft:p95<4s,tbt:p99<1s")]
    loosest = Patience.of(slos)
    assert loosest is not None
    assert loosest.pair == pytest.approx((4.0, 0.5))
    assert Patience.of([*slos, SLO.parse("tbt:p99<1s")]) is None
    assert Patience.of([SLO.parse("ttft:p50<1s")]) is None


def test_methods_share_an_answer_where_clients_are_alike() -> None:
    """Many Poisson clients with the same lengths: there is nothing that NAIVE misses, and nothing to concentrate but
    the fluctuations that N instances share."""
    rng = np.random.default_rng(3)
    at_s = np.sort(rng.uniform(0.0, 600.0, 18_000))
    lengths = np.ceil(rng.lognormal(6.0, 0.8, at_s.size)), rng.geometric(1 / 100, at_s.size)
    made = plan(traffic(at_s, *lengths, client=rng.integers(0, 4, at_s.size)), LARGE, "ttft:p99<1s,tbt:p99<0.12s")
    counts = {answer.method: answer.instances for answer in made.answers}
    assert list(counts) == ["naive", "scaled", "one_of", "direct"]
    direct = counts["direct"]
    assert direct is not None
    for name, found in counts.items():
        assert found is not None, name
        assert abs(found - direct) <= max(1, 0.25 * direct), name


def test_a_plan_is_the_same_again() -> None:
    first, second = (plan(bursty(6), LARGE, "ttft:p99<1s,tbt:p99<0.15s", "power_of_two", seed=3) for _ in range(2))
    assert describe(first) == describe(second)
    assert first.answer == second.answer


def test_a_grid_has_in_each_cell_what_a_plan_of_its_own_has() -> None:
    bounds = Bounds.parse("ttft=1s,2s;tbt=0.1s,0.2s")
    made = plan(bursty(7), LARGE, "ttft:p99<1s,tbt:p99<0.15s", options=Options(("one_of", "direct"), grid=bounds))
    assert made.grid is not None
    assert [(cell.x_s, cell.y_s) for cell in made.grid.cells] == [(1.0, 0.1), (2.0, 0.1), (1.0, 0.2), (2.0, 0.2)]
    for cell, slo in zip(made.grid.cells, bounds.slos(), strict=True):
        alone = plan(bursty(7), LARGE, slo, options=Options(("one_of", "direct"), clients=0))
        assert {a.method: a.instances for a in alone.answers} == dict(cell.counts)
        assert cell.over["one_of"] == pytest.approx(cell.counts["one_of"] / cell.counts["direct"] - 1.0)  # type: ignore[operator]


def test_cells_that_no_fleet_keeps_say_why() -> None:
    bounds = Bounds.parse("ttft=1s,2s;tbt=0.01s,0.2s")
    made = plan(bursty(7), LARGE, "ttft:p99<1s", options=Options(("direct",), grid=bounds, clients=0))
    assert made.grid is not None
    lost = [cell for cell in made.grid.cells if cell.y_s == 0.01]
    assert len(lost) == 2
    assert all(cell.counts == {"direct": None} and "itl p99 is 12." in cell.unreachable for cell in lost)
    assert "– where none keeps it" in describe(made)


def test_clients_that_drive_the_need_are_told() -> None:
    """Client d sends crowds of long prompts; without it a third of the instances will do. Client a sends nine of ten
    requests, and little work."""
    rng = np.random.default_rng(8)
    steady = rng.uniform(0.0, 300.0, 5_000)
    crowds = np.repeat(np.linspace(20.0, 280.0, 10), 60) + rng.uniform(0.0, 1.0, 600)
    at_s = np.concatenate([steady, crowds])
    order = np.argsort(at_s)
    client, prompt = np.repeat([0, 3], [5_000, 600])[order], np.repeat([200, 6_000], [5_000, 600])[order]
    made = plan(traffic(at_s[order], prompt, 20, client), LARGE, "ttft:p99<2s", options=Options(("direct",), clients=2))
    first, second = made.without
    assert (first.client, second.client) == ("d", "a")
    assert first.work > second.work
    assert first.share == pytest.approx(600 / 5_600)
    answer = made.answer.instances
    assert first.instances is not None
    assert second.instances is not None
    assert answer is not None
    assert first.instances <= answer / 3
    assert second.instances > answer / 2


def test_a_day_is_planned_by_its_worst_windows_and_verified() -> None:
    """A request each 2 s; from 20,000 s on for ten minutes ten a second more, which together keep 2.6 engines busy."""
    quiet = np.arange(0.0, 40_000.0, 2.0)
    loud = np.arange(20_000.0, 20_600.0, 0.1) + 0.05
    made = plan(traffic(np.sort(np.concatenate([quiet, loud]))), ONE_BY_ONE, "ttft:p99<0.6s", options=DIRECT)
    assert made.answer.instances == 3
    assert made.verified is not None
    assert made.verified.instances == 3
    assert made.verified.windows == made.verified.kept == 67
    assert made.windows[0].from_s == pytest.approx(20_000.0, abs=60.0)  # windows are looked for at tenths
    assert "Verified on all of it: with 3 instances 67 of 67 windows of 10m keep the SLO" in describe(made)


def test_windows_that_fail_all_the_same_are_planned_for_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first measure alone the window with most prompt tokens is planned for. Short prompts that are many are
    worse for an engine that has one at a time; they are found when all of it is verified."""
    from groundswell.plan import windows

    monkeypatch.setattr(windows, "EACH", 1)
    full = windows.Whole._measures
    monkeypatch.setattr(windows.Whole, "_measures", lambda self, *given: list(full(self, *given))[:1])
    quiet = np.arange(0.0, 30_000.0, 2.0)
    long_ = np.arange(3_000.0, 3_600.0, 1.0) + 0.01
    many = np.arange(20_100.0, 20_700.0, 0.1) + 0.05
    at_s = np.concatenate([quiet, long_, many])
    prompt = np.concatenate([np.full(quiet.size, 10), np.full(long_.size, 1_000), np.full(many.size, 1)])
    order = np.argsort(at_s)
    made = plan(traffic(at_s[order], prompt[order]), ONE_BY_ONE, "ttft:p99<0.6s", options=DIRECT)
    assert made.answer.instances == 3
    assert any(window.why == "failed with 1 instances" for window in made.windows)
    assert made.verified is not None
    assert not made.verified.failed


def test_an_slo_that_no_fleet_keeps_is_refused_with_what_would_have_to_change() -> None:
    """A token takes 12.1 ms and more on this engine."""
    with pytest.raises(
        UsageError, match=r"tpot:p50<10ms: no number .* tpot p50 is 12.* ms where each .* faster engine"
    ):
        plan(bursty(1), LARGE, "tpot:p50<10ms")
    with pytest.raises(UsageError, match=r"ttft:p99<50ms: no number .* shorter prompts, or a bound above that"):
        plan(bursty(1), LARGE, "ttft:p99<50ms")
    with pytest.raises(UsageError, match="a simulated run has no lag; bound any of ttft, tpot, itl, e2e"):
        plan(bursty(1), LARGE, "lag:p99<1s")


def test_requests_that_fit_into_no_memory_are_counted_and_refused_where_they_are_too_many() -> None:
    """160 tokens fit. Of 5,000 requests 20 are longer, which p99 lets be; 200 are more than it does."""
    engine = Engine(StepCost(0.01), 10)
    at_s = np.arange(5_000) * 0.05
    few, many = (np.where(np.arange(5_000) % k == k - 1, 200, 50) for k in (250, 25))
    made = plan(traffic(at_s, few), engine, "ttft:p99<1s", options=DIRECT)
    assert made.traffic.too_long == 20
    assert any("20 of 5,000 requests are longer than the 160 tokens" in note for note in made.notes)
    with pytest.raises(UsageError, match=r"requests are longer than the 160 tokens for which an engine has memory"):
        plan(traffic(at_s, many), engine, "ttft:p99<1s", options=DIRECT)


def test_a_workload_that_is_too_short_for_its_percentile_is_refused() -> None:
    with pytest.raises(UsageError, match=r"too short: 3\d\d requests are judged, and ttft:p99 takes 443 or more"):
        plan(traffic(np.linspace(0.0, 300.0, 400)), LARGE, "ttft:p99<1s")
    assert plan(traffic(np.linspace(0.0, 300.0, 400)), LARGE, "ttft:p90<1s", options=DIRECT).answer.instances == 1


def test_a_workload_of_one_request_is_refused_as_one() -> None:
    with pytest.raises(UsageError, match=r": 1 request is judged, and ttft:p99 takes 443 or more"):
        check_enough(SLO.parse("ttft:p99<1s"), 1, "too short", "longer")


def test_a_workload_without_a_rate_is_refused() -> None:
    with pytest.raises(UsageError, match="all due at one time"):
        plan(traffic(np.zeros(1_000)), LARGE, "ttft:p99<1s")


def test_where_the_most_that_may_be_tried_is_too_few_there_is_no_answer() -> None:
    options = Options(("direct",), most_instances=2)
    made = plan(traffic(np.arange(0.0, 300.0, 0.1)), ONE_BY_ONE, "ttft:p99<0.3s", options=options)
    assert made.answer.instances is None
    assert made.hardware is None
    assert describe(made).startswith("No number of instances up to 2 keeps ttft:p99<300ms")


def test_a_price_is_of_gpus_or_of_instances() -> None:
    def cost(price: str) -> float:
        options = Options(("direct",), clients=0, gpus=4, price=Price.parse(price))
        made = plan(traffic(np.arange(0.0, 300.0, 0.1)), ONE_BY_ONE, "ttft:p99<0.3s", options=options)
        assert made.hardware is not None
        assert made.hardware.gpus == 12
        return made.hardware.cost_per_hour

    assert cost("2/gpu") == 24.0
    assert cost("7.5/instance") == 22.5


@pytest.mark.parametrize("text", ["3", "cheap/gpu", "-1/gpu", "3/day", "nan/gpu"])
def test_a_price_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"say what an hour costs, such as 2.50/gpu"):
        Price.parse(text)


@pytest.mark.parametrize("text", ["", "ttft=1s", "ttft=1s;ttft=2s", "ttft;tbt=1s", "ttft=1s;tbt=x", "a=1s;b=2s"])
def test_a_grid_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Bounds.parse(text)


def test_options_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(UsageError, match="must be from 1 to 10,000"):
        Options(most_instances=0)
    with pytest.raises(UsageError, match="methods has no 'guess'; it has direct, naive, one_of, scaled"):
        Options(methods=("guess",))
    with pytest.raises(UsageError, match="there is no method"):
        Options(methods=())


def test_a_workload_that_is_short_for_its_replies_is_said_to_be() -> None:
    at_s = np.arange(0.0, 100.0, 0.1)
    made: Plan = plan(traffic(at_s, 100, 2_000), LARGE, "ttft:p99<1s", options=DIRECT)
    assert any("fleets are still filling" in note for note in made.notes)


def test_results_of_a_run_that_was_broken_off_can_be_written(tmp_path: Path) -> None:
    workload = traffic(np.arange(0.0, 100.0, 0.1), 100, 50)
    run = simulate(workload, Fleet((Pool(LARGE, 1),)), stop_when=lambda world, at_s: at_s > 30.0)
    path = tmp_path / "results.parquet"
    run.write(path)
    again = Results.read(path)
    assert again.run["stopped_s"] == run.run["stopped_s"]
    assert set(again.frame["error"].drop_nulls()) == {"unfinished"}
