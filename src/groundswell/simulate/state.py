"""The arrays that a simulation works on: requests, instances, and what becomes of them.

Kernels take these tuples of arrays, as there are no objects in compiled code. A request is a number, and so is an
instance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOBODY = -1

FCFS, SHORTEST, LONGEST, PRIORITY = 0, 1, 2, 3
"""Who is admitted next of those that wait: who came first, whose prompt and reply are shortest or longest, or whose
priority is lowest; who came first among equals."""

GAP_BUCKETS = 64 * 32
"""Of the histogram of gaps between tokens: 64 to a doubling from 2⁻²⁰ s on, as :mod:`groundswell.results` has them."""


class Requests(NamedTuple):
    """What is asked, [N] each, and what becomes of it."""

    arrival_s: Floats
    prompt: Ints
    output: Ints
    priority: Ints
    blocks_from: Ints
    """Where each prompt's named blocks begin in :attr:`Cache.ids`, [N + 1]."""
    computed: Ints
    """Tokens whose keys and values are in memory."""
    made: Ints
    """Tokens of the reply so far."""
    held: Ints
    """Blocks of memory it holds."""
    named: Ints
    """How many of these, from the first on, are named, and so can be found by others."""
    next: Ints
    """The request behind it in its instance's queue."""
    first_s: Floats
    done_s: Floats
    latest_s: Floats
    """When its newest token came."""
    longest_gap_s: Floats
    preempted: Ints
    cached: Ints
    """Prompt tokens that were found in memory when it was first admitted."""


class Instances(NamedTuple):
    """The state of I engines, [I] each, and of those that run on them."""

    clock_s: Floats
    running: NDArray[np.int32]
    """[I, most running at a time], in order of admission."""
    active: Ints
    """How many run."""
    head: Ints
    tail: Ints
    waiting: Ints
    """The queue: its ends, and how many are in it."""
    free: Ints
    """Blocks that nobody holds and nothing is kept in."""
    blocks: Ints
    """All blocks."""
    waiting_tokens: Ints
    """Prompt tokens of those that wait."""
    busy_s: Floats
    steps: Ints
    preemptions: Ints


class Settings(NamedTuple):
    """How an engine schedules, and what a step costs (:mod:`groundswell.simulate.cost`)."""

    most_running: int
    most_tokens: int
    """Of a step, prompts' and replies' together."""
    block_tokens: int
    watermark: int
    """Blocks that an admission must leave free."""
    policy: int
    caching: bool
    c0_s: float
    token_s: float
    hinge_s: float
    hinge_tokens: float
    decode_s: float
    context_s: float
    prefill_s: float


class Tally(NamedTuple):
    """What is counted over all instances."""

    gaps: Ints
    """[stretches, buckets]: gaps between tokens, by when they ended."""
    stretch_s: Floats
    """[1]: how long a stretch is."""


def requests_of(
    arrival_s: Floats, prompt: Any, output: Any, priority: Any | None = None, blocks_from: Any | None = None
) -> Requests:
    """Requests that have not begun."""
    n = len(arrival_s)

    def ints(value: int = 0) -> Ints:
        return np.full(n, value, np.int64)

    def floats() -> Floats:
        return np.full(n, np.nan)

    return Requests(
        np.ascontiguousarray(arrival_s, np.float64),
        np.ascontiguousarray(prompt, np.int64),
        np.ascontiguousarray(output, np.int64),
        ints() if priority is None else np.ascontiguousarray(priority, np.int64),
        np.zeros(n + 1, np.int64) if blocks_from is None else np.ascontiguousarray(blocks_from, np.int64),
        ints(),
        ints(),
        ints(),
        ints(),
        ints(NOBODY),
        floats(),
        floats(),
        floats(),
        np.zeros(n),
        ints(),
        ints(),
    )


def instances_of(count: int, most_running: int, blocks: int | Ints) -> Instances:
    """Engines on which nothing runs."""

    def ints(value: int = 0) -> Ints:
        return np.full(count, value, np.int64)

    total = np.full(count, blocks, np.int64) if isinstance(blocks, int) else np.asarray(blocks, np.int64)
    return Instances(
        np.zeros(count),
        np.full((count, most_running), NOBODY, np.int32),
        ints(),
        ints(NOBODY),
        ints(NOBODY),
        ints(),
        total.copy(),
        total,
        ints(),
        np.zeros(count),
        ints(),
        ints(),
    )


def tally_of(span_s: float, stretches: int = 128) -> Tally:
    """Nothing counted yet, for a run that takes some ``span_s``; what comes later falls into the last stretch."""
    return Tally(np.zeros((stretches, GAP_BUCKETS), np.int64), np.array([max(span_s / stretches, 1e-3)]))
