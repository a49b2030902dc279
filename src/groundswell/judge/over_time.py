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
    due_s, sent_s, done_s = (results.floats(name) for name in ("due_s", "sent_s", "done_s"))
    first_s = results.floats("first_token_s")
    end_s = max(span_s, float(due_s.max()))
    size = MOST if end_s > 0 else 1
    width_s = end_s / size if end_s > 0 else 1.0
    edge_s = np.linspace(0.0, size * width_s, size + 1)

    def stretch(at_s: Floats) -> Ints:
        return np.clip((at_s / width_s).astype(np.int64), 0, size - 1)

    def happened(at_s: Floats) -> Ints:
        return np.bincount(stretch(at_s[~np.isnan(at_s)]), minlength=size)

    group = stretch(due_s)
    some = np.full(due_s.size, np.nan)
    shown = {
        name: quantiles_by_group(latencies.get(name, some), group, size, (0.5, 0.99))
        for name in ("ttft", "tpot", "e2e", "lag")
    }
    begun_s = np.where(np.isnan(sent_s), due_s, sent_s)
    whole = ~np.isnan(done_s)
    replied = whole & ~np.isnan(first_s) & ~results.failed
    tokens = np.nan_to_num(reply_tokens(results)[replied])
    return OverTime(
        at_s=edge_s[:-1],
        width_s=width_s,
        due=np.bincount(group, minlength=size),
        sent=happened(sent_s),
        ended=happened(np.where(results.failed, np.nan, done_s)),
        failed=np.bincount(group[results.failed], minlength=size),
        open=np.diff(_passed(begun_s[whole], done_s[whole], np.ones(int(whole.sum())), edge_s)) / width_s,
        output_tokens_per_s=np.diff(_streamed(first_s[replied], done_s[replied], tokens, edge_s)) / width_s,
        **{f"{name}_{p}": shown[name][j] for name in ("ttft", "tpot", "e2e") for j, p in enumerate(("p50", "p99"))},
        lag_p99=shown["lag"][1],
        attainment=np.full(size, np.nan) if kept is None else means(kept.astype(np.float64), group, size),
    )


def _passed(from_s: Floats, to_s: Floats, weight: Floats, at_s: Floats) -> Floats:
    """At each time, the sum over all stretches of weight times how much of the stretch has passed, in seconds."""
    return _since(from_s, weight, at_s) - _since(to_s, weight, at_s)


def _since(begin_s: Floats, weight: Floats, at_s: Floats) -> Floats:
    order = np.argsort(begin_s)
    begin_s, weight = begin_s[order], weight[order]
    number = np.searchsorted(begin_s, at_s)
    held = np.concatenate(([0.0], np.cumsum(weight)))[number]
    moment = np.concatenate(([0.0], np.cumsum(weight * begin_s)))[number]
    return np.asarray(held * at_s - moment)


def _streamed(first_s: Floats, done_s: Floats, tokens: Floats, at_s: Floats) -> Floats:
    """At each time, how many tokens have come, if those of a reply come evenly from its first to its end."""
    spread = done_s - first_s > 1e-6
    pace = tokens[spread] / (done_s[spread] - first_s[spread])
    at_once = np.sort(done_s[~spread])
    sums = np.concatenate(([0.0], np.cumsum(tokens[~spread][np.argsort(done_s[~spread])])))
    return _passed(first_s[spread], done_s[spread], pace, at_s) + sums[np.searchsorted(at_once, at_s)]
