"""The time between neighbouring events of replies, from what was counted while the run went on."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.gap_buckets import gap_buckets
from groundswell.judge.figures import Window
from groundswell.judge.quantiles import Sample
from groundswell.results import Gaps, Results

Floats = NDArray[np.float64]

_STRETCHES = 128
_ROWS = 2**14  # whose events are looked at together

NEAR_S = (0.0395, 0.0445)
"""Where delays pile up if the kernel waits for more to come before it acknowledges (Linux: at least 40 ms)."""
_AROUND_S = (0.030, 0.055)


def gaps_of(results: Results) -> Gaps | None:
    """The gaps that were counted, or those between the events' times if these were kept, or None."""
    counted = results.gaps
    if counted is not None or "event_s" not in results:
        return counted
    width_s = max(float(results.floats("done_s")[~np.isnan(results.floats("done_s"))].max(initial=0.0)), 1e-6)
    width_s *= (1.0 + 1e-9) / _STRETCHES
    buckets = np.zeros((_STRETCHES, 0), np.int64)
    for begin in range(0, len(results), _ROWS):
        events = results.frame["event_s"].slice(begin, _ROWS).drop_nulls()
        flat = events.list.explode(empty_as_null=False).to_numpy()
        first = np.zeros(flat.size, np.bool_)
        lengths = events.list.len().to_numpy()
        first[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
        gap_s, at_s = np.diff(flat)[~first[1:]], flat[1:][~first[1:]]
        buckets = _added(buckets, np.clip((at_s / width_s).astype(np.int64), 0, _STRETCHES - 1), gap_buckets(gap_s))
    bucket = np.flatnonzero(buckets.any(axis=0))
    return Gaps(0.0, width_s, bucket, buckets[:, bucket].astype(np.float64))


def _added(counts: NDArray[np.int64], stretch: NDArray[np.int64], bucket: NDArray[np.int64]) -> NDArray[np.int64]:
    size = max(counts.shape[1], int(bucket.max(initial=-1)) + 1)
    more = np.bincount(stretch * size + bucket, minlength=_STRETCHES * size).reshape(_STRETCHES, size)
    more[:, : counts.shape[1]] += counts
    return more


def gap_sample(gaps: Gaps, window: Window) -> Sample:
    """The gaps in the stretches of time whose middle is in the window, each as long as the middle of its bucket."""
    middle_s = gaps.first_s + (np.arange(len(gaps.count)) + 0.5) * gaps.width_s
    inside = np.flatnonzero((middle_s >= window.begin_s) & (middle_s <= window.end_s))
    stretch, place = np.nonzero(gaps.count[inside])
    return Sample.of(gaps.gap_s[place], stretch, max(inside.size, 1), gaps.count[inside][stretch, place])


def piled_up(values_s: Floats, weight: Floats | None = None, *, most: bool = False) -> float:
    """The share of the delays that is near 40 ms, if they pile up there; else 0.

    A pile is 5 % of all or more, is five times as dense as what is around it, and, unless ``most`` of the delays may
    be in it, is not where the median is: a server may well take 40 ms a token.
    """
    there = np.isfinite(values_s)
    values_s = values_s[there]
    weight = np.ones(values_s.size) if weight is None else weight[there]
    if not weight.sum() > 0:
        return 0.0

    def mass(low: float, high: float) -> float:
        return float(weight[(values_s >= low) & (values_s < high)].sum() / weight.sum())

    near, around = mass(*NEAR_S), mass(*_AROUND_S)
    room = (_AROUND_S[1] - _AROUND_S[0]) / (NEAR_S[1] - NEAR_S[0]) - 1.0
    median_elsewhere = most or mass(0.0, _AROUND_S[0]) > 0.5 or mass(_AROUND_S[1], np.inf) > 0.5
    return near if near >= 0.05 and near * room >= 5.0 * (around - near) and median_elsewhere else 0.0


def pile_of(results: Results, gaps: Gaps | None) -> float:
    """:func:`piled_up` of all gaps, or, if they are not known, of each reply's longest."""
    if gaps is not None:
        return piled_up(gaps.gap_s, gaps.count.sum(axis=0))
    return piled_up(results.frame["longest_gap_s"].cast(pl.Float64).to_numpy()) if "longest_gap_s" in results else 0.0


def pile_of_begins(results: Results) -> float:
    """:func:`piled_up` of the times from a reply's head to its first token.

    A server that has sent the head holds a small first event back until the head is acknowledged (Nagle's algorithm,
    RFC 896), unless it is told not to. Then all that are ready within 40 ms come after 40 ms.
    """
    if "head_s" not in results:
        return 0.0
    return piled_up(results.floats("first_token_s") - results.floats("head_s"), most=True)
