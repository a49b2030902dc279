"""A run in equal stretches of time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from groundswell.judge.figures import OverTime
from groundswell.judge.latencies import reply_tokens
from groundswell.judge.parts import means
from groundswell.judge.quantiles import quantiles_by_group
from groundswell.results import Results

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST = 60


def over_time(results: Results, latencies: Mapping[str, Floats], kept: Bools | None, span_s: float) -> OverTime:
    """The whole run, warm-up and cool-down included, up to the last request that was due or the span's end.

    What happened later than that counts for the last stretch, but not as open, nor as tokens.
    """
    due_s, failed = results.floats("due_s"), results.failed
    end_s = max(span_s, float(due_s.max()))
    size = MOST if end_s > 0 else 1
    width_s = end_s / size if end_s > 0 else 1.0
    edge_s = np.linspace(0.0, size * width_s, size + 1)

    def stretch(at_s: Floats) -> NDArray[np.uint8]:
        return np.clip(at_s / width_s, 0, size - 1).astype(np.uint8)

    def happened(at_s: Floats) -> Ints:
        return np.bincount(stretch(at_s[~np.isnan(at_s)]), minlength=size)

    group = stretch(due_s)
    none = (np.full(size, np.nan), np.full(size, np.nan))
    shown = {
        name: quantiles_by_group(latencies[name], group, size, (0.5, 0.99)) if name in latencies else none
        for name in ("ttft", "tpot", "e2e", "lag")
    }
    sent_s, done_s = results.floats("sent_s"), results.floats("done_s")
    return OverTime(
        at_s=edge_s[:-1],
        width_s=width_s,
        due=np.bincount(group, minlength=size),
        sent=happened(sent_s),
        ended=happened(done_s[~failed]),
        failed=np.bincount(group[failed], minlength=size),
        open=np.diff(_opened(np.where(np.isnan(sent_s), due_s, sent_s), done_s, edge_s)) / width_s,
        output_tokens_per_s=np.diff(_replied(results, edge_s)) / width_s,
        **{f"{name}_{p}": shown[name][j] for name in ("ttft", "tpot", "e2e") for j, p in enumerate(("p50", "p99"))},
        lag_p99=shown["lag"][1],
        attainment=np.full(size, np.nan) if kept is None else means(kept.astype(np.float64), group, size),
    )


def _opened(begun_s: Floats, done_s: Floats, at_s: Floats) -> Floats:
    """At each time, for how many seconds requests have been open, all together."""
    whole = ~np.isnan(done_s)
    return _passed(begun_s[whole], done_s[whole], np.ones(int(whole.sum())), at_s)


def _replied(results: Results, at_s: Floats) -> Floats:
    """At each time, how many tokens of replies that ended well have come."""
    first_s, done_s = results.floats("first_token_s"), results.floats("done_s")
    replied = ~np.isnan(done_s) & ~np.isnan(first_s) & ~results.failed
    return _streamed(first_s[replied], done_s[replied], np.nan_to_num(reply_tokens(results)[replied]), at_s)


def _passed(from_s: Floats, to_s: Floats, weight: Floats, at_s: Floats) -> Floats:
    """At each time, the sum over all stretches of weight times how much of the stretch has passed, in seconds."""
    return _since(from_s, weight, at_s) - _since(to_s, weight, at_s)


def _since(begin_s: Floats, weight: Floats, at_s: Floats) -> Floats:
    return np.asarray(_begun(begin_s, weight, at_s) * at_s - _begun(begin_s, weight * begin_s, at_s))


def _begun(begin_s: Floats, weight: Floats, at_s: Floats) -> Floats:
    """At each time, which rise, the weight of all that began before it."""
    upto = np.searchsorted(at_s, begin_s, side="right")
    return np.asarray(np.bincount(upto, weight, at_s.size + 1).cumsum()[:-1], np.float64)


def _streamed(first_s: Floats, done_s: Floats, tokens: Floats, at_s: Floats) -> Floats:
    """At each time, how many tokens have come, if those of a reply come evenly from its first to its end."""
    spread = done_s - first_s > 1e-6
    pace = tokens[spread] / (done_s[spread] - first_s[spread])
    at_once = _begun(done_s[~spread], tokens[~spread], at_s)
    return _passed(first_s[spread], done_s[spread], pace, at_s) + at_once
