"""A fleet that requests are sent to while it runs, so that it can stand in for one that serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from groundswell.errors import UsageError
from groundswell.simulate.events import expect
from groundswell.simulate.give_up import give_up
from groundswell.simulate.live_tokens import next_s, tokens_by
from groundswell.simulate.named import Names
from groundswell.simulate.parts import Fleet
from groundswell.simulate.serving import DUE, serve
from groundswell.simulate.state import NOBODY, World, requests_of
from groundswell.simulate.turns import Turns
from groundswell.simulate.world import BYTES_PER_TOKEN, Asked, served_of, world_of

_SLOTS = 256
_NAMES = 2**16


class Figures(NamedTuple):
    """How a fleet is: of all its instances together."""

    running: int
    waiting: int
    kv_used: float
    """Share of the blocks of memory that requests hold."""
    preemptions: int
    prefix_queries: int
    """Prompt tokens that were looked for in memory, and those that were there."""
    prefix_hits: int


class Live:
    """A fleet of simulated engines on which requests come as they are sent, at times in seconds that do not fall.

    What is open has a number, a slot, which another may get when it has ended. Memory is for what is open. Raises
    UsageError for a fleet that changes while it runs.
    """

    def __init__(self, fleet: Fleet, seed: int = 0) -> None:
        if fleet.outages or fleet.scaling is not None:
            raise UsageError("a fleet that answers in real time has neither outages nor an autoscaler")
        names = fleet.pools[0].engine.block_tokens if any(pool.engine.caching for pool in fleet.pools) else 0
        asked = _nothing_asked(names)
        self.block_tokens = names
        """Of a block that can have a name; 0 where nothing is kept."""
        self.most_context = min(pool.engine.most_context for pool in fleet.pools)
        """For so long a prompt with its reply there is memory on every instance."""
        self._fleet = fleet
        self._world = _with_room(world_of(asked, fleet, seed), 0)
        self._router = fleet.router.state(served_of(asked, fleet, seed))
        self._prefill = bool(self._world.fleet["front"][0] < fleet.instances)
        self._free = list(range(_SLOTS - 1, -1, -1))
        self._taken = np.zeros(_SLOTS, np.bool_)
        self._told, self._who, self._count = (np.zeros(_SLOTS, np.int64) for _ in range(3))
        self._left: set[int] = set()
        self._names_end = self._queries = self._hits = 0
        self.now_s = 0.0
        """Up to when it is served."""

    def send(self, at_s: float, prompt: int, output: int, names: Sequence[int] = ()) -> int:
        """A request comes at ``at_s``, or now if that has passed; its slot. ``names`` are the ids of the blocks of its
        prompt and of the reply behind it: equal ids are equal tokens behind equal tokens."""
        if not self._free:
            self._grow()
        r = self._free.pop()
        q = requests_of(np.zeros(1), prompt, output)
        q["size_bytes"] = round(BYTES_PER_TOKEN * prompt)
        if self._prefill:
            q["goal"] = 1
        if len(names) and self.block_tokens:
            q["names_from"], q["names"] = self._keep(names), len(names)
        self._world.requests[r] = q[0]
        self._taken[r], self._told[r] = True, 0
        expect(self._world, r, max(at_s, self.now_s), DUE)
        return r

    def give_up(self, slot: int) -> None:
        """Nobody waits for the rest of a request: it leaves as soon as it can."""
        self._left.add(slot)
        self._try_to_leave()

    def until(self, now_s: float) -> list[tuple[int, int, bool]]:
        """Which requests have got tokens since the last call and up to ``now_s``, how many, and whether these are the
        last; the slots of those that have ended are free."""
        self.now_s = now_s = max(now_s, self.now_s)
        world = self._world
        serve(world, self._router, np.nextafter(now_s, np.inf))
        found = tokens_by(world, now_s, self._taken, self._told, self._who, self._count)
        come = []
        for r, count in zip(self._who[:found].tolist(), self._count[:found].tolist(), strict=True):
            over = bool(self._told[r] == world.requests["output"][r])
            if over:
                self._release(r)
            if r not in self._left:
                come.append((r, count, over))
            elif over:
                self._left.discard(r)
        if self._left:
            self._try_to_leave()
        return come

    def next_s(self) -> float:
        """When something happens next if nobody comes; inf if nothing does."""
        return float(next_s(self._world, self.now_s))

    def figures(self) -> Figures:
        """How the fleet is."""
        at = self._world.at
        kv_used = 1.0 - (at["free"] + at["kept"]).sum() / at["blocks"].sum()
        return Figures(
            int(at["active"].sum()),
            int(at["waiting"].sum()),
            float(kv_used),
            int(at["preemptions"].sum()),
            self._queries + int(self._open("prompt")),
            self._hits + int(self._open("cached")),
        )

    def _open(self, name: str) -> int:
        """The sum over those that are open and have been admitted."""
        q = self._world.requests[self._taken]
        return int(q[name][~np.isnan(q["admitted_s"])].sum())

    def _release(self, r: int) -> None:
        q = self._world.requests[r]
        if not np.isnan(q["admitted_s"]):
            self._queries += int(q["prompt"])
            self._hits += int(q["cached"])
        self._taken[r] = False
        self._free.append(r)

    def _try_to_leave(self) -> None:
        for r in [r for r in self._left if give_up(self._world, r, self.now_s)]:
            self._left.discard(r)
            self._release(r)

    def _grow(self) -> None:
        """Twice as many slots."""
        size = self._taken.size
        self._world = _with_room(self._world, size)
        self._free = list(range(2 * size - 1, size - 1, -1))
        self._taken, self._told = _longer(self._taken, 2 * size), _longer(self._told, 2 * size)
        self._who, self._count = np.zeros(2 * size, np.int64), np.zeros(2 * size, np.int64)

    def _keep(self, names: Sequence[int]) -> int:
        """Where the names of a request that comes now are kept."""
        if self._names_end + len(names) > self._world.ids.size:
            self._tidy(len(names))
        begin = self._names_end
        self._names_end = begin + len(names)
        self._world.ids[begin : self._names_end] = names
        return begin

    def _tidy(self, wanted: int) -> None:
        """Only the names of what is open or kept, at the front of an array with room for ``wanted`` more."""
        requests, nodes, old = self._world.requests, self._world.nodes.reshape(-1), self._world.ids
        rows = np.flatnonzero(self._taken & (requests["names"] > 0))
        kept = np.flatnonzero((nodes["names_from"] != NOBODY) & (nodes["size"] > 0))
        count = np.concatenate((requests["names"][rows], nodes["size"][kept]))
        begin = np.concatenate((requests["names_from"][rows], nodes["names_from"][kept]))
        ends = np.cumsum(count)
        total = int(ends[-1]) if ends.size else 0
        new = np.zeros(max(old.size, 2 * (total + wanted)), np.int64)
        new[:total] = old[np.repeat(begin - (ends - count), count) + np.arange(total)]
        requests["names_from"][rows], nodes["names_from"][kept] = np.split(ends - count, [rows.size])
        self._world, self._names_end = self._world._replace(ids=new), total


def warm_up(fleet: Fleet) -> None:
    """Compile all that a request needs, so that the first one does not wait for it."""
    live = Live(fleet)
    slot = live.send(0.0, 1, 2)
    live.until(0.0)
    live.give_up(slot)
    live.next_s()


def _nothing_asked(block_tokens: int) -> Asked:
    """Slots for requests, none of which has come."""
    none, at_s = np.ones(_SLOTS, np.int64), np.zeros(_SLOTS)
    zeros = np.zeros(_SLOTS, np.int64)
    names = Names(np.zeros(_NAMES if block_tokens else 0, np.int64), zeros, zeros, block_tokens or None)
    return Asked(at_s, none, none, np.zeros(_SLOTS, np.uint32), zeros, zeros, names, Turns.none(), ("",))


def _with_room(world: World, more: int) -> World:
    """The world with room for ``more`` requests, none of which is recorded: they come as they are sent."""
    size = world.requests.size + more
    requests, coming = _longer(world.requests, size), _longer(world.coming, size)
    world.fleet["next"] = size
    if not world.stages.size:
        return world._replace(requests=requests, coming=coming)
    stage_s, done_s = _longer(world.stage_s, size), _longer(world.stage_done_s, size)
    return world._replace(requests=requests, coming=coming, stage_s=stage_s, stage_done_s=done_s)


def _longer(array: Any, size: int) -> Any:
    """With room for ``size`` in all."""
    longer = np.zeros((size, *array.shape[1:]), array.dtype)
    longer[: array.shape[0]] = array
    return longer
