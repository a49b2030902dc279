"""A fleet over time, with what is done to it from outside: instances start, stop, fail and come back."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import numpy as np

from groundswell.scaling import Seen
from groundswell.simulate.crash import crash
from groundswell.simulate.outcome import Series
from groundswell.simulate.parts import Fleet, Outage, Scaling
from groundswell.simulate.serving import AGAIN, serve
from groundswell.simulate.state import World

_POINTS = 256
"""Of the series over time, while requests come."""

Act = Callable[[float], None]
Stop = Callable[[World, float], bool]
"""Whether nothing more need be known of a fleet, given how it is at a time."""


class Drive:
    """Serves everything that a world holds. Between two moments at which something is done to the fleet, or looked at,
    compiled code goes on alone."""

    def __init__(
        self,
        world: World,
        fleet: Fleet,
        router: Any,
        progress: Callable[[int], None],
        stop_when: Stop = lambda world, at_s: False,
    ) -> None:
        self.world, self.fleet, self.series = world, fleet, Series()
        self.stopped_s: float | None = None
        self._stop_when = stop_when
        self._router, self._progress = router, progress
        self._moments: list[tuple[float, int, Act]] = []
        self._made = 0
        self._down = np.zeros(fleet.instances, np.int64)  # by how many failures that are not over
        self._starting: dict[int, float] = {}  # until when
        self._stopping: set[int] = set()
        self._arrived = 0
        span_s = max(float(world.requests["arrival_s"].max()), 1e-3)
        self._at(span_s / _POINTS, self._look(span_s / _POINTS))
        for outage in fleet.outages:
            self._at(outage.at_s, self._fail(outage))
        if fleet.scaling is not None:
            self._begin_scaling(fleet.scaling)

    def run(self) -> None:
        """Until all requests have ended, or a look at the fleet says that it may stop."""
        while self.stopped_s is None and not self._over():
            at_s, _, act = heappop(self._moments)
            serve(self.world, self._router, at_s)
            act(at_s)
        self._moments.clear()  # what is to be done refers to the drive: the world would wait for the garbage collector
        end_s = float(np.nanmax(self.world.requests["done_s"], initial=0.0))
        for i in range(self.fleet.instances):
            self._count(i, max(end_s, float(self.world.at["changed_s"][i])), self.world.at["running"][i])

    def _over(self) -> bool:
        world = self.world
        general = world.fleet[0]
        come = general["coming"] and np.isfinite(world.coming["at_s"][0])
        later = general["next"] < world.requests.size
        return not (come or later or np.isfinite(world.at["wake_s"]).any())

    def _at(self, at_s: float, act: Act) -> None:
        self._made += 1
        heappush(self._moments, (at_s, self._made, act))

    def _look(self, every_s: float) -> Act:
        def look(at_s: float) -> None:
            self.series.add(self.world, at_s)
            self._progress(int(self.world.fleet["next"][0]))
            if self._stop_when(self.world, at_s):
                self.stopped_s = at_s
            self._at(at_s + self.series.stride * every_s, look)

        return look

    def _fail(self, outage: Outage) -> Act:
        def fall(at_s: float) -> None:
            crash(self.world, outage.instance, at_s)
            self._down[outage.instance] += 1
            self._take(outage.instance, False)
            self._at(at_s + outage.down_s, rise)

        def rise(at_s: float) -> None:
            i = outage.instance
            self._down[i] -= 1
            self._take(i, bool(self.world.at["running"][i]) and i not in self._starting and i not in self._stopping)

        return fall

    def _take(self, i: int, up: bool) -> None:
        self.world.load["up"][i] = up and not self._down[i]
        self.world.seen["up"][i] = self.world.load["up"][i]

    def _begin_scaling(self, scaling: Scaling) -> None:
        for i in range(scaling.first, self.fleet.instances):
            self._take(i, False)
            self.world.at["running"][i] = False
        self._at(scaling.scaler.every_s, self._scale(scaling, scaling.scaler.begin()))

    def _scale(self, scaling: Scaling, wanted_of: Callable[[Seen], int]) -> Act:
        def scale(at_s: float) -> None:
            if self._over():
                return
            wanted = int(np.clip(wanted_of(self._seen(at_s, scaling)), scaling.least, self.fleet.instances))
            self._change(wanted, at_s, scaling.startup_s)
            for i in [i for i in self._stopping if not self.world.load["requests"][i]]:
                self._stop(i, at_s)
            self._at(at_s + scaling.scaler.every_s, scale)

        return scale

    def _seen(self, at_s: float, scaling: Scaling) -> Seen:
        world = self.world
        arrived = int(world.fleet["next"][0])
        new, self._arrived = arrived - self._arrived, arrived
        up = np.flatnonzero(world.load["up"])
        at = world.at[up]
        use = 1.0 - (at["free"] + at["kept"]).sum() / max(int(at["blocks"].sum()), 1)
        # Who finds no instance up, or is to be sent anew, waits with the router.
        routed = int(np.count_nonzero(world.coming["why"][: world.fleet["coming"][0]] == AGAIN))
        return Seen(
            at_s,
            up.size,
            len(self._starting),
            int(world.load["requests"].sum()) + routed,
            int(world.at["waiting"].sum()) + routed,
            new,
            float(use),
            scaling.startup_s,
            scaling.scaler.every_s,
        )

    def _change(self, wanted: int, at_s: float, startup_s: float) -> None:
        running = np.flatnonzero(self.world.at["running"])
        serving = [int(i) for i in running if i not in self._stopping]
        for i in sorted(self._stopping)[: max(wanted - len(serving), 0)]:  # what has not stopped yet goes on
            self._stopping.discard(i)
            self._take(i, i not in self._starting)
            serving.append(i)
        idle = [i for i in range(self.fleet.instances) if not self.world.at["running"][i]]
        for i in idle[: max(wanted - len(serving), 0)]:
            self._start(i, at_s, startup_s)
        up = self.world.load["up"].tolist()  # those that take no requests yet are missed least
        for i in sorted(serving, key=lambda i: (up[i], -i))[: max(len(serving) - wanted, 0)]:
            self._take(i, False)
            self._stopping.add(i)

    def _start(self, i: int, at_s: float, startup_s: float) -> None:
        self.world.at["running"][i], self.world.at["changed_s"][i] = True, at_s
        self._starting[i] = at_s + startup_s

        def up(now_s: float) -> None:
            if self._starting.get(i) == now_s:  # else it was stopped meanwhile
                del self._starting[i]
                self._take(i, i not in self._stopping)

        self._at(at_s + startup_s, up)

    def _stop(self, i: int, at_s: float) -> None:
        self._stopping.discard(i)
        self._starting.pop(i, None)
        self._count(i, at_s, True)
        self.world.at["running"][i] = False

    def _count(self, i: int, at_s: float, running: bool) -> None:
        """Instance ``i`` was paid for until ``at_s``."""
        if running:
            self.world.at["up_s"][i] += at_s - self.world.at["changed_s"][i]
            self.world.at["changed_s"][i] = at_s
