"""ClientPool: thousands of clients' rates, burstiness and lengths over time, in columns.

Time is cut into equal **windows** (rate, CV and family of arrivals, per client) and equal **slots** (lengths, per
client and field); slots are usually longer. Every client of a pool shares both grids. A pool never changes: each view
is a new one that shares the arrays it did not have to alter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.clients._pool_check import check
from groundswell.clients.cover import covered_parts, covered_span, covering
from groundswell.clients.names import distinct, some
from groundswell.clients.sessions import Sessions
from groundswell.clients.slots import mean_over_slots, nearest_slot, slot_of_window, with_neighbours
from groundswell.errors import UsageError
from groundswell.length_tables import LengthTables

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FIELDS = (
    "input_tokens",
    "output_tokens",
    "reason_ratio",
    "image_tokens",
    "image_count",
    "audio_tokens",
    "audio_count",
    "video_tokens",
    "video_count",
    "turns",
    "think_ms",
    "new_tokens",
    "kept_ratio",
    "regenerate",
    "shared_tokens",
)
"""The fields a client can have lengths for. ``input_tokens`` is text alone; ``reason_ratio`` is the reasoning part of
the output; ``*_count`` is items a request and ``*_tokens`` the size of one item.

A client that has ``turns`` (requests a conversation) converses, and its ``input_tokens`` are those of first prompts. A
later turn comes ``think_ms`` after the reply before it ended, and adds ``new_tokens`` to the share ``kept_ratio`` of
its context (to all of it where that field is missing), or where ``regenerate`` is 1 sends the last prompt again. Each
value of ``shared_tokens`` is a beginning, of so many tokens, that prompts share and that no first prompt is shorter
than; 0 is none."""


@dataclass(frozen=True, eq=False)
class ClientPool:
    """C clients over W windows and S slots.

    A client is *recorded* when its rates are what a trace's windows held, *stated* when they are a law; generation
    treats the counts of the two differently by default. ``table[c, s, f]`` is the number of a distribution in
    ``lengths``, -1 where client ``c`` has none for field ``f`` in slot ``s``. Where ``origin`` says ``covered_s``, the
    rates of windows that this covers in part are those of that part (:mod:`groundswell.clients.cover`).
    """

    names: tuple[str, ...]
    rate_per_s: Floats  # [C, W]
    cv: NDArray[np.float32]  # [C, W]; nan where no CV is known
    family: NDArray[np.uint8]  # [C, W], an index into `families`
    first_parameter: NDArray[np.float32]  # [C, W], as recorded or stated; nan where there is none
    second_parameter: NDArray[np.float32]  # [C, W]
    families: tuple[str, ...]
    stated: Bools  # [C]
    fields: tuple[str, ...]
    table: NDArray[np.int32]  # [C, S, F]
    lengths: LengthTables
    start_s: float = 0.0
    window_s: float = 600.0
    slot_s: float = 21_600.0
    origin: dict[str, Any] = field(default_factory=dict)
    sessions: Sessions | None = None
    """Conversations that were recorded. A client that has any takes its requests from them."""

    def __post_init__(self) -> None:
        """Refuse columns that do not fit together, or hold what no client can have."""
        check(self)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"ClientPool({len(self)} clients, {self.span_s:g} s, {self.mean_rate_per_s.sum():.4g} req/s)"

    @property
    def window_count(self) -> int:
        """W."""
        return int(self.rate_per_s.shape[1])

    @property
    def slot_count(self) -> int:
        """S."""
        return int(self.table.shape[1])

    @property
    def span_s(self) -> float:
        """How long the pool is, in seconds."""
        return self.window_count * self.window_s

    @property
    def end_s(self) -> float:
        """Where the pool ends on the clock that ``start_s`` is on."""
        return self.start_s + self.span_s

    @property
    def covered_s(self) -> tuple[float, float]:
        """From when to when the rates are known, on the pool's clock: all of it, unless its origin says less."""
        return covered_span(self.origin, self.start_s, self.end_s)

    @cached_property
    def covered_part(self) -> Floats:
        """Which part of each window that is, shape [W]."""
        return covered_parts(self.start_s, self.window_s, self.window_count, self.covered_s)

    @property
    def sent_per_s(self) -> Floats:
        """The requests of each window over all of its length, shape [C, W]: the rates, where all is covered."""
        whole = bool((self.covered_part == 1).all())
        return self.rate_per_s if whole else self.rate_per_s * self.covered_part

    @cached_property
    def window_start_s(self) -> Floats:
        """Every window's start, shape [W]."""
        return np.asarray(self.start_s + self.window_s * np.arange(self.window_count), np.float64)

    @cached_property
    def slot_of_window(self) -> NDArray[np.int64]:
        """The slot each window's middle lies in, shape [W]. Slots count from the one that the pool starts in."""
        return slot_of_window(self.window_start_s + self.window_s / 2, self.start_s, self.slot_s, self.slot_count)

    @cached_property
    def mean_rate_per_s(self) -> Floats:
        """Every client's mean rate over the time that is covered, shape [C]."""
        return np.asarray(self.sent_per_s.sum(axis=1) / self.covered_part.sum())

    @cached_property
    def total_rate_per_s(self) -> Floats:
        """The clients' rates together, shape [W]."""
        return np.asarray(self.rate_per_s.sum(axis=0))

    @cached_property
    def has_lengths(self) -> Bools:
        """Which clients have input and output lengths in some slot, shape [C]."""
        need = [self.fields.index(f) for f in ("input_tokens", "output_tokens") if f in self.fields]
        if len(need) < 2:
            return np.zeros(len(self), np.bool_)
        return np.asarray(np.any(np.all(self.table[:, :, need] >= 0, axis=2), axis=1))

    @cached_property
    def converses(self) -> Bools:
        """Which clients send conversations, recorded or stated, shape [C]."""
        out = np.zeros(len(self), np.bool_)
        if "turns" in self.fields:
            out |= (self.table[:, :, self.fields.index("turns")] >= 0).any(axis=1)
        if self.sessions is not None:
            out |= np.diff(self.sessions.first) > 0
        return out

    @cached_property
    def nearest_slot(self) -> NDArray[np.int64]:
        """For each client and slot the nearest slot in time that holds lengths, shape [C, S]; -1 where none does."""
        need = [self.fields.index(f) for f in ("input_tokens", "output_tokens") if f in self.fields]
        held = (self.table[:, :, need] >= 0).all(axis=2) if need else np.zeros(self.table.shape[:2], np.bool_)
        return nearest_slot(np.asarray(held, np.bool_))

    def mean_length(self, name: str) -> Floats:
        """Every client's mean of field ``name`` weighted by its rate over time, shape [C]; nan where it has none."""
        if name not in self.fields:
            raise UsageError(f"the pool has no field {name!r}; it has {', '.join(self.fields)}")
        which = self.table[:, :, self.fields.index(name)]
        mean = np.where(which >= 0, self.lengths.mean[which] if self.lengths.size else np.nan, np.nan)
        return mean_over_slots(mean, which >= 0, self.slot_rate)

    @cached_property
    def slot_rate(self) -> Floats:
        """Every client's rate summed over the windows of each slot, by what is covered of them, shape [C, S]."""
        out = np.zeros((len(self), self.slot_count))
        np.add.at(out.T, self.slot_of_window, self.sent_per_s.T)
        return out

    # Views. Each is a new pool.

    def take(self, which: Sequence[int] | NDArray[np.integer[Any]] | Bools) -> ClientPool:
        """The clients with the given numbers, or where the mask is true, in that order; one taken again is renamed."""
        which = np.asarray(which)
        if which.dtype == np.bool_:
            which = np.flatnonzero(which)
        which = which.astype(np.int64)
        return dataclasses.replace(
            self,
            names=distinct([self.names[i] for i in which]),
            rate_per_s=self.rate_per_s[which],
            cv=self.cv[which],
            family=self.family[which],
            first_parameter=self.first_parameter[which],
            second_parameter=self.second_parameter[which],
            stated=self.stated[which],
            table=self.table[which],
            sessions=None if self.sessions is None else self.sessions.take(which),
        )

    def where(self, keep: Callable[[str], bool]) -> ClientPool:
        """Only the clients whose name ``keep`` accepts."""
        return self.take([i for i, name in enumerate(self.names) if keep(name)])

    def clients(self, names: Iterable[str]) -> ClientPool:
        """The clients called ``names``, in that order."""
        place = {name: i for i, name in enumerate(self.names)}
        wanted = list(names)
        for name in wanted:
            if name not in place:
                raise UsageError(f"the pool has no client {name!r}; it has {some(self.names)}")
        return self.take([place[name] for name in wanted])

    def top(self, k: int) -> ClientPool:
        """The ``k`` clients of the highest mean rate, highest first."""
        if k < 1:
            raise UsageError(f"the top {k} clients: k must be at least 1")
        return self.take(np.argsort(-self.mean_rate_per_s, kind="stable")[:k])

    def with_cv(self, low: float = 0.0, high: float = np.inf) -> ClientPool:
        """The clients whose mean CV, weighted by rate over their windows, lies from ``low`` to ``high``."""
        from groundswell.clients.views import within

        return within(self, {"cv": (low, high)})

    def with_length(self, field: str, statistic: str, low: float = 0.0, high: float = np.inf) -> ClientPool:
        """The clients whose ``mean`` or ``max`` (the ``statistic``) of ``field`` lies from ``low`` to ``high``."""
        from groundswell.clients.views import within

        return within(self, {f"{statistic}_{field}": (low, high)})

    def between(self, start_s: float, end_s: float) -> ClientPool:
        """The windows that overlap ``start_s`` to ``end_s`` (seconds on the pool's own clock, kept in the view)."""
        if not (start_s < end_s and start_s < self.end_s and end_s > self.start_s):
            raise UsageError(
                f"no window of the pool lies between {start_s:g} s and {end_s:g} s; "
                f"it holds {self.start_s:g} s to {self.end_s:g} s"
            )
        low = max(int(np.floor((start_s - self.start_s) / self.window_s + 1e-9)), 0)
        high = min(int(np.ceil((end_s - self.start_s) / self.window_s - 1e-9)), self.window_count)
        # slots count from the one that the view starts in, which a window that straddles two may not be counted to
        begin, origin = (np.floor(at / self.slot_s + 1e-9) for at in (self.window_start_s[low], self.start_s))
        slot_low = min(int(begin - origin), self.slot_count - 1)
        slot_high = int(self.slot_of_window[high - 1]) + 1
        span = slice(low, high)
        begin_s = self.start_s + low * self.window_s
        return dataclasses.replace(
            self,
            start_s=begin_s,
            origin=covering(self.origin, begin_s, begin_s + (high - low) * self.window_s, self.covered_s),
            rate_per_s=self.rate_per_s[:, span],
            cv=self.cv[:, span],
            family=self.family[:, span],
            first_parameter=self.first_parameter[:, span],
            second_parameter=self.second_parameter[:, span],
            table=with_neighbours(self.table, self.nearest_slot, slot_low, slot_high),
        )

    def scaled(self, by: float) -> ClientPool:
        """Every rate times ``by``, and every recorded scale of gaps divided by it: windows are as full as they were."""
        if not (np.isfinite(by) and by > 0):
            raise UsageError(f"a pool is scaled by a number above 0, not {by}")
        in_seconds = ~self.stated[:, None] & np.isin(np.array(self.families), ("gamma", "weibull"))[self.family]
        second = np.where(in_seconds, self.second_parameter / np.float32(by), self.second_parameter)
        return dataclasses.replace(self, rate_per_s=self.rate_per_s * by, second_parameter=second)

    def renamed(self, name: Callable[[str], str]) -> ClientPool:
        """The same clients under other names; the names must stay distinct."""
        names = tuple(name(old) for old in self.names)
        if len(set(names)) < len(names):
            raise UsageError("renaming would give two clients the same name")
        return dataclasses.replace(self, names=names)

    def sample(self, n: int, seed: int, *, replace: bool = False, by_rate: bool = False) -> ClientPool:
        """``n`` clients drawn at random, evenly or by mean rate; drawn again, a client gets a name of its own (``a``,
        ``a~1``).
        """
        if n < 1 or (n > len(self) and not replace):
            raise UsageError(
                f"cannot draw {n} of {len(self)} clients without replacement; take 1 to {len(self)}, or replace"
            )
        rng = np.random.default_rng([seed, n])
        active = int((self.mean_rate_per_s > 0).sum())
        if by_rate and active < (1 if replace else n):
            raise UsageError(f"cannot draw {n} clients by rate: {active} have requests")
        weight = self.mean_rate_per_s / self.mean_rate_per_s.sum() if by_rate else None
        return self.take(rng.choice(len(self), n, replace=replace, p=weight))
