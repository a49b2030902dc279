"""The latencies of requests as columns: nan where a request has none, infinite where it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from groundswell.results import Results

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NEVER_SENT = ("unsent", "worker lost")
"""Errors that are ours: the server has not seen such a request."""


@dataclass(frozen=True, eq=False)
class Columns(Mapping[str, Floats]):
    """Columns under their names, each made anew when it is asked for: to make one takes milliseconds, and to keep all
    of them as much memory as the results do."""

    making: Mapping[str, Callable[[], Floats]]

    def __getitem__(self, name: str) -> Floats:
        return self.making[name]()

    def __contains__(self, name: object) -> bool:
        return name in self.making

    def __iter__(self) -> Iterator[str]:
        return iter(self.making)

    def __len__(self) -> int:
        return len(self.making)


def latencies_of(results: Results) -> Columns:
    """The time, in seconds, of each metric that the results can tell, a value a request.

    Time to first token, to the answer and to the end count from when a request was due, not from when it was sent: a
    client that waits for a slow server does not hide its slowness (Tene, "How NOT to Measure Latency", 2013). A reply
    that ended well without a token had its first token at its end.
    """
    making: dict[str, Callable[[Results], Floats]] = {"ttft": _ttft_s}
    if "first_answer_s" in results and np.any(results.floats("first_answer_s") > results.floats("first_token_s")):
        making["ttfa"] = _ttfa_s  # nobody reasons otherwise
    making |= {"tpot": _tpot_s, "e2e": _e2e_s}
    if "sent_s" in results:
        making["lag"] = _lag_s
    return Columns({name: partial(made, results) for name, made in making.items()})


def bounded_of(results: Results) -> Columns:
    """What each request itself is held against in a clause on a metric: its latency, and of the gaps between its events
    the longest. Where nobody reasons, the answer begins with the first token."""
    making = dict(latencies_of(results).making)
    if "first_answer_s" in results:
        making.setdefault("ttfa", making["ttft"])
    if "longest_gap_s" in results:
        making["itl"] = partial(results.floats, "longest_gap_s")
    return Columns(making)


def reply_tokens(results: Results) -> Floats:
    """How long each reply is: as the server counts it, or the number of its events where it does not; nan for
    neither."""
    told = results.floats("output_tokens")
    return np.where(np.isnan(told), results.floats("events"), told)


def never_sent(results: Results) -> Bools:
    """Whether each request failed before the server could see it, for a reason of ours."""
    return results.frame["error"].is_in(NEVER_SENT).fill_null(False).to_numpy()


def _ttft_s(results: Results) -> Floats:
    first_s = results.floats("first_token_s")
    first_s = np.where(np.isnan(first_s), results.floats("done_s"), first_s)
    return _late(first_s - results.floats("due_s"), results.failed)


def _ttfa_s(results: Results) -> Floats:
    return _late(results.floats("first_answer_s") - results.floats("due_s"), results.failed)


def _tpot_s(results: Results) -> Floats:
    tokens, failed = reply_tokens(results), results.failed
    taken_s = results.floats("done_s") - results.floats("first_token_s")
    with np.errstate(divide="ignore", invalid="ignore"):
        per_token = np.where(tokens > 1, taken_s / (tokens - 1), np.nan)
    # A reply of one token has no time per further token, whether it comes or not.
    per_token[failed] = np.where(results.floats("asked_tokens")[failed] > 1, np.inf, np.nan)
    return per_token


def _e2e_s(results: Results) -> Floats:
    return _late(results.floats("done_s") - results.floats("due_s"), results.failed)


def _lag_s(results: Results) -> Floats:
    return _late(results.floats("sent_s") - results.floats("due_s"), never_sent(results))


def _late(latency_s: Floats, failed: Bools) -> Floats:
    latency_s[failed] = np.inf
    return latency_s
