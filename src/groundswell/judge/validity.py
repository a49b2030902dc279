"""Whether a run's figures are about the server: not if the client was late itself, or sent less than was due."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from groundswell.judge.figures import Reason, Window
from groundswell.judge.latencies import never_sent
from groundswell.judge.quantiles import quantile
from groundswell.results import Results

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LAG_SHARE = 0.05
"""The 99th percentile of the lag may be such a share of the median time to first token."""


def invalid(results: Results, latencies: Mapping[str, Floats], inside: Bools, window: Window) -> tuple[Reason, ...]:
    """Why the run says nothing of the server; nothing where it is valid."""
    return (*_unsent(results, window), *_late(results, latencies, inside))


def _unsent(results: Results, window: Window) -> tuple[Reason, ...]:
    mine = never_sent(results)
    if results.run.get("interrupted"):  # what was waiting when it was stopped is no fault
        mine = mine & (results.floats("due_s") <= window.end_s)
    lost = int((results.frame["error"] == "worker lost").fill_null(False).to_numpy()[mine].sum())
    unsent = int(mine.sum()) - lost
    reasons = []
    if unsent:
        reasons.append(
            Reason(
                f"{_requests(unsent)} of {len(results):,} due but not sent: the server had less to do than the "
                "workload asks",
                "give the run more workers or a lower rate, or leave out the limit of open requests",
            )
        )
    if lost:
        reasons.append(
            Reason(
                f"{_requests(lost)} of {len(results):,} lost with a worker that died",
                "see what ended it (out of memory?) and run again; an interrupted run can be resumed",
            )
        )
    return tuple(reasons)


def _late(results: Results, latencies: Mapping[str, Floats], inside: Bools) -> tuple[Reason, ...]:
    if "lag" not in latencies:
        return ()
    lags_s = latencies["lag"]
    own = inside & np.isfinite(lags_s)
    if "held" in results:  # these waited because they were told to
        own &= ~results.frame["held"].fill_null(False).to_numpy()
    lag_s = quantile(np.sort(lags_s[own]), 0.99)
    ttft = latencies["ttft"][inside]
    ttft_s = quantile(np.sort(ttft[~np.isnan(ttft)]), 0.5)
    if not lag_s > LAG_SHARE * ttft_s:
        return ()
    return (
        Reason(
            f"requests left late: the p99 of the lag is {lag_s * 1e3:.3g} ms, more than {LAG_SHARE:.0%} of the median "
            f"time to first token ({ttft_s * 1e3:.3g} ms)",
            "give the run more workers, a machine of its own or a lower rate; 'groundswell replay --self-test' says "
            "which rate this machine keeps",
        ),
    )


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"
