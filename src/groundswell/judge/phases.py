"""What the time to first token was spent on, as far as a run tells: a simulated one does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from groundswell.results import Results

Floats = NDArray[np.float64]

_LEAST_S = 1e-9
"""Less is the rounding of sums."""


def phases_of(results: Results) -> Iterator[tuple[str, Floats]]:
    """The phases that a request goes through one after the other until its first token, and how long each took, a value
    a request: the stages before an engine, the time until it came to one where there was any (the router had none that
    was up, or the one that it was on failed), the queue there, and the reading of its prompt.

    Only requests that ended well have them, and, in a run with stages, those that had something to do there; others are
    nan. The phases of a request add up to its time to first token. None, if the results do not tell.
    """
    if "ready_s" not in results or "admitted_s" not in results:
        return
    told = ~results.failed
    ends_s = list(_stages(results))
    due_s, at_s = results.floats("due_s"), results.floats("due_s")
    if ends_s:
        told &= ends_s[-1][1] - due_s > _LEAST_S
    ready_s, admitted_s = results.floats("ready_s"), results.floats("admitted_s")
    ends_s += [("on the way", ready_s), ("queue", admitted_s), ("prefill", results.floats("first_token_s"))]
    for name, end_s in ends_s:
        took_s = np.where(told, end_s - at_s, np.nan)
        if name != "on the way" or np.any(took_s > _LEAST_S):
            yield name, took_s
        at_s = end_s


def _stages(results: Results) -> Iterator[tuple[str, Floats]]:
    """When each request was through each stage, with what the run calls it."""
    if "stage_s" not in results:
        return
    column = results.frame["stage_s"]
    given = results.run.get("stages")
    names = [str(name) for name in given] if isinstance(given, list) else []
    for number in range(int(column.list.len().max() or 0)):  # type: ignore[arg-type]
        name = names[number] if number < len(names) else f"stage {number + 1}"
        yield name, column.list.get(number, null_on_oob=True).to_numpy().astype(np.float64)
