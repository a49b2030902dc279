"""Runs made up for tests of the report: a queue that fills as the rate rises, errors, gaps and a server's metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from groundswell.gap_buckets import gap_buckets
from groundswell.results import Results

NASTY = "</script><script>alert(1)</script><b>&amp; \u2028'\"" + "w" * 5_000
CLIENTS = ("chat-web", "batch-labelling", "team-search/production", "key-7f3a", *(f"small-{i:02}" for i in range(26)))
KINDS = ("status", "reset", "timeout", "server")
WORDS = {
    "status": "429: too many requests; try again in 20 s",
    "reset": "Connection reset by peer",
    "timeout": "nothing came for 30 s",
    "server": "CUDA out of memory. Tried to allocate 2.00 GiB",
}
UNKNOWN_TO_A_SIMULATION = (
    "sent_s", "made_tokens", "cached_tokens", "events", "longest_gap_s", "status", "words", "retried", "held", "fresh",
)  # fmt: skip


def run(
    requests: int = 6_000,
    span_s: float = 600.0,
    *,
    seed: int = 1,
    slower: float = 1.0,
    failing: float = 0.003,
    clients: Sequence[str] = CLIENTS,
    words: str | None = None,
    lag_s: float = 0.0004,
    unsent: int = 0,
    bare: bool = False,
    **metadata: Any,
) -> Results:
    """``requests`` in ``span_s``, twice as dense in the middle, before one server that prefills one prompt at a time.

    ``slower`` multiplies its times; ``failing`` is the share of requests that fail, thrice that in the middle;
    ``words`` is what the server says of errors; ``bare`` leaves out all that a simulation would not know. ``metadata``
    is more of what was run.
    """
    random = np.random.default_rng(seed)
    due = _arrivals(requests, span_s, random)
    input_tokens = np.clip(random.lognormal(6.5, 1.1, requests), 8, 60_000).astype(np.int32)
    asked = np.clip(random.lognormal(5.0, 0.8, requests), 2, 4_000).astype(np.int32)
    sent = due + random.exponential(lag_s, requests)
    prefill = slower * (0.02 + 3e-5 * input_tokens) * 11 * span_s / requests
    tpot = slower * random.gamma(40, 0.02 / 40, requests) * (1 + 0.5 * np.sin(np.pi * due / span_s) ** 4)
    first = sent + _waits(sent, prefill) + prefill
    fails = random.random(requests) < failing * (1 + 2 * (np.abs(due / span_s - 0.5) < 0.15))
    kind = np.where(fails, random.choice(KINDS, requests, p=(0.6, 0.2, 0.1, 0.1)), "")
    kind[random.choice(requests, unsent, replace=False)] = "unsent"
    gone, late = kind == "unsent", kind != ""
    done = np.where(fails, sent + 0.1, first + tpot * (asked - 1))
    frame = pl.DataFrame(
        {
            "row": np.arange(requests),
            "client": _clients(requests, clients, random),
            "input_tokens": input_tokens,
            "asked_tokens": asked,
            "due_s": due,
            "sent_s": _null(sent, gone),
            "first_token_s": _null(first, late),
            "first_answer_s": _null(first, late),
            "done_s": _null(done, gone),
            "made_tokens": input_tokens + 9,
            "prompt_tokens": _null(input_tokens + 9, late).cast(pl.Int32),
            "output_tokens": _null(asked, late).cast(pl.Int32),
            "reason_tokens": _null(0 * asked, late).cast(pl.Int32),
            "cached_tokens": _null(input_tokens // 3, late).cast(pl.Int32),
            "events": _null(asked, late).cast(pl.Int32),
            "longest_gap_s": _null(3 * tpot, late).cast(pl.Float32),
            "status": pl.Series(np.where(kind == "status", 429, 200)).cast(pl.Int16),
            "error": pl.Series(kind).replace({"": None}),
            "words": pl.Series(kind).replace_strict({**WORDS, "": None, "unsent": None}, return_dtype=pl.String),
            "retried": np.zeros(requests, bool),
            "held": np.zeros(requests, bool),
            "fresh": np.zeros(requests, bool),
        }
    )
    if words is not None:
        frame = frame.with_columns(words=pl.when(pl.col("error").is_not_null()).then(pl.lit(words)))
    if bare:
        return Results(frame.drop(UNKNOWN_TO_A_SIMULATION), {}).checked()
    noted = {
        "run": _asked(requests, span_s, seed) | metadata,
        "gaps": _gaps(done, tpot, asked, late),
        "series": _metrics(sent, first, done, input_tokens, asked, late),
    }
    return Results(frame, noted).checked()


def _arrivals(requests: int, span_s: float, random: np.random.Generator) -> Any:
    """Of a rate of 1 + sin²: twice as high in the middle as at the ends."""
    place = np.linspace(0, span_s, 2_001)
    rate = 1 + np.sin(np.pi * place / span_s) ** 2
    cumulative = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
    return np.interp(np.sort(random.uniform(0, cumulative[-1], requests)), cumulative, place)


def _waits(at: Any, service: Any) -> Any:
    """How long each waits for those before it (Lindley's recursion, as a running minimum)."""
    steps = np.concatenate([[0.0], np.cumsum(service[:-1] - np.diff(at))])
    return steps - np.minimum.accumulate(steps)


def _clients(requests: int, clients: Sequence[str], random: np.random.Generator) -> pl.Series:
    weight = 1.0 / np.arange(1, len(clients) + 1)
    code = random.choice(len(clients), requests, p=weight / weight.sum())
    return pl.Series(np.array(clients, object)[code], dtype=pl.Enum(list(clients)))


def _null(values: Any, missing: Any) -> pl.Series:
    return pl.Series(np.where(missing, np.nan, values)).fill_nan(None)


def _asked(requests: int, span_s: float, seed: int) -> dict[str, Any]:
    return {
        "target": "openai_chat", "url": "http://127.0.0.1:8000/v1", "model": "Qwen/Qwen2.5-7B-Instruct", "seed": seed,
        "started_unix_s": 1_795_000_000.0, "span_s": span_s, "workers": 2, "interrupted": False, "remaining": 0,
        "cut_s": None, "digest": "8d2c0f6e", "requests": requests,
    }  # fmt: skip


def _gaps(done: Any, tpot: Any, asked: Any, late: Any) -> dict[str, Any]:
    """Every request's gaps are its own TPOT, in stretches of a 60th of the run."""
    width = max(float(done.max()) / 60, 1.0)
    stretches = []
    for begin in np.arange(0, float(done.max()), width):
        here = ~late & (done >= begin) & (done < begin + width)
        bucket, inverse = np.unique(gap_buckets(tpot[here]), return_inverse=True)
        count = np.bincount(inverse, weights=asked[here] - 1, minlength=bucket.size)
        stretches.append([[int(b), int(c)] for b, c in zip(bucket, count, strict=True)])
    return {"width_s": width, "first": 0, "stretches": stretches}


def _metrics(sent: Any, first: Any, done: Any, input_tokens: Any, asked: Any, late: Any) -> dict[str, Any]:
    """What a server would have said of itself each second."""
    at = np.arange(0.0, done.max(), 1.0)

    def before(times: Any) -> Any:
        return np.searchsorted(np.sort(times[~late]), at)

    def total(tokens: Any, times: Any) -> Any:
        return np.concatenate([[0], np.cumsum(tokens[~late][np.argsort(times[~late])])])[before(times)]

    waiting, running = before(sent) - before(first), before(first) - before(done)
    kv = np.minimum(running / max(running.max(initial=0), 1) * 1.05, 1.0)
    prompts = total(input_tokens, first)
    return {
        "at_s": at.tolist(), "running": running.tolist(), "waiting": waiting.tolist(), "kv_used": kv.tolist(),
        "preemptions": np.cumsum(kv > 0.97).tolist(), "prompt_tokens": prompts.tolist(),
        "output_tokens": total(asked, done).tolist(), "prefix_queries": prompts.tolist(),
        "prefix_hits": (prompts // 3).tolist(),
    }  # fmt: skip
