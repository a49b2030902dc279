"""ServeGen's findings (arXiv 2505.09999): eleven, S1 to S11."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from groundswell.characterize.findings.clause import above, below, simply
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

HOUR_S = 3600.0
WEAK = 0.3
"""Rank correlations below are weak (Cohen's convention)."""
SHIFT = 1.2
"""A ratio of the 95th to the 5th percentile over windows that counts as a shift."""
SKEWED_GINI = 0.5
BURSTY_CV = 1.2
"""A client whose gaps vary more than this is bursty."""
OWN_WAY = 0.5
"""Loads that correlate less than this shift each on its own."""

RULES: list[Rule] = []


@rule_of(RULES, "S1", "arrivals are bursty, and no process fits all", "CV 1.0–1.6; the best family differs by workload")
def _bursty(whole: Characterization) -> Judged:
    arrivals = whole.arrivals
    if arrivals is None or arrivals.requests < FEW_REQUESTS or not arrivals.cv.known:
        return silent(f"fewer than {FEW_REQUESTS} requests, or too short for an interval")
    if arrivals.tick_s > 0:
        return silent(f"the clock ticks every {arrivals.tick_s:g} s, which hides the gaps")
    figure = f"CV {shown(arrivals.cv)}" + (f"; {best_family(arrivals.best)}" if arrivals.best else "")
    why = "the CV's interval within windows lies above 1"
    return judged(figure, arrivals.cv, why, above("the CV", arrivals.cv, 1.0))


@rule_of(RULES, "S2", "rate and burstiness shift over hours", "rates double over a day; CV 1.0–1.6")
def _shifting(whole: Characterization) -> Judged:
    arrivals = whole.arrivals
    if arrivals is None or arrivals.span_s < 3 * HOUR_S:
        return silent("the trace is shorter than three hours")
    if not arrivals.rate_shift.known:
        return silent("the trace has fewer than 40 windows")
    figure = f"rate p95/p5 {shown(arrivals.rate_shift)}, CV {shown(arrivals.cv_shift)}"
    bound = _beyond_chance(arrivals.rate_shift_by_chance)
    why = f"the interval of the ratio of the windows' 95th to 5th percentile of rate lies above {SHIFT} beyond chance"
    shifts = above("the ratio of rates", arrivals.rate_shift, bound)
    return judged(figure, arrivals.rate_shift, f"{why}: above {bound:.2f}", shifts)


@rule_of(RULES, "S3", "inputs mix Pareto and log-normal, outputs are exponential", "best fits, by figure")
def _shapes(whole: Characterization) -> Judged:
    fields = whole.lengths.fields if whole.lengths is not None else {}
    if not {"input", "output"} <= fields.keys() or fields["input"].n < FEW_REQUESTS:
        return silent(f"fewer than {FEW_REQUESTS} requests")
    if not fields["input"].fits or not fields["output"].fits:
        return silent("the lengths do not vary")
    first = fields["input"].fits[0]
    mixed = first.family == "pareto+lognormal" and first.ks <= NEAR_KS
    exponential = next(fit for fit in fields["output"].fits if fit.family == "exponential")
    figure = f"input {first.family}, KS {first.ks:.2f}; output KS to exponential {exponential.ks:.2f}"
    why = f"inputs ask for the mixture and lie within {NEAR_KS} of it, and outputs of an exponential"
    return judged(figure, Estimate(exponential.ks), why, simply(mixed and exponential.ks <= NEAR_KS))


@rule_of(RULES, "S4", "input and output correlate weakly, shift independently", "weak; by figure")
def _independent(whole: Characterization) -> Judged:
    lengths = whole.lengths
    if lengths is None or lengths.spearman.n < FEW_REQUESTS or not lengths.spearman.known:
        return silent("too few requests, or lengths that do not vary")
    rho, together = lengths.spearman, lengths.together
    figure = f"rank correlation {shown(rho)}" + (f"; of shifts {shown(together)}" if together.known else "")
    weak = (above("the rank correlation", rho, -WEAK), below("the rank correlation", rho, WEAK))
    # That shifts do not go together is what is left unless they are seen to: no interval is of one point alone.
    linked = together.known and together.above(0.0)
    why = f"the interval of the rank correlation lies within ±{WEAK}, and shifts are not seen to go together"
    return judged(figure, rho, why, *weak, simply(not linked))


@rule_of(RULES, "S5", "few clients make most requests and the shifts", "29 of 2,412 clients make 90 %")
def _skewed(whole: Characterization) -> Judged:
    clients = whole.clients
    if clients is None or clients.count < 2:
        return silent("the trace names no clients")
    if not clients.gini.known or clients.top_share[1].n < FEW_REQUESTS:
        return silent("the trace is too short to say how sure the clients' shares are")
    top = max((k for k in clients.explained if k <= 5), default=0)
    explained = clients.explained[top].value if top else np.nan
    part = f"; top {top} explain {explained:.0%}" if np.isfinite(explained) else ""
    figure = f"{clients.needed[90]:,} of {clients.count:,} make 90 %; Gini {shown(clients.gini)}{part}"
    why = f"the interval of the Gini coefficient of requests over clients lies above {SKEWED_GINI}"
    return judged(figure, clients.gini, why, above("the Gini coefficient", clients.gini, SKEWED_GINI))


@rule_of(RULES, "S6", "loads of modalities shift, each on its own", "irregular shifts, by figure")
def _modal_shifts(whole: Characterization) -> Judged:
    modal = whole.modalities
    if modal is None:
        return silent("the trace has no images, audio or video")
    name, kind = max(modal.modalities.items(), key=lambda item: item[1].share.value)
    if whole.arrivals is None or whole.arrivals.span_s < 3 * HOUR_S:
        return silent("the trace is shorter than three hours")
    if not kind.shift.known or not np.isfinite(kind.shift_by_chance):
        return silent("the trace has fewer than 40 windows")
    link = modal.together.get(name, Estimate())
    figure = f"{name} tokens/s p95/p5 {shown(kind.shift)}; with text {shown(link)}"
    bound = _beyond_chance(kind.shift_by_chance)
    if not link.known:
        return unsaid(figure, kind.shift, "the tokens of text do not vary")
    why = f"the shift's interval lies above {SHIFT} beyond chance: above {bound:.2f}"
    why += f"; and that of its correlation with the text's below {OWN_WAY}"
    shifts, alone = above("the shift", kind.shift, bound), below("the correlation with text", link, OWN_WAY)
    return judged(figure, kind.shift, why, shifts, alone)


@rule_of(RULES, "S7", "requests differ in their modal share", "mean share 66–86 %")
def _modal_share(whole: Characterization) -> Judged:
    modal = whole.modalities
    if modal is None:
        return silent("the trace has no images, audio or video")
    if modal.modal_share.n < FEW_REQUESTS:
        return silent(f"fewer than {FEW_REQUESTS} requests have images, audio or video")
    figure = f"modal share {shown(modal.modal_share)}, spread {modal.share_spread:.2f}"
    why = "the share's standard deviation is above .1"
    return judged(figure, modal.modal_share, why, simply(modal.share_spread > 0.1))


@rule_of(RULES, "S8", "download, normalise and encode add much to TTFT", "by figure")
def _stages(whole: Characterization) -> Judged:
    return silent("a trace of requests has no times of the server's stages")


@rule_of(RULES, "S9", "reasoning is longer than answers, correlated, bimodal", "4× answers; two modes")
def _reasons(whole: Characterization) -> Judged:
    reasoning = whole.reasoning
    if reasoning is None:
        return silent("the trace has no reasoning tokens")
    figure = f"{shown(reasoning.times, 1)}× answers; rho {shown(reasoning.spearman)}; dip {odds(reasoning.dip_p)}"
    if reasoning.reason.n < FEW_REQUESTS or not (reasoning.times.known and np.isfinite(reasoning.dip_p)):
        return unsaid(figure, reasoning.times, "too few requests that reason, or replies of reasoning alone")
    if not reasoning.spearman.known:
        return unsaid(figure, reasoning.times, "reasoning or answers do not vary")
    why = f"the ratio lies above 1, the rank correlation above 0, and one mode is rejected at {ODDS}"
    longer = above("the ratio of reasoning to answers", reasoning.times, 1.0)
    linked = above("their rank correlation", reasoning.spearman, 0.0)
    return judged(figure, reasoning.times, why, longer, linked, simply(reasoning.dip_p < ODDS))


@rule_of(
    RULES, "S10", "multi-turn traffic is less bursty than the rest", "9.6 % multi-turn, 3.3–3.5 turns, 100 s apart"
)
def _turns(whole: Characterization) -> Judged:
    talk = whole.conversations
    if talk is None:
        return silent("the trace names no conversations and has no prefix blocks to infer them from")
    figure = f"{talk.multi_turn_share.value:.1%} multi-turn, {talk.mean_turns.value:.2g} turns"
    if np.isfinite(talk.gap_p50.value):
        figure += f", {talk.gap_p50.value:.0f} s apart"
    if whole.arrivals is not None and whole.arrivals.tick_s > 0:
        return unsaid(figure, talk.multi_turn_share, f"the clock ticks every {whole.arrivals.tick_s:g} s")
    if not (talk.single_cv.known and talk.multi_cv.known):
        return unsaid(figure, talk.multi_turn_share, "too few requests of one kind to say how bursty it is")
    figure += f"; CV {talk.multi_cv.value:.2f} against {talk.single_cv.value:.2f}"
    why = (
        "the CV of requests in conversations lies below that of single requests by more than their intervals allow for"
    )
    calmer = above("the difference of the CVs", _difference(talk.single_cv, talk.multi_cv), 0.0)
    return judged(figure, talk.multi_turn_share, why, calmer)


@rule_of(RULES, "S11", "clients of reasoning models: less skewed, not bursty", "top 10 send half; 3/4 not bursty")
def _reasoning_clients(whole: Characterization) -> Judged:
    clients = whole.clients
    if whole.reasoning is None:
        return silent("the trace has no reasoning tokens")
    if clients is None or clients.count < 2:
        return silent("the trace names no clients")
    if not clients.window_cv_cdf.x.size or clients.top_share[1].n < FEW_REQUESTS:
        return silent("no client sends enough to say how bursty it is")
    calm = float(np.interp(BURSTY_CV, clients.window_cv_cdf.x, clients.window_cv_cdf.y, left=0.0))
    figure = f"{calm:.0%} of requests from clients that are not bursty then"
    if 10 in clients.top_share:
        figure += f"; top 10 send {clients.top_share[10].value:.0%}"
    why = f"more than half of the requests come in windows in which their client's CV is at most {BURSTY_CV}"
    return judged(figure, Estimate(calm), why, simply(calm > 0.5))


def _beyond_chance(ratio: float) -> float:
    """What a ratio of percentiles must exceed to be a shift of :data:`SHIFT`, where chance alone makes it ``ratio``:
    the variances of the logarithms add up."""
    return float(np.exp(np.hypot(np.log(SHIFT), np.log(ratio)))) if np.isfinite(ratio) else SHIFT


def _difference(a: Estimate, b: Estimate) -> Estimate:
    """``a`` less ``b``, which are estimated apart: distances from the truth add up as squares (Zou and Donner,
    "Construction of confidence limits about effect measures", 2008)."""
    value = a.value - b.value
    low = value - np.hypot(a.value - a.low, b.high - b.value)
    high = value + np.hypot(a.high - a.value, b.value - b.low)
    return Estimate(value, float(low), float(high), min(a.n, b.n))
