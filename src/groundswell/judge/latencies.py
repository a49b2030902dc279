"""The latencies of requests as columns: nan where a request has none, infinite where it failed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundswell.results import Results

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NEVER_SENT = ("unsent", "worker lost")
"""Errors that are ours: the server has not seen such a request."""


def latencies_of(results: Results) -> dict[str, Floats]:
    """The time, in seconds, of each metric that the results can tell, a value a request.

    Time to first token, to the answer and to the end count from when a request was due, not from when it was sent: a
    client that waits for a slow server does not hide its slowness (Tene, "How NOT to Measure Latency", 2013). A reply
    that ended well without a token had its first token at its end.
    """
    due_s, failed = results.floats("due_s"), results.failed
    first_s, done_s = results.floats("first_token_s"), results.floats("done_s")
    found = {"ttft": _late(np.where(np.isnan(first_s), done_s, first_s) - due_s, failed)}
    if "first_answer_s" in results:
        answer_s = results.floats("first_answer_s")
        if np.any(answer_s > first_s):  # nobody reasons otherwise
            found["ttfa"] = _late(answer_s - due_s, failed)
    tokens = reply_tokens(results)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_token = np.where(tokens > 1, (done_s - first_s) / (tokens - 1), np.nan)
    # A reply of one token has no time per further token, whether it comes or not.
    found["tpot"] = _late(per_token, failed & (results.floats("asked_tokens") > 1))
    found["tpot"][failed & ~np.isposinf(found["tpot"])] = np.nan
    found["e2e"] = _late(done_s - due_s, failed)
    if "sent_s" in results:
        found["lag"] = _late(results.floats("sent_s") - due_s, never_sent(results))
    return found


def reply_tokens(results: Results) -> Floats:
    """How long each reply is: as the server counts it, or the number of its events where it does not; nan for
    neither."""
    told = results.floats("output_tokens")
    return np.where(np.isnan(told), results.floats("events"), told)


def never_sent(results: Results) -> Bools:
    """Whether each request failed before the server could see it, for a reason of ours."""
    return results.frame["error"].is_in(NEVER_SENT).fill_null(False).to_numpy()


def _late(latency_s: Floats, failed: Bools) -> Floats:
    latency_s[failed] = np.inf
    return latency_s
