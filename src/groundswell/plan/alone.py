"""What requests take on an engine that has nothing else to do, and how long an engine is busy with them at least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundswell.simulate.parts import Engine
from groundswell.simulate.world import Asked

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Alone:
    """N requests, each by itself: no fleet is faster, however large (:func:`groundswell.simulate.step.step_s`).

    Beginnings of prompts that an earlier request had are taken to be in the prefix cache. A request for which there is
    no memory takes for ever.
    """

    arrival_s: Floats
    prompt: Ints
    output: Ints
    too_long: NDArray[np.bool_]
    ttft_s: Floats
    tpot_s: Floats
    """nan for a reply of one token."""
    itl_s: Floats
    """The shortest time between two tokens of the reply; nan for a reply of one token."""
    e2e_s: Floats
    work_s: Floats
    """How long an engine is busy with its tokens, without what each step takes besides."""
    tokens: Ints
    """That are computed."""
    steps: Ints
    """In which it takes part."""

    @classmethod
    def of(cls, asked: Asked, engine: Engine) -> Alone:
        """What ``asked`` takes on ``engine``."""
        cost = engine.cost
        prompt, output = asked.prompt.astype(np.int64), asked.output.astype(np.int64)
        there = _cached(asked, prompt) if engine.caching else np.zeros_like(prompt)
        new, further = prompt - there, output - 1
        attended = 0.5 * (prompt.astype(float) ** 2 - there.astype(float) ** 2)
        steps = -(-new // engine.most_tokens)
        rest = new - (steps - 1) * engine.most_tokens
        above = (steps - 1) * max(0.0, engine.most_tokens - cost.hinge_tokens)
        above = above + np.maximum(0.0, rest - cost.hinge_tokens)
        ttft_s = steps * cost.c0_s + cost.token_s * new + cost.hinge_s * above + cost.prefill_s * attended
        contexts = further * prompt + 0.5 * further * (further - 1)
        token_s = cost.c0_s + cost.token_s + cost.decode_s + cost.hinge_s * max(0.0, 1.0 - cost.hinge_tokens)
        reply_s = further * token_s + cost.context_s * contexts
        with np.errstate(invalid="ignore", divide="ignore"):
            tpot_s = np.where(further > 0, reply_s / further, np.nan)
        too_long = -(-(prompt + output) // engine.block_tokens) * engine.block_tokens > engine.most_context
        work_s = cost.token_s * (new + further) + cost.prefill_s * attended
        work_s = work_s + cost.decode_s * further + cost.context_s * contexts
        e2e_s = ttft_s + reply_s
        for figure in (ttft_s, tpot_s, e2e_s):
            figure[too_long] = np.inf
        tpot_s[further == 0] = np.nan
        itl_s = np.where((further > 0) & ~too_long, token_s + cost.context_s * prompt, np.nan)
        work_s[too_long] = 0.0
        tokens, shared = np.where(too_long, 0, new + further), np.where(too_long, 0, steps + further)
        return cls(asked.arrival_s, prompt, output, too_long, ttft_s, tpot_s, itl_s, e2e_s, work_s, tokens, shared)

    def at(self, rows: slice | NDArray[np.bool_]) -> Alone:
        """Those of some requests."""
        return Alone(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def further(self) -> Ints:
        """Tokens of each reply after its first, as far as there is memory."""
        return np.where(self.too_long, 0, self.output - 1)


def busy_s(engine: Engine, work_s: Floats, tokens: Floats, steps: Floats) -> Floats:
    """How long engines are busy at least, in all, with ``work_s`` for so many ``tokens`` of requests that each take
    part in steps, ``steps`` of them in all: with as many together as may be."""
    cost = engine.cost
    fewest = np.maximum(tokens / engine.most_tokens, steps / engine.most_running)

    def steps_s(count: Floats) -> Floats:
        # What is above the hinge is convex in a step's tokens, so equal steps have the least of it.
        return np.asarray(cost.c0_s * count + cost.hinge_s * np.maximum(0.0, tokens - count * cost.hinge_tokens))

    # That is linear in the number of steps up to where nothing is above the hinge, and grows from there on. There are
    # no more steps than tokens.
    most = np.maximum(tokens / max(cost.hinge_tokens, 1.0), fewest)
    return np.asarray(work_s + np.minimum(steps_s(fewest), steps_s(most)))


def _cached(asked: Asked, prompt: Ints) -> Ints:
    """Tokens of each prompt that can be in a prefix cache, as an earlier request had them; one at least is always
    computed."""
    names = asked.names
    if names.block_tokens is None or not names.ids.size:
        return np.zeros_like(prompt)
    # What is named of a reply, and not of its prompt, is in memory for those that come later.
    row = np.repeat(np.arange(prompt.size), names.count)
    place = np.arange(row.size) - np.repeat(np.cumsum(names.count) - names.count, names.count)
    _, first, same = np.unique(names.ids[names.begin[row] + place], return_index=True, return_inverse=True)
    # Equal ids are equal tokens behind equal tokens: who has had one has had all before it.
    known = (row[first][same] < row) & (place < (prompt[row] - 1) // names.block_tokens)
    return np.bincount(row[known], minlength=prompt.size) * names.block_tokens
