"""The run in time: which of the pool's windows it covers, and where a client's requests fall inside one.

Every client has the same factor on its rate (see :mod:`groundswell.rates`), so one map per window turns the share
``u`` of a window's requests that have passed into a time, for all clients: ``t = G⁻¹(G(a) + u·(G(b) - G(a)))``, G the
factor's integral.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.clients import ClientPool
from groundswell.errors import UsageError
from groundswell.rates import Rate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SLACK = 1e-6  # of a window
_PART = 1 << 40  # no window of a pool has so high a number


@dataclass(frozen=True, eq=False)
class Geometry:
    """R windows of a run, in the run's own time from 0 to ``duration_s``."""

    duration_s: float
    window: Ints  # [R] the pool's window that gives rates and shapes
    number: Ints  # [R] the window's own number on the pool's clock, which keys its randomness
    slot: Ints  # [R] the slot that gives lengths
    weight: Floats  # [R] the factor's integral over each window: expected requests per unit of a client's rate
    knot_s: Floats  # [K + 1]
    integral: Floats  # [K + 1]
    left: Floats  # [K]
    slope: Floats  # [K]
    piece: Ints  # [R + 1] the first piece of each window
    filled: int  # how many windows took the rates of a neighbour
    start_s: float = 0.0  # what the pool's clock shows at 0 s
    warm: int = 0
    """How many of the windows come before 0 s: conversations that began there are still going on in the run."""
    known: int = 0
    """From which of these on the windows are the pool's own; those before stand in for time that it does not cover."""

    def warmed(self, pool: ClientPool, rate: Rate, seconds: float) -> Geometry:
        """This with windows before it, for ``seconds`` or more: the pool's own, then others as its first one is.

        What is asked for goes on before the run as it begins (:class:`groundswell.rates.Rate`). Where the run begins
        within a window, the part of it before has a number of its own.
        """
        start_s = self.start_s
        if not seconds > 0:
            return self
        covered_s = min(pool.covered_s[0], start_s)
        first, last = (_window_at(pool, at_s) for at_s in (covered_s, start_s))
        own = np.arange(first, last + 1)
        begin_s = np.maximum(pool.window_start_s[own], covered_s)
        number = self.number[0] - last + own
        number[-1] -= _PART
        some = (np.append(begin_s[1:], start_s) - begin_s > _SLACK * pool.window_s) & (
            np.append(begin_s[1:], start_s) > start_s - seconds
        )
        known_s = begin_s[some].min(initial=start_s)
        more = max(int(np.ceil((known_s - (start_s - seconds)) / pool.window_s)), 0) if known_s <= covered_s else 0
        back = np.arange(-more, 0)
        window = np.concatenate([np.full(more, first), own[some]])
        edge_s = np.concatenate([known_s + back * pool.window_s, begin_s[some], [start_s]]) - start_s
        total = pool.total_rate_per_s
        source = _nearest_active(total, window) if rate.fills_gaps else window
        factor = rate.factor(edge_s, total[source])
        integral = factor.integral - factor.integral[-1]
        piece = np.searchsorted(factor.knot_s, edge_s)
        return Geometry(
            duration_s=self.duration_s,
            window=np.concatenate([source, self.window]),
            number=np.concatenate([self.number[0] - last + first + back, number[some], self.number]),
            slot=np.concatenate([pool.slot_of_window[window], self.slot]),
            weight=np.concatenate([np.diff(integral[piece]), self.weight]),
            knot_s=np.concatenate([factor.knot_s[:-1], self.knot_s]),
            integral=np.concatenate([integral[:-1], self.integral]),
            left=np.concatenate([factor.left, self.left]),
            slope=np.concatenate([(factor.right - factor.left) / np.diff(factor.knot_s), self.slope]),
            piece=np.concatenate([piece[:-1], self.piece + piece[-1]]),
            filled=self.filled,
            start_s=start_s,
            warm=window.size,
            known=more,
        )

    def end_s(self, w: int, share: float) -> float:
        """The run's time when ``share`` of window ``w``'s requests have passed."""
        if share >= 1.0:
            return float(self.knot_s[self.piece[w + 1]])
        k = self.piece[w]
        if self.piece[w + 1] == k + 1 and self.slope[k] == 0.0:  # to the last bit as the kernels place requests
            return float(self.knot_s[k] + share * (self.knot_s[k + 1] - self.knot_s[k]))
        return float(time_of(share, w, self.knot_s, self.integral, self.left, self.slope, self.piece))


def lay_out(pool: ClientPool, rate: Rate, start_s: float, duration_s: float) -> Geometry:
    """The geometry of a run of ``duration_s`` that begins at ``start_s`` on the pool's clock."""
    slack = _SLACK * pool.window_s
    if not pool.start_s - slack <= start_s < pool.end_s:
        raise UsageError(
            f"a run that begins at {start_s:g} s leaves the pool, which covers {pool.start_s:g} s to {pool.end_s:g} s"
        )
    if not (np.isfinite(duration_s) and duration_s > 0):
        raise UsageError(f"duration {duration_s:g} s: must be a number of seconds above 0")
    end_s = start_s + duration_s
    if not end_s <= pool.end_s + slack:
        raise UsageError(
            f"the run from {start_s:g} s to {end_s:g} s leaves the pool, "
            f"which covers {pool.start_s:g} s to {pool.end_s:g} s"
        )
    low = _window_at(pool, start_s)
    high = min(max(int(np.ceil((end_s - pool.start_s) / pool.window_s - 1e-9)), low + 1), pool.window_count)
    windows = np.arange(low, high)
    edge_s = np.clip(
        np.append(pool.window_start_s[windows], pool.window_start_s[high - 1] + pool.window_s), start_s, end_s
    )
    edge_s = edge_s - start_s
    edge_s[0], edge_s[-1] = 0.0, duration_s
    total = pool.total_rate_per_s
    source, filled = windows, 0
    if rate.fills_gaps:
        source = _nearest_active(total, windows)
        filled = int((source != windows).sum())
    factor = rate.factor(edge_s, total[source])
    integral = factor.integral
    piece = np.searchsorted(factor.knot_s, edge_s)
    return Geometry(
        duration_s=duration_s,
        window=source,
        number=int(np.floor(pool.start_s / pool.window_s + 1e-6)) + windows,
        slot=pool.slot_of_window[windows],
        weight=np.diff(integral[piece]),
        knot_s=factor.knot_s,
        integral=integral,
        left=factor.left,
        slope=(factor.right - factor.left) / np.diff(factor.knot_s),
        piece=piece.astype(np.int64),
        filled=filled,
        start_s=start_s,
    )


def _window_at(pool: ClientPool, at_s: float) -> int:
    return min(max(int(np.floor((at_s - pool.start_s) / pool.window_s + 1e-9)), 0), pool.window_count - 1)


def _nearest_active(total: Floats, windows: Ints) -> Ints:
    """For each of ``windows`` the nearest in which anybody is active, the earlier of two that are equally near."""
    active = np.flatnonzero(total > 0)
    if active.size == 0:
        raise UsageError("no client of the pool sends anything: every rate is 0")
    after = np.clip(np.searchsorted(active, windows), 0, active.size - 1)
    before = np.clip(after - 1, 0, None)
    use_before = (windows - active[before] <= np.abs(active[after] - windows)) & (active[before] <= windows)
    return np.where((total[windows] > 0) | ~use_before, active[after], active[before])


@compiled
def time_of(u: Any, w: Any, knot_s: Any, integral: Any, left: Any, slope: Any, piece: Any) -> Any:
    """The run's time at share ``u`` of window ``w``'s requests."""
    k, last = piece[w], piece[w + 1] - 1
    goal = integral[k] + u * (integral[last + 1] - integral[k])
    while k < last and integral[k + 1] <= goal:
        k += 1
    # left·x + slope·x²/2 = rest, solved in the form that does not cancel
    rest = goal - integral[k]
    if slope[k] == 0.0:
        return min(knot_s[k] + rest / max(left[k], 1e-300), knot_s[k + 1])
    root = np.sqrt(max(left[k] * left[k] + 2.0 * slope[k] * rest, 0.0))
    return min(knot_s[k] + 2.0 * rest / max(left[k] + root, 1e-300), knot_s[k + 1])
