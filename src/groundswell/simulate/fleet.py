"""A workload served by a fleet of simulated engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from groundswell.results import Results
from groundswell.simulate.drive import Drive, Stop
from groundswell.simulate.outcome import results_of
from groundswell.simulate.parts import Fleet
from groundswell.simulate.world import Asked, served_of, world_of
from groundswell.table import Workload


def simulate(
    workload: Workload,
    fleet: Fleet,
    seed: int = 0,
    turns: Literal["closed", "open"] = "closed",
    progress: Callable[[int], None] = lambda done: None,
    stop_when: Stop = lambda world, at_s: False,
    stretch_s: float | None = None,
) -> Results:
    """What comes of ``workload`` on ``fleet``, until everything has ended; the same for the same seed.

    Results have what replay's have, as far as there is no network: ``ready_s`` is when a request came to its engine,
    ``admitted_s`` when it first ran, ``instance`` where, ``preempted`` how often it had to begin anew. Requests for
    which no engine has memory are rows with the error "too long". ``progress`` is told how many recorded arrivals have
    come. Memory: some 200 bytes a request.

    ``stop_when`` is asked some 250 times while requests come, and as often later on: where it says so, nothing further
    is simulated, ``stopped_s`` in the run's metadata says when, and what has not ended is "unfinished". Gaps between
    tokens are counted by stretches of ``stretch_s``, of which the last has all that come later; if it is None, by 128.
    """
    asked = Asked.of(workload, turns)
    world = world_of(asked, fleet, seed, stretch_s)
    drive = Drive(world, fleet, fleet.router.state(served_of(asked, fleet, seed)), progress, stop_when)
    drive.run()
    instance_s = float(world.at["up_s"].sum())
    run: dict[str, Any] = {
        "simulated": True,
        "instances": fleet.instances,
        "seed": seed,
        "turns": turns,
        "span_s": float(asked.arrival_s[-1]),
        "end_s": float(np.nanmax(world.requests["done_s"], initial=0.0)),
        "instance_s": instance_s,
        "stages": [stage.name for stage in fleet.stages],
        "busy_share": float(world.at["busy_s"].sum() / max(instance_s, 1e-9)),
    }
    if drive.stopped_s is not None:
        run["stopped_s"] = drive.stopped_s
    return results_of(world, workload, run, drive.series)
