"""What the tests of simulation share: workloads of columns, cases of engines and requests, worlds that were served."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from groundswell.simulate.drive import Drive
from groundswell.simulate.parts import Engine, Fleet, StepCost
from groundswell.simulate.state import Ints, World
from groundswell.simulate.waiting import POLICIES
from groundswell.simulate.world import Asked, served_of, world_of
from groundswell.table import BLOCK_SIZE_KEY, COLUMNS, Workload

COST = StepCost(0.0121, 2.1e-5, 4.3e-5, 96.0, 1.3e-7, 6.61e-8, 2.6e-9, 1.7e-8, 1.9e-3)
LAUNCHED = replace(COST, prompt_least_s=0.025)
"""The same where the host takes longer for short prompts than the kernels do."""
"""Of a large model on two cards, about; no round figures, so that no step ends just when somebody comes."""


def asking(
    arrival_s: ArrayLike,
    prompt: ArrayLike,
    output: ArrayLike,
    names: Sequence[Sequence[int]] | None = None,
    name_tokens: int = 16,
    **columns: Any,
) -> Workload:
    """A workload of one client; ``names`` are its prefix blocks, of so many tokens each."""
    frame = pl.DataFrame(
        {
            "arrival_s": pl.Series(np.asarray(arrival_s, float)),
            "client": pl.Series(["c"] * np.size(arrival_s), dtype=pl.Enum(["c"])),
            "input_tokens": pl.Series(np.asarray(prompt), dtype=pl.Int32),
            "output_tokens": pl.Series(np.asarray(output), dtype=pl.Int32),
            **{name: pl.Series(values, dtype=COLUMNS[name]) for name, values in columns.items()},
        }
    )
    if names is None:
        return Workload(frame)
    return Workload(
        frame.with_columns(pl.Series("prefix_blocks", names, dtype=pl.List(pl.Int64))), {BLOCK_SIZE_KEY: name_tokens}
    )


@dataclass(frozen=True)
class Case:
    """Requests drawn from a seed, and an engine for them."""

    seed: int = 0
    n: int = 120
    rate_per_s: float = 20.0
    together: int = 1  # how many come at a time
    mean_prompt: float = 300.0
    mean_output: float = 60.0
    turns: int = 1  # of a conversation, whose prompts hold what was said
    closed: bool = True
    pauses: bool = True  # between turns
    block_tokens: int = 16
    name_blocks: int = 1
    room: float = 10.0  # requests of mean length, for which there is memory
    most_running: int = 32
    most_tokens: int = 512
    watermark: float = 0.0
    policy: str = "fcfs"
    caching: bool = False
    named: bool = True  # or the engine caches, but the workload does not say what is alike
    resuming: bool = False
    whole_prompts: bool = False
    ahead: bool = False
    cost: StepCost = COST
    clock_s: float = 0.0  # of which all times are multiples, where that is not 0

    @property
    def engine(self) -> Engine:
        most_tokens = max(self.most_tokens, self.most_running)
        blocks = math.ceil(self.room * (1.5 * self.mean_prompt + self.mean_output) / self.block_tokens)
        how = (blocks, self.most_running, most_tokens, self.block_tokens, self.watermark, self.policy)
        return Engine(self.cost, *how, self.caching, self.resuming, self.whole_prompts, self.ahead)

    def workload(self) -> Workload:
        """Prompts begin with one of five texts and go on with all that was said in their conversation."""
        draw = np.random.default_rng(self.seed)
        moments = -(-self.n // self.together)
        at_s = np.repeat(np.cumsum(draw.exponential(self.together / self.rate_per_s, moments)), self.together)[: self.n]
        pause_s = draw.exponential(self.pauses / self.rate_per_s, self.n)
        if self.clock_s:
            at_s, pause_s = (self.clock_s * np.floor(times / self.clock_s) for times in (at_s, pause_s))
        prompt, output = draw.geometric(1 / self.mean_prompt, self.n), draw.geometric(1 / self.mean_output, self.n)
        shared = draw.integers(0, 1 + int(self.mean_prompt), 5)
        talk = np.arange(self.n) % -(-self.n // self.turns)
        said: dict[int, int] = {}
        tokens, names = self.block_tokens * self.name_blocks, []
        for r in range(self.n):
            kind, before = talk[r] % 5, said.get(talk[r], 0)
            prompt[r] += before or shared[kind]
            said[talk[r]] = prompt[r] + output[r]
            of_all = min(prompt[r], shared[kind]) // tokens
            ids = [kind * 10**6 + b for b in range(of_all)]
            ids += [(10 + talk[r]) * 10**6 + b for b in range(of_all, prompt[r] // tokens)]
            names.append(ids + [-r - 1] * int(prompt[r] % tokens > 0))
        columns: dict[str, Any] = {}
        if self.turns > 1:
            columns = {"conversation": talk, "think_s": pause_s}
        return asking(at_s, prompt, output, names if self.caching and self.named else None, tokens, **columns)

    def priority(self) -> Ints:
        return np.random.default_rng(self.seed).integers(0, 3, self.n)


_ENGINES: dict[str, Any] = {
    "seed": st.integers(0, 2**32 - 1),
    "n": st.sampled_from([20, 120, 300]),
    "rate_per_s": st.sampled_from([1.0, 10.0, 100.0, 1000.0]),
    "together": st.sampled_from([1, 1, 3, 40]),
    "mean_prompt": st.sampled_from([1.0, 4.0, 60.0, 300.0]),
    "mean_output": st.sampled_from([1.0, 3.0, 30.0, 100.0]),
    "turns": st.sampled_from([1, 1, 4]),
    "closed": st.booleans(),
    "pauses": st.booleans(),
    "block_tokens": st.sampled_from([1, 2, 5, 16, 64]),
    "name_blocks": st.integers(1, 4),
    "room": st.sampled_from([2.0, 4.0, 4.0, 10.0, 30.0, 1000.0]),
    "most_running": st.sampled_from([1, 2, 5, 32, 256]),
    "most_tokens": st.sampled_from([1, 7, 64, 512, 8192]),
    "watermark": st.sampled_from([0.0, 0.01, 0.2]),
    "policy": st.sampled_from(POLICIES),
    "caching": st.booleans(),
    "named": st.sampled_from([True, True, False]),
    "resuming": st.booleans(),
    "whole_prompts": st.booleans(),
    "ahead": st.booleans(),
}
CASES = st.one_of(
    st.builds(Case, cost=st.sampled_from([COST, LAUNCHED, replace(COST, context_s=0.0), StepCost(0.0101)]), **_ENGINES),
    st.builds(Case, cost=st.just(StepCost(2**-6)), clock_s=st.sampled_from([2**-6, 2**-7]), **_ENGINES),
)
"""All that an engine can be told, with little memory as a rule; in half of them requests come just as steps end."""


def served(
    workload: Workload,
    fleet: Fleet,
    turns: str = "closed",
    priority: Ints | None = None,
    look: Callable[[World], None] = lambda world: None,
) -> World:
    """The world in which everything has ended; ``look`` sees it some hundred times before."""
    asked = Asked.of(workload, turns)
    world = world_of(asked, fleet)
    if priority is not None:
        world.requests["priority"] = priority
    Drive(world, fleet, fleet.router.state(served_of(asked, fleet, 0)), lambda come: look(world)).run()
    return world
