"""BurstGPT's findings (arXiv 2401.17644): five, B1 to B5."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groundswell.characterize.findings.clause import above, simply
from groundswell.characterize.findings.rule import (
    FEW_REQUESTS,
    NEAR_KS,
    ODDS,
    Judged,
    Rule,
    best_family,
    judged,
    odds,
    rule_of,
    shown,
    silent,
    unsaid,
)
from groundswell.stats.estimate import Estimate

if TYPE_CHECKING:
    from groundswell.characterize.engine import Characterization

GAMMA_KS = 0.05
"""Gaps this near to a Gamma law are modelled by it; a test at thousands of gaps rejects what is nearer by far."""
FALLING = 0.5
"""The exponent of a Zipf law whose lengths become rarer with size to speak of; with 0 all lengths are alike."""
PERIODIC = 0.5
"""The share of the variance of the hourly rate that the hour of the day explains in periodic traffic."""

RULES: list[Rule] = []


@rule_of(RULES, "B1", "gaps within 20 minutes are Gamma", "Gamma, parameters change")
def _gamma(whole: Characterization) -> Judged:
    arrivals = whole.arrivals
    if arrivals is None or not arrivals.accepted or arrivals.tick_s > 0:
        return silent("too few gaps, or a clock too coarse for them")
    gammas = [fit for window in arrivals.windows for fit in window.fits if fit.family == "gamma"]
    near = float(np.mean([fit.ks <= GAMMA_KS or fit.p >= ODDS for fit in gammas])) if gammas else 0.0
    passed = arrivals.accepted.get("gamma", 0.0)
    figure = f"near in {near:.0%} of windows, not rejected in {passed:.0%}; {best_family(arrivals.best)}"
    why = f"in half of the tested windows the fitted Gamma lies within {GAMMA_KS} or is not rejected at {ODDS}"
    return judged(figure, Estimate(near, n=len(gammas)), why, simply(near >= 0.5))


@rule_of(RULES, "B2", "traffic is periodic", "conversations daily and weekly; API aperiodic")
def _periodic(whole: Characterization) -> Judged:
    arrivals = whole.arrivals
    if arrivals is None or not np.isfinite(arrivals.day_strength.value):
        return silent("the trace is shorter than two days")
    figure = f"the hour explains {shown(arrivals.day_strength)} of the hourly rate's variance"
    # A day that repeats itself to the last request leaves nothing from which an interval could be had.
    exact = simply(arrivals.day_strength.value > PERIODIC)
    clause = above("that share", arrivals.day_strength, PERIODIC) if arrivals.day_strength.known else exact
    return judged(figure, arrivals.day_strength, f"the interval of that share lies above {PERIODIC:.0%}", clause)


@rule_of(RULES, "B3", "input lengths are Zipf-like", "Zipf, exponent 1.1 in its demo")
def _zipf(whole: Characterization) -> Judged:
    lengths = whole.lengths
    fit = next((f for f in lengths.fields["input"].fits if f.family == "zipf"), None) if lengths is not None else None
    if lengths is None or fit is None or fit.n < FEW_REQUESTS:
        return silent(f"fewer than {FEW_REQUESTS} requests")
    figure = f"exponent {shown(lengths.zipf_exponent)}, KS {fit.ks:.2f}"
    why = f"the fitted Zipf law lies within {NEAR_KS} of the lengths, with an exponent above {FALLING}"
    falls = (
        above("the exponent", lengths.zipf_exponent, FALLING)
        if lengths.zipf_exponent.known
        else simply(lengths.zipf_exponent.value > FALLING)
    )
    return judged(figure, lengths.zipf_exponent, why, simply(fit.ks <= NEAR_KS), falls)


@rule_of(RULES, "B4", "output lengths are bimodal", "two modes, by figure")
def _bimodal(whole: Characterization) -> Judged:
    lengths = whole.lengths
    if lengths is None or not np.isfinite(lengths.output_dip_p) or lengths.fields["output"].n < FEW_REQUESTS:
        return silent(f"fewer than {FEW_REQUESTS} requests")
    figure = f"dip {lengths.output_modes.value:.3f}, {odds(lengths.output_dip_p)}"
    why = f"one mode of the log lengths is rejected at {ODDS}"
    return judged(figure, lengths.output_modes, why, simply(lengths.output_dip_p < ODDS))


@rule_of(RULES, "B5", "failures come with bursts", "API 7.6 %, conversations .8 %")
def _failing(whole: Characterization) -> Judged:
    failing = whole.failures
    if failing is None:
        return silent("the trace does not say what failed")
    figure = f"{failing.rate.value:.2%} fail; in the busiest tenth of minutes × {shown(failing.load_ratio)}"
    if not failing.load_ratio.known:
        return unsaid(figure, failing.rate, "too few failures or minutes")
    why = "the interval of the ratio of failure rates, busiest minutes over the rest, lies above 1"
    more = above("the ratio of failure rates", failing.load_ratio, 1.0)
    return judged(figure, failing.load_ratio, why, more)
