"""The findings of ServeGen and BurstGPT, and whether this trace shows them too.

Each finding is one rule over the figures: it holds where the whole 95 % interval is on the claimed side, does not hold
where the figure is not, and cannot be said where the trace lacks what it is about. The rules and their thresholds are
listed in docs/findings.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from groundswell.stats.estimate import Estimate

if TYPE_CHECKING:
    from groundswell.characterize.engine import Characterization

Verdict = Literal["holds", "does not hold", "cannot be said"]

FEW_REQUESTS = 200
"""Fewer requests say nothing of a distribution."""
HOUR_S = 3600.0
NEAR_KS = 0.10
"""A distribution this near to a family is of it; ServeGen's public pools' outputs are .06 to .40 from exponentials."""
GAMMA_KS = 0.05
"""Gaps this near to a Gamma law are modelled by it; a test at thousands of gaps rejects what is nearer by far."""
WEAK = 0.3
"""Rank correlations below are weak (Cohen's convention)."""
SHIFT = 1.2
"""A ratio of the 95th to the 5th percentile over windows that counts as a shift."""
SKEWED_GINI = 0.5
BURSTY_CV = 1.2
"""A client whose gaps vary more than this is bursty."""
PERIODIC = 0.5
"""The share of the variance of the hourly rate that the hour of the day explains in periodic traffic."""
ODDS = 0.05
"""Below these odds a hypothesis is rejected."""


@dataclass(frozen=True, eq=False)
class Finding:
    """What the paper says, whether this trace shows it, by which figure, and what the paper's figure is."""

    key: str
    statement: str
    verdict: Verdict
    figure: str
    estimate: Estimate
    paper: str
    why: str
    """The rule in words, or what the trace lacks."""


Rule = Callable[["Characterization"], tuple[Verdict, str, Estimate, str]]
_RULES: list[tuple[str, str, str, Rule]] = []


def findings(whole: Characterization) -> Iterator[Finding]:
    """All findings, in the papers' order: S1 to S11 are ServeGen's, B1 to B5 BurstGPT's."""
    for key, statement, paper, rule in _RULES:
        verdict, figure, estimate, why = rule(whole)
        yield Finding(key, statement, verdict, figure, estimate, paper, why)


def _finding(key: str, statement: str, paper: str) -> Callable[[Rule], Rule]:
    def keep(rule: Rule) -> Rule:
        _RULES.append((key, statement, paper, rule))
        return rule

    return keep


def _silent(why: str) -> tuple[Verdict, str, Estimate, str]:
    return "cannot be said", "–", Estimate(), why


def _verdict(holds: bool) -> Verdict:
    return "holds" if holds else "does not hold"


def shown(estimate: Estimate, digits: int = 2) -> str:
    """A figure with its interval: ``1.31 [1.22, 1.40]``."""
    if not np.isfinite(estimate.value):
        return "–"
    text = f"{estimate.value:.{digits}f}"
    return f"{text} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]" if estimate.known else text


def _odds(p: float) -> str:
    """``p = .012``, or ``p < .001``."""
    return f"p {p:.2g}" if p >= 0.001 else "p < .001"


def _beyond_chance(ratio: float) -> float:
    """What a ratio of percentiles must exceed to be a shift of :data:`SHIFT`, where chance alone makes it ``ratio``:
    the variances of the logarithms add up."""
    return float(np.exp(np.hypot(np.log(SHIFT), np.log(ratio)))) if np.isfinite(ratio) else SHIFT


def _best(shares: dict[str, float]) -> str:
    name = max(shares, key=lambda family: shares[family])
    return f"{name} best in {shares[name]:.0%} of windows"


@_finding("S1", "arrivals are bursty, and no process fits all", "CV 1.0–1.6; the best family differs by workload")
def _bursty(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    arrivals = whole.arrivals
    if arrivals is None or arrivals.requests < FEW_REQUESTS or not arrivals.cv.known:
        return _silent(f"fewer than {FEW_REQUESTS} requests, or too short for an interval")
    if arrivals.tick_s > 0:
        return _silent(f"the clock ticks every {arrivals.tick_s:g} s, which hides the gaps")
    figure = f"CV {shown(arrivals.cv)}" + (f"; {_best(arrivals.best)}" if arrivals.best else "")
    return _verdict(arrivals.cv.above(1.0)), figure, arrivals.cv, "the CV's interval within windows lies above 1"


@_finding("S2", "rate and burstiness shift over hours", "rates double over a day; CV 1.0–1.6")
def _shifting(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    arrivals = whole.arrivals
    if arrivals is None or arrivals.span_s < 3 * HOUR_S:
        return _silent("the trace is shorter than three hours")
    if not arrivals.rate_shift.known:
        return _silent("the trace has fewer than 40 windows")
    figure = f"rate p95/p5 {shown(arrivals.rate_shift)}, CV {shown(arrivals.cv_shift)}"
    bound = _beyond_chance(arrivals.rate_shift_by_chance)
    why = f"the interval of the ratio of the windows' 95th to 5th percentile of rate lies above {SHIFT} beyond chance"
    return _verdict(arrivals.rate_shift.above(bound)), figure, arrivals.rate_shift, f"{why}: above {bound:.2f}"


@_finding("S3", "inputs mix Pareto and log-normal, outputs are exponential", "best fits, by figure")
def _shapes(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    fields = whole.lengths.fields if whole.lengths is not None else {}
    if not {"input", "output"} <= fields.keys() or fields["input"].n < FEW_REQUESTS:
        return _silent(f"fewer than {FEW_REQUESTS} requests")
    if not fields["input"].fits or not fields["output"].fits:
        return _silent("the lengths do not vary")
    first = fields["input"].fits[0]
    mixed = first.family == "pareto+lognormal" and first.ks <= NEAR_KS
    exponential = next(fit for fit in fields["output"].fits if fit.family == "exponential")
    figure = f"input {first.family}, KS {first.ks:.2f}; output KS to exponential {exponential.ks:.2f}"
    why = f"inputs ask for the mixture and lie within {NEAR_KS} of it, and outputs of an exponential"
    return _verdict(mixed and exponential.ks <= NEAR_KS), figure, Estimate(exponential.ks), why


@_finding("S4", "input and output correlate weakly, shift independently", "weak; by figure")
def _independent(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    lengths = whole.lengths
    if lengths is None or lengths.spearman.n < FEW_REQUESTS or not lengths.spearman.known:
        return _silent("too few requests, or lengths that do not vary")
    rho, together = lengths.spearman, lengths.together
    figure = f"rank correlation {shown(rho)}" + (f"; of shifts {shown(together)}" if together.known else "")
    weak = rho.above(-WEAK) and rho.below(WEAK)
    linked = together.known and together.above(0.0)
    why = f"the interval of the rank correlation lies within ±{WEAK}, and shifts over periods do not go together"
    return _verdict(weak and not linked), figure, rho, why


@_finding("S5", "few clients make most requests and the shifts", "29 of 2,412 clients make 90 %")
def _skewed(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    clients = whole.clients
    if clients is None or clients.count < 2:
        return _silent("the trace names no clients")
    if not clients.gini.known or clients.top_share[1].n < FEW_REQUESTS:
        return _silent("the trace is too short to say how sure the clients' shares are")
    top = max((k for k in clients.explained if k <= 5), default=0)
    explained = clients.explained[top].value if top else np.nan
    part = f"; top {top} explain {explained:.0%}" if np.isfinite(explained) else ""
    figure = f"{clients.needed[90]:,} of {clients.count:,} make 90 %; Gini {shown(clients.gini)}{part}"
    why = f"the interval of the Gini coefficient of requests over clients lies above {SKEWED_GINI}"
    return _verdict(clients.gini.above(SKEWED_GINI)), figure, clients.gini, why


@_finding("S6", "loads of modalities shift, each on its own", "irregular shifts, by figure")
def _modal_shifts(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    modal = whole.modalities
    if modal is None:
        return _silent("the trace has no images, audio or video")
    name, kind = max(modal.modalities.items(), key=lambda item: item[1].share.value)
    if whole.arrivals is None or whole.arrivals.span_s < 3 * HOUR_S:
        return _silent("the trace is shorter than three hours")
    if not kind.shift.known or not np.isfinite(kind.shift_by_chance):
        return _silent("the trace has fewer than 40 windows")
    link = modal.together.get(name, Estimate())
    figure = f"{name} tokens/s p95/p5 {shown(kind.shift)}; with text {shown(link)}"
    bound = _beyond_chance(kind.shift_by_chance)
    if not link.known:
        return "cannot be said", figure, kind.shift, "the tokens of text do not vary"
    why = f"the shift's interval lies above {SHIFT} beyond chance: above {bound:.2f}"
    holds = kind.shift.above(bound) and not link.above(0.5)
    return _verdict(holds), figure, kind.shift, f"{why}; and its correlation with the text's is not above .5"


@_finding("S7", "requests differ in their modal share", "mean share 66–86 %")
def _modal_share(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    modal = whole.modalities
    if modal is None:
        return _silent("the trace has no images, audio or video")
    if modal.modal_share.n < FEW_REQUESTS:
        return _silent(f"fewer than {FEW_REQUESTS} requests have images, audio or video")
    figure = f"modal share {shown(modal.modal_share)}, spread {modal.share_spread:.2f}"
    return _verdict(modal.share_spread > 0.1), figure, modal.modal_share, "the share's standard deviation is above .1"


@_finding("S8", "download, normalise and encode add much to TTFT", "by figure")
def _stages(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    return _silent("a trace of requests has no times of the server's stages")


@_finding("S9", "reasoning is longer than answers, correlated, bimodal", "4× answers; two modes")
def _reasons(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    reasoning = whole.reasoning
    if reasoning is None:
        return _silent("the trace has no reasoning tokens")
    figure = f"{shown(reasoning.times, 1)}× answers; rho {shown(reasoning.spearman)}; dip {_odds(reasoning.dip_p)}"
    if reasoning.reason.n < FEW_REQUESTS or not (reasoning.times.known and np.isfinite(reasoning.dip_p)):
        return "cannot be said", figure, reasoning.times, "too few requests that reason, or replies of reasoning alone"
    if not reasoning.spearman.known:
        return "cannot be said", figure, reasoning.times, "reasoning or answers do not vary"
    holds = reasoning.times.above(1.0) and reasoning.spearman.above(0.0) and reasoning.dip_p < ODDS
    why = f"the ratio lies above 1, the rank correlation above 0, and one mode is rejected at {ODDS}"
    return _verdict(holds), figure, reasoning.times, why


@_finding("S10", "multi-turn traffic is less bursty than the rest", "9.6 % multi-turn, 3.3–3.5 turns, 100 s apart")
def _turns(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    talk = whole.conversations
    if talk is None:
        return _silent("the trace names no conversations and has no prefix blocks to infer them from")
    figure = f"{talk.multi_turn_share.value:.1%} multi-turn, {talk.mean_turns.value:.2g} turns"
    if np.isfinite(talk.gap_p50.value):
        figure += f", {talk.gap_p50.value:.0f} s apart"
    if whole.arrivals is not None and whole.arrivals.tick_s > 0:
        return "cannot be said", figure, talk.multi_turn_share, f"the clock ticks every {whole.arrivals.tick_s:g} s"
    if not (talk.single_cv.known and talk.multi_cv.known):
        return "cannot be said", figure, talk.multi_turn_share, "too few requests of one kind to say how bursty it is"
    figure += f"; CV {talk.multi_cv.value:.2f} against {talk.single_cv.value:.2f}"
    # Both are uncertain, and their differences from the truth add up as squares.
    room = np.hypot(talk.multi_cv.high - talk.multi_cv.value, talk.single_cv.value - talk.single_cv.low)
    why = (
        "the CV of requests in conversations lies below that of single requests by more than their intervals allow for"
    )
    return _verdict(talk.single_cv.value - talk.multi_cv.value > room), figure, talk.multi_turn_share, why


@_finding("S11", "clients of reasoning models: less skewed, not bursty", "top 10 send half; 3/4 not bursty")
def _reasoning_clients(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    clients = whole.clients
    if whole.reasoning is None:
        return _silent("the trace has no reasoning tokens")
    if clients is None or clients.count < 2:
        return _silent("the trace names no clients")
    if not clients.window_cv_cdf.x.size or clients.top_share[1].n < FEW_REQUESTS:
        return _silent("no client sends enough to say how bursty it is")
    calm = float(np.interp(BURSTY_CV, clients.window_cv_cdf.x, clients.window_cv_cdf.y, left=0.0))
    figure = f"{calm:.0%} of requests from clients that are not bursty then"
    if 10 in clients.top_share:
        figure += f"; top 10 send {clients.top_share[10].value:.0%}"
    why = f"more than half of the requests come in windows in which their client's CV is at most {BURSTY_CV}"
    return _verdict(calm > 0.5), figure, Estimate(calm), why


@_finding("B1", "gaps within 20 minutes are Gamma", "Gamma, parameters change")
def _gamma(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    arrivals = whole.arrivals
    if arrivals is None or not arrivals.accepted or arrivals.tick_s > 0:
        return _silent("too few gaps, or a clock too coarse for them")
    gammas = [fit for window in arrivals.windows for fit in window.fits if fit.family == "gamma"]
    near = float(np.mean([fit.ks <= GAMMA_KS or fit.p >= ODDS for fit in gammas])) if gammas else 0.0
    passed = arrivals.accepted.get("gamma", 0.0)
    figure = f"near in {near:.0%} of windows, not rejected in {passed:.0%}; {_best(arrivals.best)}"
    why = f"in half of the tested windows the fitted Gamma lies within {GAMMA_KS} or is not rejected at {ODDS}"
    return _verdict(near >= 0.5), figure, Estimate(near, n=len(gammas)), why


@_finding("B2", "traffic is periodic", "conversations daily and weekly; API aperiodic")
def _periodic(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    arrivals = whole.arrivals
    if arrivals is None or not np.isfinite(arrivals.day_strength.value):
        return _silent("the trace is shorter than two days")
    figure = f"the hour explains {arrivals.day_strength.value:.0%} of the hourly rate's variance"
    strength = arrivals.day_strength
    holds = strength.above(PERIODIC) if strength.known else strength.value > PERIODIC
    return _verdict(holds), figure, arrivals.day_strength, f"that share is above {PERIODIC:.0%}"


@_finding("B3", "input lengths are Zipf-like", "Zipf, exponent 1.1 in its demo")
def _zipf(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    lengths = whole.lengths
    fit = next((f for f in lengths.fields["input"].fits if f.family == "zipf"), None) if lengths is not None else None
    if lengths is None or fit is None or fit.n < FEW_REQUESTS:
        return _silent(f"fewer than {FEW_REQUESTS} requests")
    figure = f"exponent {shown(lengths.zipf_exponent)}, KS {fit.ks:.2f}"
    why = f"the fitted Zipf law lies within {NEAR_KS} of the lengths"
    return _verdict(fit.ks <= NEAR_KS), figure, lengths.zipf_exponent, why


@_finding("B4", "output lengths are bimodal", "two modes, by figure")
def _bimodal(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    lengths = whole.lengths
    if lengths is None or not np.isfinite(lengths.output_dip_p) or lengths.fields["output"].n < FEW_REQUESTS:
        return _silent(f"fewer than {FEW_REQUESTS} requests")
    figure = f"dip {lengths.output_modes.value:.3f}, {_odds(lengths.output_dip_p)}"
    why = f"one mode of the log lengths is rejected at {ODDS}"
    return _verdict(lengths.output_dip_p < ODDS), figure, lengths.output_modes, why


@_finding("B5", "failures come with bursts", "API 7.6 %, conversations .8 %")
def _failing(whole: Characterization) -> tuple[Verdict, str, Estimate, str]:
    failing = whole.failures
    if failing is None:
        return _silent("the trace does not say what failed")
    figure = f"{failing.rate.value:.2%} fail; in the busiest tenth of minutes × {shown(failing.load_ratio)}"
    if not failing.load_ratio.known:
        return "cannot be said", figure, failing.rate, "too few failures or minutes"
    why = "the interval of the ratio of failure rates, busiest minutes over the rest, lies above 1"
    return _verdict(failing.load_ratio.above(1.0)), figure, failing.load_ratio, why
