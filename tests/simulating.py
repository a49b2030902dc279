"""What the tests of simulation share: workloads of columns, worlds that were served, what must hold in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from groundswell.simulate.drive import Drive
from groundswell.simulate.parts import Fleet, StepCost
from groundswell.simulate.state import World
from groundswell.simulate.world import Asked, served_of, world_of
from groundswell.table import BLOCK_SIZE_KEY, COLUMNS, Workload

COST = StepCost(0.0121, 2.1e-5, 4.3e-5, 96.0, 1.3e-7, 6.61e-8, 2.6e-9, 1.7e-8)
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


def served(
    workload: Workload,
    fleet: Fleet,
    turns: str = "closed",
    priority: NDArray[np.int64] | None = None,
    look: Callable[[World], None] = lambda world: None,
) -> World:
    """The world in which everything has ended; ``look`` sees it some hundred times before."""
    asked = Asked.of(workload, turns)
    world = world_of(asked, fleet)
    if priority is not None:
        world.requests["priority"] = priority
    Drive(world, fleet, fleet.router.state(served_of(asked, fleet, 0)), lambda come: look(world)).run()
    return world
