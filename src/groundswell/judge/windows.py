"""Which part of a run is judged: not its beginning, while the server fills, nor its end, while it empties."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import DataError, UsageError
from groundswell.judge.figures import Window
from groundswell.judge.quantiles import quantile
from groundswell.results import Results
from groundswell.units import show_duration

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

QUANTILE = 0.95
"""A server is full when it has held requests for as long as this quantile of the latency, and empties as long."""
MOST = 0.1
"""Share of the run that warm-up and cool-down each take at most, where nobody says how long they are."""


def window_of(
    results: Results, e2e_s: Floats, warm_up_s: float | None, cool_down_s: float | None
) -> tuple[Window, Bools]:
    """The window, and whether each request is in it. What is not given follows the rule.

    Raises UsageError where the two leave nothing of the run, DataError where no request was due.
    """
    if not len(results):
        raise DataError("results: no request was due, so there is nothing to judge")
    due_s = results.floats("due_s")
    span_s = span_of(results)
    answered = np.sort(e2e_s[np.isfinite(e2e_s)])
    fill_s = quantile(answered, QUANTILE) if answered.size else 0.0
    ruled_s = min(fill_s, MOST * span_s)
    warm_s, cool_s = (ruled_s if given is None else given for given in (warm_up_s, cool_down_s))
    if warm_s + cool_s >= span_s > 0 or max(warm_s, cool_s) > span_s:
        raise UsageError(
            f"a warm-up of {show_duration(warm_s)} and a cool-down of {show_duration(cool_s)} leave nothing of a run "
            f"of {show_duration(span_s)}"
        )
    rule = _rule(warm_up_s is None, cool_down_s is None, fill_s, ruled_s)
    begin_s, end_s = warm_s, span_s - cool_s
    inside = (due_s >= begin_s) & (due_s <= end_s)
    if not inside.any():
        if warm_up_s is not None or cool_down_s is not None:
            raise UsageError(
                f"no request is due from {show_duration(begin_s)} to {show_duration(end_s)}: give another --warm-up or "
                "--cool-down"
            )
        begin_s, end_s, warm_s, cool_s = 0.0, max(float(due_s.max()), span_s), 0.0, 0.0
        inside = np.ones(due_s.size, np.bool_)
        rule = "all are judged, as none would be left by the rule for warm-up and cool-down"
    count = int(inside.sum())
    return Window(begin_s, end_s, span_s, warm_s, cool_s, rule, count, due_s.size - count), inside


def span_of(results: Results) -> float:
    """How long requests were due: what the run says, or up to the last; of an interrupted run up to the cut."""
    last_s = float(results.floats("due_s").max(initial=0.0))
    said = results.run.get("cut_s" if results.run.get("interrupted") else "span_s")
    return float(said) if isinstance(said, int | float) and 0 < said < np.inf else last_s


def _rule(warm_ruled: bool, cool_ruled: bool, fill_s: float, ruled_s: float) -> str:
    if not (warm_ruled or cool_ruled):
        return "warm-up and cool-down as given"
    which = "warm-up and cool-down" if warm_ruled and cool_ruled else "warm-up" if warm_ruled else "cool-down"
    given = "" if warm_ruled and cool_ruled else f"{'cool-down' if warm_ruled else 'warm-up'} as given, "
    why = "the p95 of end-to-end latency"
    if ruled_s < fill_s:
        why = f"a tenth of the run, as the p95 of end-to-end latency ({show_duration(fill_s)}) is longer"
    return f"{given}{which} by rule: {why}"
