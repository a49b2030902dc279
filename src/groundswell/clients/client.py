"""A client of a user's own: a rate, a rhythm and a way of asking, stated as laws or measured from its requests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groundswell.arrivals import ARRIVALS, Process
from groundswell.clients.conversation import MOST_TURNS, yes_or_no
from groundswell.clients.pool import FIELDS, ClientPool
from groundswell.errors import UsageError
from groundswell.length_tables import LengthTables
from groundswell.lengths import Length, atoms, length_of
from groundswell.rates import Curve, constant

if TYPE_CHECKING:
    from groundswell.clients.recorded import RecordedClient

Floats = NDArray[np.float64]

SLOT_S = 21_600.0
MOST_RATE_PER_S = 1e12
_NEEDED = ("input_tokens", "output_tokens")
LATER = ("think_ms", "new_tokens", "kept_ratio", "regenerate")
"""What a conversation's later turns are like; the first two are needed."""
RATIOS = ("reason_ratio", "kept_ratio")
"""Fields that are shares."""
_HINTS = {
    "ratio": "; a number or an empirical table can be so",
    "turns": "; bound a law, as in 'truncated:of=(lognormal:mean=4,cv=9),most=100'",
}
MAY_BE_NONE = ("image_count", "audio_count", "video_count", "think_ms", "shared_tokens")
"""Fields that may be 0."""


@dataclass(frozen=True)
class Windows:
    """What one client does in each of W windows; the columns of :class:`ClientPool`, and a family's name."""

    family: str
    rate_per_s: Floats
    cv: Floats
    first_parameter: Floats
    second_parameter: Floats


class OwnClient(Protocol):
    """What a pool is made of: a :class:`Client`, or a client that was recorded."""

    stated: ClassVar[bool]

    @property
    def name(self) -> str:
        """How the client is told from the others."""

    def windows(self, edge_s: Floats) -> Windows:
        """Rate and rhythm between each two neighbouring edges."""

    def slots(self, edge_s: Floats) -> Mapping[str, Sequence[Length | None]]:
        """For each field the lengths between each two neighbouring edges."""


@dataclass(frozen=True)
class Client:
    """A client stated as laws.

    ``rate`` is in requests a second: a number, a curve as (time in s, rate) points or as the path of a CSV of them
    (linear between points, constant beyond). ``arrivals`` and each of ``lengths`` is a part, or its text; a length may
    be a number, for ``regenerate`` a probability. The keys of ``lengths`` are ``FIELDS``, of which input and output are
    needed; :mod:`groundswell.clients.conversation` has shorthands for those of conversations and shared prefixes. The
    arrivals of a client that converses are those of conversations' first requests; its rate stays requests a second.

    >>> Client("chat", 2.5, "gamma:cv=3", {"input_tokens": "lognormal:mean=800,cv=1.5", "output_tokens": 200}).process
    Gamma(cv=3.0)
    """

    name: str
    rate: float | str | Path | Sequence[tuple[float, float]] | Curve
    arrivals: Process | str = "poisson"
    lengths: Mapping[str, Length | str | float] = field(default_factory=dict)
    stated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_name(self.name)
        try:
            if not isinstance(self.lengths, Mapping):
                raise UsageError(f"lengths must map fields to laws, not be {self.lengths!r}")
            object.__setattr__(self, "rate", _curve_of(self.rate))
            if max(self.curve.rate_per_s) > MOST_RATE_PER_S:
                raise UsageError(
                    f"rate {max(self.curve.rate_per_s):g} is too large; at most {MOST_RATE_PER_S:g} requests/s"
                )
            object.__setattr__(self, "arrivals", self.process)
            object.__setattr__(self, "lengths", {f: _length_for(f, given) for f, given in self.lengths.items()})
            check_fields(self.lengths)
        except UsageError as fault:
            raise UsageError(f"client {self.name!r}: {fault}") from fault

    @classmethod
    def from_records(cls, name: str, arrival_s: ArrayLike, columns: Mapping[str, ArrayLike]) -> RecordedClient:
        """A client with a trace and a dataset of its own: when it sent, and for each field each request's length."""
        from groundswell.clients.recorded import RecordedClient

        return RecordedClient(name, np.asarray(arrival_s), {f: np.asarray(values) for f, values in columns.items()})

    @property
    def curve(self) -> Curve:
        """The rate over time."""
        return _curve_of(self.rate)

    @property
    def process(self) -> Process:
        """The arrival process, at unit rate."""
        process = ARRIVALS.build(self.arrivals) if isinstance(self.arrivals, str) else self.arrivals
        if not all(hasattr(process, name) for name in ("fill", "first", "shapes", "parameters", "cv")):
            raise UsageError(f"arrivals must be a text such as 'gamma:cv=3', or a part; not {process!r}")
        return process

    def windows(self, edge_s: Floats) -> Windows:
        """The curve's mean in each window; the same rhythm in all."""
        process, like = self.process, np.ones(edge_s.size - 1)
        first, second = process.parameters()
        family = ARRIVALS.text(process).partition(":")[0]
        return Windows(family, window_means(self.curve, edge_s), like * process.cv, like * first, like * second)

    def slots(self, edge_s: Floats) -> Mapping[str, Sequence[Length | None]]:
        """The same lengths in all slots."""
        return {name: [length_of(given)] * (edge_s.size - 1) for name, given in self.lengths.items()}


def pool_of(
    clients: Sequence[OwnClient], span_s: float = 86_400.0, window_s: float = 600.0, start_s: float = 0.0
) -> ClientPool:
    """A pool of ``clients`` over the whole windows that cover ``span_s`` seconds from ``start_s``."""
    clients = tuple(clients)
    if not clients:
        raise UsageError("a pool needs at least one client")
    if not (np.isfinite(start_s) and 0 < span_s < math.inf and 0 < window_s < math.inf):
        raise UsageError(
            f"a pool has a span and windows of more than 0 s, not {span_s:g} s in windows of {window_s:g} s"
        )
    names = tuple(client.name for client in clients)
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise UsageError(f"two clients are called {twice!r}; names must be distinct")
    edge_s = _edges(start_s, span_s, window_s)
    windows = [client.windows(edge_s) for client in clients]
    families = tuple(sorted({column.family for column in windows}))
    slot_edge_s = _edges(edge_s[0], edge_s[-1] - edge_s[0], SLOT_S)
    fields, table, lengths = _tables([client.slots(slot_edge_s) for client in clients], slot_edge_s.size - 1)
    return ClientPool(
        names=names,
        rate_per_s=np.array([column.rate_per_s for column in windows]),
        cv=np.array([column.cv for column in windows], np.float32),
        family=np.array([[families.index(column.family)] for column in windows], np.uint8).repeat(
            edge_s.size - 1, axis=1
        ),
        first_parameter=np.array([column.first_parameter for column in windows], np.float32),
        second_parameter=np.array([column.second_parameter for column in windows], np.float32),
        families=families,
        stated=np.array([client.stated for client in clients]),
        fields=fields,
        table=table,
        lengths=lengths,
        start_s=float(edge_s[0]),
        window_s=float(window_s),
        slot_s=SLOT_S,
        origin={"kind": "clients", "clients": len(clients)},
    )


def window_means(curve: Curve, edge_s: Floats) -> Floats:
    """The mean of ``curve`` between each two neighbouring edges, exactly."""
    time_s = np.union1d(edge_s, np.clip(curve.time_s, edge_s[0], edge_s[-1]))
    rate = np.interp(time_s, curve.time_s, curve.rate_per_s)
    area = np.concatenate([[0.0], np.cumsum((0.5 * rate[1:] + 0.5 * rate[:-1]) * np.diff(time_s))])
    means: Floats = np.diff(area[np.searchsorted(time_s, edge_s)]) / np.diff(edge_s)
    return np.maximum(means, 0.0)


def check_name(name: Any) -> None:
    """Raise a ``UsageError`` unless ``name`` can be a client's name."""
    if not (isinstance(name, str) and name.strip()):
        raise UsageError(f"a client's name must be a text that is not empty, not {name!r}")


def check_fields(given: Mapping[str, Any]) -> None:
    """Raise a ``UsageError`` unless a client can have lengths for just these fields."""
    for name in given:
        if name not in FIELDS:
            raise UsageError(f"lengths has no field {name!r}; it has {', '.join(FIELDS)}")
    for name in _NEEDED:
        if name not in given:
            raise UsageError(f"lengths for {name} are missing; a client needs {' and '.join(_NEEDED)}")
    for kind in ("image", "audio", "video"):
        if (f"{kind}_tokens" in given) != (f"{kind}_count" in given):
            raise UsageError(
                f"{kind}_count (items a request) and {kind}_tokens (size of an item) come together or not at all"
            )
    if "turns" not in given and (later := [name for name in LATER if name in given]):
        raise UsageError(f"{later[0]} is of the later turns of conversations; give turns (requests a conversation) too")
    if "turns" in given and (missing := [name for name in LATER[:2] if name not in given]):
        raise UsageError(f"a client with turns needs {missing[0]} too: what its later turns are like")


def fault_of(name: str, values: Floats) -> str:
    """What is wrong with ``values`` as lengths of field ``name``, or nothing."""
    if name == "regenerate":
        wrong = (values != 0) & (values != 1)
        told = "regenerate must be a probability, or values of 0 and 1"
        return f"{told}, not {values[wrong.argmax()]:g}" if wrong.any() else ""
    least, most, whole = (0.0, 1.0, False) if name in RATIOS else (float(name not in MAY_BE_NONE), 2**24, True)
    most = MOST_TURNS if name == "turns" else most
    wrong = ~((values >= least) & (values <= most)) | (whole & (values != np.rint(values)))
    if not wrong.any():
        return ""
    kind = "whole numbers" if whole else "numbers"
    return f"{name} must be {kind} between {least:g} and {most:.0f}, not {values[wrong.argmax()]:g}"


def _length_for(name: str, given: Length | str | float) -> Length:
    try:
        length = length_of(yes_or_no(given) if name == "regenerate" else given)
    except UsageError as fault:
        raise UsageError(f"{name}: {fault}") from fault
    if wrong := _fault_of_law(name, length):
        hint = _HINTS.get(name, _HINTS["ratio"] if name in RATIOS else "")
        raise UsageError(wrong + hint)
    return length


@lru_cache(maxsize=1024)
def _fault_of_law(name: str, length: Length) -> str:
    """:func:`fault_of` for all values that ``length`` can have; clients by the thousand share a few laws."""
    return fault_of(name, atoms(length)[0]) if name in FIELDS else ""


def _curve_of(rate: Any) -> Curve:
    if isinstance(rate, Curve):
        return rate
    if isinstance(rate, (int, float)) and not isinstance(rate, bool):
        return constant(float(rate))
    if isinstance(rate, (str, Path)):
        return Curve.read(rate)
    try:
        points = np.asarray(rate, np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 2:
        raise UsageError(
            f"rate must be a number, a list of (time in s, rate) points or the path of a CSV, not {rate!r}"
        )
    return Curve(tuple(points[:, 0].tolist()), tuple(points[:, 1].tolist()))


def _edges(start_s: float, span_s: float, cell_s: float) -> Floats:
    """Multiples of ``cell_s``: the edges of the cells that overlap a span."""
    first = math.floor(start_s / cell_s + 1e-9)
    last = max(math.ceil((start_s + span_s) / cell_s - 1e-9), first + 1)
    return np.arange(first, last + 1, dtype=np.float64) * cell_s


def _tables(
    slots: Sequence[Mapping[str, Sequence[Length | None]]], count: int
) -> tuple[tuple[str, ...], NDArray[np.int32], LengthTables]:
    """The fields that any client has, the number of every client's table for each slot and field, and the tables."""
    fields = tuple(name for name in FIELDS if any(name in held for held in slots))
    number: dict[Length, int] = {}
    table = np.full((len(slots), count, len(fields)), -1, np.int32)
    for c, held in enumerate(slots):
        for name, lengths in held.items():
            of_slot = [-1 if length is None else number.setdefault(length, len(number)) for length in lengths]
            table[c, :, fields.index(name)] = of_slot
    return fields, table, LengthTables.of([atoms(length) for length in number])
