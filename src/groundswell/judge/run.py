"""Judging a run: what its latencies were and how sure that is, whether an SLO held, and whether the run is valid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from groundswell.judge.clauses import held, keeps, keeps_all
from groundswell.judge.counts import errors_of, server_totals, tokens_of
from groundswell.judge.figures import ClauseHeld, Judgement, Rates, Reason, Spread, Verdict, Window
from groundswell.judge.gaps import gap_sample, gaps_of, pile_of, pile_of_begins
from groundswell.judge.latencies import bounded_of, latencies_of, reply_tokens
from groundswell.judge.notes import notes_of
from groundswell.judge.over_time import over_time
from groundswell.judge.parts import by_client, by_input
from groundswell.judge.phases import phases_of
from groundswell.judge.quantiles import STRETCHES, Sample, share
from groundswell.judge.slo import METRICS, SLO, Clause
from groundswell.judge.validity import invalid
from groundswell.judge.windows import window_of
from groundswell.results import Gaps, Results
from groundswell.stats.batches import interval
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Stretch = NDArray[np.uint8]


def judge(
    results: Results, slo: SLO | None = None, warm_up_s: float | None = None, cool_down_s: float | None = None
) -> Judgement:
    """What came of a run.

    Latencies, rates and the SLO are of the requests that were due in the window between warm-up and cool-down, which a
    rule finds where they are not given (:mod:`groundswell.judge.windows`); errors and tokens are of the whole run.
    Every interval comes from drawing stretches of the window again (:mod:`groundswell.judge.quantiles`). Raises
    UsageError where warm-up and cool-down leave nothing, DataError where nothing was due.
    """
    latencies = latencies_of(results)
    window, inside = window_of(results, latencies["e2e"], warm_up_s, cool_down_s)
    gaps, failed = gaps_of(results), results.failed
    stretch = _stretches(results.floats("due_s")[inside], window)
    spreads, clauses = _by_metric(results, slo, window, inside, stretch, gaps)
    kept = None if slo is None else keeps_all(slo, bounded_of(results), failed)
    kept_part = None if kept is None else kept[inside]
    reasons = invalid(results, latencies, inside, window)
    tokens, server = tokens_of(results), server_totals(results)
    return Judgement(
        verdict=_verdict(reasons, clauses),
        invalid=reasons,
        notes=tuple(notes_of(results, window, tokens, server, (pile_of(results, gaps), pile_of_begins(results)))),
        run=results.run,
        interrupted=bool(results.run.get("interrupted")),
        requests=len(results),
        failed=int(failed.sum()),
        window=window,
        rates=_rates(results, inside, window, kept_part, stretch),
        slo=None if slo is None else str(slo),
        clauses=clauses,
        attainment=Estimate() if kept_part is None else share(_counts(stretch[kept_part]), _counts(stretch)),
        latencies=spreads,
        over_time=over_time(results, latencies, kept, window.span_s),
        clients=by_client(results, latencies, inside, kept),
        input_lengths=by_input(results, latencies, inside, kept),
        errors=errors_of(results),
        tokens=tokens,
        server=server,
        phases=_phases(results, inside, stretch),
    )


def _by_metric(
    results: Results, slo: SLO | None, window: Window, inside: Bools, stretch: Stretch, gaps: Gaps | None
) -> tuple[dict[str, Spread], tuple[ClauseHeld, ...]]:
    """How each metric is distributed over the window, and what becomes of the clauses; one metric after the other, so
    that only one is in memory at a time."""
    shown, bounded, failed = latencies_of(results), bounded_of(results), results.failed
    spreads: dict[str, Spread] = {}
    found: dict[Clause, ClauseHeld] = {}
    for metric in METRICS:
        asked = [clause for clause in (slo.clauses if slo else ()) if clause.metric == metric]
        if not (asked or metric in shown or metric == "itl"):
            continue
        values, sample = bounded.get(metric), None
        if metric == "itl":
            sample = None if gaps is None else gap_sample(gaps, window)
        elif values is not None:
            sample = Sample.of(values[inside], stretch)
        for clause in asked:
            found[clause] = held(clause, sample, keeps(clause, values, failed)[inside], stretch, STRETCHES)
        if sample is not None and sample.n and (metric in shown or metric == "itl"):
            spreads[metric] = _spread(metric, sample)
    return spreads, tuple(found[clause] for clause in (slo.clauses if slo else ()))


def _phases(results: Results, inside: Bools, stretch: Stretch) -> dict[str, Spread]:
    samples = ((name, Sample.of(took_s[inside], stretch)) for name, took_s in phases_of(results))
    return {name: _spread(name, sample) for name, sample in samples if sample.n}


def _stretches(due_s: Floats, window: Window) -> Stretch:
    """In which of the window's stretches each request was due; all in one, where the window has no length."""
    width_s = window.seconds / STRETCHES
    if not width_s > 0:
        return np.zeros(due_s.size, np.uint8)
    return np.minimum((due_s - window.begin_s) / width_s, STRETCHES - 1).astype(np.uint8)


def _counts(stretch: Stretch) -> Floats:
    return np.bincount(stretch, minlength=STRETCHES).astype(np.float64)


def _spread(metric: str, sample: Sample) -> Spread:
    p50, p90, p95, p99 = (sample.estimate(q) for q in (0.5, 0.9, 0.95, 0.99))
    return Spread(metric, sample.n, sample.failed, sample.mean, p50, p90, p95, p99, sample.most, sample.curve)


def _verdict(reasons: Sequence[Reason], clauses: Sequence[ClauseHeld]) -> Verdict:
    if reasons:
        return "invalid"
    found = {clause.held for clause in clauses}
    return "fails" if "fails" in found else "unclear" if "unclear" in found else "meets" if found else "measured"


def _rates(results: Results, inside: Bools, window: Window, kept: Bools | None, stretch: Stretch) -> Rates:
    """Per second of the window; nan where it has no length."""
    seconds = window.seconds if window.seconds > 0 else np.nan
    failed = results.failed
    well = inside & ~failed

    def happened(at_s: Floats) -> float:
        return float(np.count_nonzero((at_s >= window.begin_s) & (at_s <= window.end_s)) / seconds)

    return Rates(
        asked_per_s=window.requests / seconds,
        sent_per_s=happened(results.floats("sent_s")) if "sent_s" in results else np.nan,
        ended_per_s=happened(results.floats("done_s")[~failed]),
        goodput_per_s=Estimate() if kept is None else _goodput(_counts(stretch[kept]), seconds),
        input_tokens_per_s=float(results.floats("input_tokens")[well].sum() / seconds),
        output_tokens_per_s=float(np.nansum(reply_tokens(results)[well]) / seconds),
    )


def _goodput(kept: Floats, seconds: float) -> Estimate:
    """Requests that keep the SLO, a second: each stretch has its share of the seconds, whatever happens in it."""
    sums = np.column_stack((kept, np.full(kept.size, seconds / kept.size)))
    return interval(sums, lambda total: total[..., 0] / total[..., 1], int(kept.sum()))
