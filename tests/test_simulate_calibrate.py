"""A profile fitted to a run: known engines are found again, and nothing is found where there is nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from calibrating import BASE, run_of
from groundswell.errors import DataError, UsageError
from groundswell.results import Results
from groundswell.simulate.calibrate import calibrate, compared, turned
from groundswell.simulate.least import Search, softened
from groundswell.simulate.misfit import Misfit
from groundswell.simulate.observed import Observed

Floats = NDArray[np.float64]


@pytest.mark.parametrize("rate_per_s", [4.0, 8.0])
def test_a_known_overhead_and_scale_are_found(rate_per_s: float) -> None:
    truth = turned(BASE, {"overhead_s": 1.5e-3, "scale": 0.12})
    found = calibrate(run_of(truth, rate_per_s=rate_per_s), BASE, BASE.configured())
    assert found.profile.overhead_s == pytest.approx(truth.overhead_s, abs=5e-4)
    assert found.profile.kernels.c0_s == pytest.approx(truth.kernels.c0_s, rel=0.03)
    assert found.profile.kernels.context_s == pytest.approx(truth.kernels.context_s, rel=0.03)
    assert found.before.mean_tpot < -0.15
    assert abs(found.unseen.mean_tpot) < 0.005
    assert abs(found.unseen.mean_e2e) < 0.005
    assert abs(found.unseen.mean_ttft) < 0.02


@pytest.mark.parametrize("moved", [{"overhead_s": 0.02}, {"scale": 2.0}, {"scale": -1.0}], ids=str)
@pytest.mark.parametrize("n", [25, 300])
def test_what_is_far_off_is_found_from_few_requests_too(moved: dict[str, float], n: int) -> None:
    found = calibrate(run_of(turned(BASE, moved), n), BASE, BASE.configured())
    assert moved.keys() <= found.moved.keys()
    assert abs(found.before.mean_tpot) > 0.4
    assert found.unseen.mean_tpot == pytest.approx(0.0, abs=0.02 if n == 300 else 0.05)


def test_steps_that_read_prompts_are_told_from_others() -> None:
    """They take as long as the host does to launch their kernels, if that is longer."""
    truth = turned(BASE, {"prompt_host_s": 0.06})
    found = calibrate(run_of(truth), BASE, BASE.configured())
    assert found.profile.prompt_host_s == pytest.approx(truth.prompt_host_s, abs=0.004)
    assert found.profile.overhead_s == pytest.approx(BASE.overhead_s, abs=5e-4)


def test_a_profile_that_is_right_stays_as_it_is() -> None:
    found = calibrate(run_of(BASE), BASE, BASE.configured())
    assert (found.before.mean_tpot, found.before.p99_ttft) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert found.profile.overhead_s == pytest.approx(BASE.overhead_s, abs=1e-4)
    assert abs(found.moved.get("scale", 0.0)) < 0.01
    assert max(abs(found.unseen.mean_tpot), abs(found.unseen.mean_e2e), abs(found.unseen.mean_ttft)) < 0.01


@pytest.mark.parametrize(("n", "most"), [(12, 1), (50, 1), (80, 2)])
def test_few_requests_move_few_figures(n: int, most: int) -> None:
    truth = turned(BASE, {"overhead_s": 4e-3, "scale": 0.3, "prompt_host_s": 0.06, "mixed_share": 1.0})
    found = calibrate(run_of(truth, n), BASE, BASE.configured())
    assert 1 <= len(found.moved) <= most


def test_it_is_fitted_to_the_first_requests_alone() -> None:
    """What becomes of the others changes nothing, but how far it is off there."""
    results = run_of(turned(BASE, {"scale": 0.2}))
    late = pl.col("row") >= 150
    slower = results.frame.with_columns(pl.when(late).then(pl.col("done_s") * 2).otherwise(pl.col("done_s")))
    first, second = (calibrate(each, BASE, BASE.configured()) for each in (results, Results(slower, results.metadata)))
    assert first.profile == second.profile
    assert first.seen == second.seen
    assert second.unseen.mean_e2e < first.unseen.mean_e2e - 0.3
    assert calibrate(results, BASE, BASE.configured(), seen=0.25).seen.requests == 75


def test_requests_count_from_when_they_were_sent() -> None:
    """What the sender was late by is not the engine's."""
    results = run_of(BASE, 60)
    late_s = np.linspace(0.0, 3.0, 60)
    frame = results.frame.with_columns(pl.col("due_s") - late_s + 3.0, sent_s=pl.col("due_s") + 3.0)
    moved = frame.with_columns((pl.col(name) + 3.0) for name in ("ready_s", "admitted_s", "first_token_s", "done_s"))
    errors = compared(Results(moved, results.metadata), BASE, BASE.configured())
    assert (errors.mean_tpot, errors.mean_e2e, errors.mean_ttft) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


def test_requests_that_failed_are_left_out() -> None:
    results = run_of(BASE, 60)
    bad = pl.col("row") % 10 == 0
    frame = results.frame.with_columns(
        error=pl.when(bad).then(pl.lit("timeout")).otherwise(None),
        first_token_s=pl.when(bad).then(None).otherwise(pl.col("first_token_s")),
    )
    found = calibrate(Results(frame, results.metadata), BASE, BASE.configured())
    assert found.left_out == 6
    assert found.seen.requests + found.unseen.requests == 54
    with pytest.raises(DataError, match="5 requests ended well: a calibration needs 10 or more"):
        Observed.of(Results(results.frame.head(5)))


@pytest.mark.parametrize("whole", [pl.col("row") < 30, pl.lit(value=True)], ids=["some", "all"])
def test_of_replies_that_came_at_once_only_the_end_is_known(whole: pl.Expr) -> None:
    results = run_of(turned(BASE, {"scale": 0.2}))
    first_s = pl.when(whole).then("done_s").otherwise("first_token_s")
    results = Results(results.frame.with_columns(first_token_s=first_s), results.metadata)
    found = calibrate(results, BASE, BASE.configured())
    assert found.moved["scale"] == pytest.approx(0.2, abs=0.02)
    assert abs(found.unseen.mean_e2e) < 0.005


def test_tokens_that_come_together_say_nothing_of_the_time_between_them() -> None:
    """Of three gaps two are none."""
    results = run_of(turned(BASE, {"scale": 0.2}))
    times = zip(*(results.floats(name) for name in ("first_token_s", "done_s", "output_tokens")), strict=True)
    events = [np.linspace(first_s, done_s, int(n))[np.arange(int(n)) // 3 * 3].tolist() for first_s, done_s, n in times]
    frame = results.frame.with_columns(event_s=pl.Series(events, dtype=pl.List(pl.Float64)))
    found = calibrate(Results(frame, results.metadata), BASE, BASE.configured())
    assert found.moved["scale"] == pytest.approx(0.2, abs=0.02)


def test_the_order_of_rows_is_no_matter() -> None:
    """Rows are in the workload's order; a turn that waits for the one before it can come later than those behind it."""
    results = run_of(BASE, 60)
    shuffled = results.frame.sample(fraction=1.0, shuffle=True, seed=1).with_columns(row=pl.Series(np.arange(60)))
    assert compared(Results(shuffled), BASE, BASE.configured()).mean_e2e == pytest.approx(0.0, abs=1e-12)
    assert np.array_equal(Observed.of(Results(shuffled)).came_s, Observed.of(results).came_s)


def test_gaps_between_tokens_are_those_before_the_first_request_that_is_not_seen() -> None:
    results = run_of(BASE, 60)
    seen = 30
    until_s = float(results.frame["due_s"][seen])
    events = [
        np.linspace(first, done, tokens)
        for first, done, tokens in results.frame.select("first_token_s", "done_s", "output_tokens").iter_rows()
    ]
    frame = results.frame.with_columns(event_s=pl.Series(events, dtype=pl.List(pl.Float64)))
    gaps = np.concatenate([np.diff(e) for e in events])
    ended = np.concatenate([e[1:] for e in events])
    misfit = Misfit.of(Observed.of(Results(frame)), BASE.configured(), seen)
    assert misfit.real().gaps_s == pytest.approx(np.quantile(gaps[ended <= until_s], (0.5, 0.9)))
    off = misfit.off(misfit.real(), misfit.simulated(BASE.cost))
    assert np.isfinite(off[-1, :2]).all()
    assert abs(off[:3, :3]).max() < 1e-9  # the simulation is of the same engine
    assert np.isnan(Misfit.of(Observed.of(results), BASE.configured(), seen).real().gaps_s).all()


def test_an_engine_without_memory_for_what_it_served_is_refused() -> None:
    results = run_of(BASE, 60)
    longest = int((results.frame["input_tokens"] + results.frame["asked_tokens"]).to_numpy().max())
    with pytest.raises(UsageError, match=rf"a request of {longest:,} tokens was served, .* memory for 1,600 only"):
        calibrate(results, BASE, BASE.configured(blocks=100))
    for share in (0.0, 1.0, math.nan):
        with pytest.raises(UsageError, match="a share of the requests"):
            calibrate(results, BASE, BASE.configured(), seen=share)


def test_turning_keeps_what_cannot_be_less_than_nothing() -> None:
    low = turned(BASE, {"overhead_s": -1.0, "prompt_host_s": -1.0, "mixed_share": -9.0})
    assert (low.overhead_s, low.prompt_host_s, low.kernels.mixed_s) == (0.0, 0.0, 0.0)
    above = turned(turned(BASE, {"prompt_host_s": 0.02}), {"prompt_host_s": 0.01})
    assert above.prompt_host_s == pytest.approx(BASE.kernels.c0_s + BASE.overhead_s + 0.03)
    assert turned(replace(BASE, overhead_s=-1e-3), {"overhead_s": -1.0}).overhead_s == -1e-3
    twice = turned(BASE, {"scale": math.log(2.0), "mixed_share": 0.5})
    assert twice.kernels.c0_s == pytest.approx(2 * BASE.kernels.c0_s)
    assert twice.kernels.hinge_tokens == BASE.kernels.hinge_tokens
    assert twice.kernels.mixed_s == pytest.approx(BASE.kernels.context_s)


# The search, on functions whose least is known.


def line(noise: float, seed: int = 0) -> tuple[Search, Floats]:
    """Things that are off by a linear function of three knobs, the third of which does nothing that is needed."""
    rng = np.random.default_rng(seed)
    slopes, truth = rng.normal(size=(3, 40)) * 5, np.array([1.5, -2.0, 0.0])
    scatter = noise * rng.normal(size=40)
    return Search(lambda x: ((x - truth) @ slopes + scatter).reshape(4, 10), np.zeros(3)), truth


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_knobs_that_matter_are_moved_and_others_are_not(noise: float) -> None:
    search, truth = line(noise)
    found = search.least(3)
    assert found[2] == 0.0
    assert found == pytest.approx(truth, abs=5 * 0.05 + noise * 0.2)


def test_no_more_knobs_are_moved_than_may_be() -> None:
    found = line(0.3)[0].least(1)
    assert np.flatnonzero(found).tolist() == [1]  # the one that lowers the misfit most


def only(slopes: Floats, off: Floats) -> Search:
    return Search(lambda x: (x[0] * slopes + off).reshape(4, 10), np.zeros(1))


def test_noise_alone_moves_nothing() -> None:
    """Of a hundred draws at most five: a knob that says nothing lowers the misfit by 4 in one of twenty."""
    moved = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        slopes, off = rng.normal(size=40), rng.normal(size=40)
        moved += only(slopes, off).least(1)[0] != 0.0
    assert moved <= 16  # 5 + 5 standard errors


def test_an_odd_one_does_not_decide() -> None:
    off = np.zeros((1, 40))
    search = Search(lambda x: off + 10 * (x[0] - 1.0) + 300.0 * (np.arange(40) == 0), np.zeros(1))
    assert search.least(1)[0] == pytest.approx(1.0, abs=0.02)
    assert softened(np.array([1e-4])) == pytest.approx(1e-8, rel=1e-3)
    assert softened(np.array([1e4])) == pytest.approx(2e4, rel=1e-3)
