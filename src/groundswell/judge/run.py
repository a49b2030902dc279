"""Judging a run: what its latencies were and how sure that is, whether an SLO held, and whether the run is valid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from groundswell.judge.clauses import held, keeps, keeps_all
from groundswell.judge.counts import errors_of, server_totals, tokens_of
from groundswell.judge.figures import ClauseHeld, Judgement, Rates, Reason, Spread, Verdict, Window
from groundswell.judge.gaps import gap_sample, gaps_of, pile_of, pile_of_begins
from groundswell.judge.latencies import latencies_of, reply_tokens
from groundswell.judge.notes import notes_of
from groundswell.judge.over_time import over_time
from groundswell.judge.parts import by_client, by_input
from groundswell.judge.quantiles import STRETCHES, Sample, share
from groundswell.judge.slo import METRICS, SLO
from groundswell.judge.validity import invalid
from groundswell.judge.windows import window_of
from groundswell.results import Results
from groundswell.stats.batches import interval
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


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
    gaps = gaps_of(results)
    stretch = _stretches(results.floats("due_s")[inside], window)
    samples = {name: Sample.of(values[inside], stretch) for name, values in latencies.items()}
    if gaps is not None:
        samples["itl"] = gap_sample(gaps, window)
    own = latencies | ({"itl": results.floats("longest_gap_s")} if "longest_gap_s" in results else {})
    if "first_answer_s" in results:  # where nobody reasons, the answer begins with the first token
        samples.setdefault("ttfa", samples["ttft"])
        own.setdefault("ttfa", own["ttft"])
    kept = None if slo is None else keeps_all(slo, own, results.failed)
    clauses = tuple(
        held(
            clause,
            samples.get(clause.metric),
            keeps(clause, own.get(clause.metric), results.failed)[inside],
            stretch,
            STRETCHES,
        )
        for clause in (slo.clauses if slo else ())
    )
    reasons = invalid(results, latencies, inside, window)
    tokens, server = tokens_of(results), server_totals(results)
    part = Results(results.frame.filter(inside))
    own_part = {name: values[inside] for name, values in latencies.items()}
    kept_part = None if kept is None else kept[inside]
    shown = [name for name in METRICS if name in latencies or name == "itl"]
    return Judgement(
        verdict=_verdict(reasons, clauses),
        invalid=reasons,
        notes=tuple(notes_of(results, window, tokens, server, (pile_of(results, gaps), pile_of_begins(results)))),
        run=results.run,
        interrupted=bool(results.run.get("interrupted")),
        requests=len(results),
        failed=int(results.failed.sum()),
        window=window,
        rates=_rates(results, part, window, kept_part, stretch),
        slo=None if slo is None else str(slo),
        clauses=clauses,
        attainment=Estimate() if kept_part is None else share(_counts(stretch[kept_part]), _counts(stretch)),
        latencies={name: _spread(name, samples[name]) for name in shown if name in samples and samples[name].n},
        over_time=over_time(results, latencies, kept, window.span_s),
        clients=by_client(part, own_part, kept_part),
        input_lengths=by_input(part, own_part, kept_part),
        errors=errors_of(results),
        tokens=tokens,
        server=server,
    )


def _stretches(due_s: Floats, window: Window) -> NDArray[np.int64]:
    """In which of the window's stretches each request was due; all in one, where the window has no length."""
    width_s = window.seconds / STRETCHES
    if not width_s > 0:
        return np.zeros(due_s.size, np.int64)
    return np.minimum(((due_s - window.begin_s) / width_s).astype(np.int64), STRETCHES - 1)


def _counts(stretch: NDArray[np.int64]) -> Floats:
    return np.bincount(stretch, minlength=STRETCHES).astype(np.float64)


def _spread(metric: str, sample: Sample) -> Spread:
    p50, p90, p95, p99 = (sample.estimate(q) for q in (0.5, 0.9, 0.95, 0.99))
    return Spread(metric, sample.n, sample.failed, sample.mean, p50, p90, p95, p99, sample.most, sample.curve)


def _verdict(reasons: Sequence[Reason], clauses: Sequence[ClauseHeld]) -> Verdict:
    if reasons:
        return "invalid"
    found = {clause.held for clause in clauses}
    return "fails" if "fails" in found else "unclear" if "unclear" in found else "meets" if found else "measured"


def _rates(results: Results, part: Results, window: Window, kept: Bools | None, stretch: NDArray[np.int64]) -> Rates:
    """Per second of the window; nan where it has no length."""
    seconds = window.seconds if window.seconds > 0 else np.nan

    def happened(at_s: Floats) -> float:
        return float(np.count_nonzero((at_s >= window.begin_s) & (at_s <= window.end_s)) / seconds)

    well = ~part.failed
    return Rates(
        asked_per_s=len(part) / seconds,
        sent_per_s=happened(results.floats("sent_s")) if "sent_s" in results else np.nan,
        ended_per_s=happened(results.floats("done_s")[~results.failed]),
        goodput_per_s=Estimate() if kept is None else _goodput(_counts(stretch[kept]), seconds),
        input_tokens_per_s=float(part.floats("input_tokens")[well].sum() / seconds),
        output_tokens_per_s=float(np.nansum(reply_tokens(part)[well]) / seconds),
    )


def _goodput(kept: Floats, seconds: float) -> Estimate:
    """Requests that keep the SLO, a second: each stretch has its share of the seconds, whatever happens in it."""
    sums = np.column_stack((kept, np.full(kept.size, seconds / kept.size)))
    return interval(sums, lambda total: total[..., 0] / total[..., 1], int(kept.sum()))
