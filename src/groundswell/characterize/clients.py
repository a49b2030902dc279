"""Who sends: how skewed clients are, how bursty, how stable, and what they do to the whole."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.characterize._client_cv import burstiness
from groundswell.characterize._client_drift import Lengths, drift, drift_sums, mix_explains, own_drift, whole_drift
from groundswell.characterize._client_ranks import (
    Ranked,
    explained,
    gini,
    needed,
    skew,
    summed,
    top_share,
    weighted_cdf,
)
from groundswell.characterize._client_windows import ClientWindows
from groundswell.characterize.figures import Client, ClientFigures, Series
from groundswell.characterize.setting import Setting
from groundswell.stats.batches import MOST
from groundswell.table import Workload

Floats = NDArray[np.float64]

FINEST = 16
"""A short trace is cut into windows down to this part of the setting's."""
_ENOUGH_WINDOWS = 32
_ENOUGH_PERIODS = 12
_POINTS = 500
_TOP = 4


@dataclass(frozen=True, eq=False)
class Fold:
    """What each client sent in each window; ``a + b`` is that of a's blocks and then b's.

    Windows are the setting's or, while there are at most 32 of them, a half to a sixteenth of that: an hour can be
    characterized, too. Where clients are so many that memory asks for it, windows are wider than the setting's;
    ``ClientFigures.window_s`` says what they came to be.
    """

    table: ClientWindows = field(default_factory=ClientWindows)
    window_s: float = 0.0

    @classmethod
    def of(cls, block: Workload, setting: Setting) -> Fold:
        """What one block says."""
        if not len(block):
            return cls()
        width_s = setting.window_s / FINEST
        begin_s, end_s = block.arrival_s[0], block.arrival_s[-1]
        while width_s < setting.window_s and end_s // width_s - begin_s // width_s >= _ENOUGH_WINDOWS:
            width_s *= 2.0
        return cls(ClientWindows.of(block, width_s), setting.window_s)._settled()

    def __add__(self, later: Fold) -> Fold:
        return Fold(self.table + later.table, self.window_s or later.window_s)._settled()

    def _settled(self) -> Fold:
        table = self.table
        while table.width_s < self.window_s and table.windows > _ENOUGH_WINDOWS:
            table = table.widened(2)
        return self if table is self.table else Fold(table, self.window_s)

    def finish(self, setting: Setting, sample: pl.DataFrame) -> ClientFigures | None:
        """The figures, None of no requests. All rest on every request; ``sample`` is not needed.

        A client's CV is the mean over its windows, weighted by their gaps, of CVs that are 1 on average for a Poisson
        client however few its gaps; a client with fewer than 50 gaps within windows has none, and neither ``cv_cdf``
        nor ``bursty_share`` counts its requests (``cv_known`` is the share of those that count). Drifts are over
        periods of ``period_s``: the setting's, or a twelfth of a shorter trace.
        """
        if not self.table.parts:
            return None
        ranked = Ranked.of(self.table)
        periods = Ranked.of(self.table.widened(_windows_a_period(ranked, setting)))
        pairs, requests = ranked.pairs, ranked.requests
        bursty, moves = burstiness(ranked), whole_drift(periods)
        span_s = ranked.end_s - ranked.begin_s
        whole = requests.sum()
        with_cv = np.isfinite(bursty.cv)
        input_mean = ranked.sum_by_client(pairs.input_tokens) / requests
        output_mean = ranked.sum_by_client(pairs.output_tokens) / requests
        rate = requests / span_s if span_s > 0 else np.full(ranked.count, np.nan)
        needs = {percent: needed(ranked, percent) for percent in (50, 90, 99)}
        return ClientFigures(
            count=ranked.count,
            what="client",
            top_share={k: top_share(ranked, k) for k in (1, 4, 10, 100) if k <= ranked.count},
            gini=gini(ranked),
            needed=needs,
            skew=skew(ranked),
            rate_cdf=weighted_cdf(rate, requests),
            cv_cdf=weighted_cdf(bursty.cv, requests),
            input_cdf=weighted_cdf(input_mean, requests),
            output_cdf=weighted_cdf(output_mean, requests),
            bursty_share=bursty.share,
            top=_busiest(ranked, periods, rate, bursty.cv),
            explained={k: explained(ranked, k) for k in (1, 5, 10) if k <= ranked.count},
            own_drift=own_drift(periods, needs[90]),
            whole_drift=moves,
            mix_explains=mix_explains(periods, moves),
            window_s=ranked.width_s,
            period_s=periods.width_s,
            window_cv_cdf=bursty.windows,
            cv_known=float(requests[with_cv].sum() / whole),
        )


def _windows_a_period(ranked: Ranked, setting: Setting) -> int:
    """How many windows make a period: the setting's, but at least twelve periods if there are so many windows, and no
    more than intervals can rest on."""
    period_s = min(setting.period_s, (ranked.end_s - ranked.begin_s) / _ENOUGH_PERIODS)
    return max(round(period_s / ranked.width_s), -(-ranked.windows // (MOST - 1)), 1)


def _busiest(ranked: Ranked, periods: Ranked, rate: Floats, cv: Floats) -> tuple[Client, ...]:
    """The four busiest clients, each alone."""
    count = min(_TOP, ranked.count)
    whole = ranked.requests.sum()
    drifts = [
        drift(drift_sums(Lengths.of_clients(periods, count, tokens, tokens2)).sum(axis=0))
        for tokens, tokens2 in (
            (periods.pairs.input_tokens, periods.pairs.input2),
            (periods.pairs.output_tokens, periods.pairs.output2),
        )
    ]
    return tuple(
        Client(
            name=ranked.names[k],
            requests=round(ranked.requests[k]),
            share=float(ranked.requests[k] / whole),
            rate_per_s=float(rate[k]),
            cv=float(cv[k]),
            mean_input=float(ranked.pairs.input_tokens[mine].sum() / ranked.requests[k]),
            mean_output=float(ranked.pairs.output_tokens[mine].sum() / ranked.requests[k]),
            rate=series.rate,
            input=series.input,
            output=series.output,
            input_drift=float(drifts[0][k]),
            output_drift=float(drifts[1][k]),
        )
        for k in range(count)
        for mine in [np.flatnonzero(ranked.pairs.client == k)]
        for series in [_Course.of(ranked, mine)]
    )


@dataclass(frozen=True, eq=False)
class _Course:
    """One client over time, in at most 500 points of equally many windows."""

    rate: Series
    input: Series
    output: Series

    @classmethod
    def of(cls, ranked: Ranked, mine: NDArray[np.int64]) -> _Course:
        """Of the client whose pairs are ``mine``. Its rate is 0 where it sent nothing; points at the edges of which the
        trace covers less than half have no rate."""
        group = -(-ranked.windows // _POINTS)
        place, pairs = ranked.place[mine] // group, ranked.pairs[mine]
        covered_s = ranked.covered_s(group)
        width_s = group * ranked.width_s
        start_s = ranked.pairs.window[0] * ranked.width_s + np.arange(covered_s.size) * width_s
        n, inputs, outputs = (
            summed(place, values, covered_s.size)
            for values in (pairs.requests, pairs.input_tokens, pairs.output_tokens)
        )
        whole = (covered_s >= 0.5 * covered_s.max()) & (covered_s > 0)
        seen = n > 0
        return cls(
            Series(width_s, start_s[whole], n[whole] / covered_s[whole], n[whole]),
            Series(width_s, start_s[seen], inputs[seen] / n[seen], n[seen]),
            Series(width_s, start_s[seen], outputs[seen] / n[seen], n[seen]),
        )
