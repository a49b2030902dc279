"""The pool's distributions of lengths: one for each sender, stretch of slots, and field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.clients.pool import FIELDS
from groundswell.clients.session_values import KEPT_STEPS
from groundswell.fit.laws import LATER, OF_TALKS, Lines
from groundswell.fit.lengths import RATIO_STEPS, LengthTally
from groundswell.fit.likeness import Roster
from groundswell.fit.room import with_room
from groundswell.fit.sharing import buckets, means
from groundswell.length_tables import LengthTables, thresholds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SCALE = {"reason_ratio": RATIO_STEPS, "kept_ratio": KEPT_STEPS}
"""Steps to 1 of the fields that are told in steps."""


@dataclass(frozen=True, eq=False)
class Marginal:
    """A field over all requests (or items): how many have each value in the trace, and in the pool."""

    value: Floats
    count: Floats
    pool_value: Floats
    pool_count: Floats

    @property
    def distance(self) -> float:
        """The Kolmogorov–Smirnov distance of the two."""
        grid = np.union1d(self.value, self.pool_value)
        before, after = (
            np.cumsum(np.bincount(np.searchsorted(grid, value), count, grid.size)) / count.sum()
            for value, count in ((self.value, self.count), (self.pool_value, self.pool_count))
        )
        return float(np.abs(before - after).max())


@dataclass(frozen=True, eq=False)
class Lengths:
    """What a pool has of lengths: ``table`` [P, S, F] numbers the distributions, -1 for none."""

    fields: tuple[str, ...]
    table: NDArray[np.int32]
    tables: LengthTables
    marginals: dict[str, Marginal]
    left_out: tuple[str, ...]
    """Fields that too few requests have."""


@dataclass(frozen=True, eq=False)
class _Runs:
    """Distributions as runs of lines: run ``d`` is of sender ``sender[d]`` in the stretch that begins at slot
    ``stretch[d]``.
    """

    sender: Ints
    stretch: Ints
    first: Ints
    value: Ints
    n: Ints
    total: Ints
    support: Floats

    @classmethod
    def of(cls, frame: pl.DataFrame) -> _Runs:
        """From lines of ``sender``, ``stretch``, ``value`` and sums; equal lines are added."""
        keys = ["sender", "stretch", "value"]
        lines = frame.group_by(keys).agg(pl.exclude(keys).sum()).sort(keys)
        sender, stretch, value, n, total = (lines[key].to_numpy().astype(np.int64) for key in (*keys, "n", "total"))
        begins = np.flatnonzero((np.diff(sender, prepend=-2) != 0) | (np.diff(stretch, prepend=-2) != 0))
        return cls(
            sender[begins],
            stretch[begins],
            np.append(begins, sender.size).astype(np.int64),
            value,
            n,
            total,
            lines["support"].to_numpy().astype(np.float64),
        )

    def __len__(self) -> int:
        return self.sender.size

    @property
    def requests(self) -> Floats:
        """The support of each run."""
        return np.add.reduceat(self.support, self.first[:-1]) if len(self) else np.empty(0)

    @property
    def things(self) -> Ints:
        """How many requests or items each run is of."""
        return np.add.reduceat(self.n, self.first[:-1]) if len(self) else np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class _Field:
    """A field's distributions, and which one each run takes (-1 for none).

    ``otherwise`` is the one for a sender of which nothing is known.
    """

    first: Ints
    value: Ints
    mass: Ints
    number: Ints
    otherwise: int = -1


def build(
    tallies: Mapping[str, LengthTally],
    roster: Roster,
    stretch: Ints,
    first_slot: int,
    k: int,
    talks: Lines | None = None,
    apart: NDArray[np.bool_] | None = None,
) -> Lengths:
    """The distributions of ``tallies`` for senders whose slots are merged to ``stretch`` [P, S].

    Those of ``talks`` are put beside them: senders that converse have the input tokens of first prompts and, too, of
    the clients that ``apart`` [clients] marks.
    """
    table = np.full((*stretch.shape, len(FIELDS)), -1, np.int32)
    tables = LengthTables.empty()
    marginals, left_out = {}, []
    always = np.zeros_like(stretch)
    for f, field in enumerate(FIELDS):
        lines = _lines(field, tallies, roster, talks, apart)
        if lines is None or not lines.height:
            continue
        spans = always if field in OF_TALKS else stretch
        runs = _Runs.of(_in_stretches(lines, spans, 0 if field in OF_TALKS else first_slot))
        made = _shared(runs, k) if k > 1 else _exact(runs)
        if made.first.size == 1:
            left_out.append(field)
            continue
        scale = _SCALE.get(field, 1)
        marginals[field] = _marginal(runs, made, scale)
        numbered = np.where(made.number >= 0, made.number + tables.size, -1)
        column = _placed(runs, numbered, spans)
        if talks is not None and field in LATER and made.otherwise >= 0:
            column = np.where(talks.converses[:, None] & (column < 0), made.otherwise + tables.size, column)
        table[:, :, f] = column
        tables = tables.concat(_length_tables(made, scale))
    if talks is not None:
        table, tables = with_room(table, tables)
    held = (table >= 0).any(axis=(0, 1))
    fields = tuple(np.array(FIELDS)[held].tolist())
    return Lengths(fields, table[:, :, held], tables, marginals, tuple(left_out))


def _lines(
    field: str,
    tallies: Mapping[str, LengthTally],
    roster: Roster,
    talks: Lines | None,
    apart: NDArray[np.bool_] | None,
) -> pl.DataFrame | None:
    """A field's lines of ``sender``, ``slot``, ``value`` and sums."""
    if field not in tallies:
        return None if talks is None else talks.frames.get(field)
    lines = _of_senders(tallies[field].frame, roster)
    if field != "input_tokens" or talks is None or field not in talks.frames:
        return lines.drop("client")
    alone = ~talks.converses[lines["sender"].to_numpy()]
    if apart is not None:
        alone |= apart[lines["client"].to_numpy()]
    firsts = talks.frames[field]
    return pl.concat([lines.filter(pl.Series(alone)).select(firsts.columns), firsts])


def _of_senders(frame: pl.DataFrame, roster: Roster) -> pl.DataFrame:
    support = pl.col("support") if "support" in frame.columns else pl.col("n").cast(pl.Float64)
    sender = pl.Series("sender", roster.of[frame["client"].to_numpy()])
    whole = pl.col("slot", "value", "n", "total").cast(pl.Int64)
    return frame.select("client", sender, whole, support.alias("support"))


def _in_stretches(lines: pl.DataFrame, stretch: Ints, first_slot: int) -> pl.DataFrame:
    begin = stretch[lines["sender"].to_numpy(), lines["slot"].to_numpy() - first_slot]
    return lines.select("sender", pl.Series("stretch", begin), "value", "n", "total", "support")


def _exact(runs: _Runs) -> _Field:
    first, value, mass = means(runs.first, runs.n, runs.total)
    return _Field(first, value, mass, np.arange(len(runs)))


def _shared(runs: _Runs, k: int) -> _Field:
    """Distributions of runs of ``k`` requests or more. Runs of fewer are put together, those of one sender or, where it
    has too few, those of all; if even these are too few they take the distribution of most requests that there is.

    No request counts in two distributions, so none can be told from the difference of two.
    """
    few = _together(runs, runs.requests < k, by_sender=True)
    fewer = _together(few, few.requests < k, by_sender=False)
    made = [_where(level, level.requests >= k) for level in (runs, few, fewer)]
    number = np.full(len(runs), -1, np.int64)
    if any(map(len, made)):
        number[:] = _last_resort(made)
        of_sender = np.full(int(runs.sender.max()) + 1, -1, np.int64)
        of_sender[made[1].sender] = len(made[0]) + np.arange(len(made[1]))
        number = np.where(of_sender[runs.sender] >= 0, of_sender[runs.sender], number)
        number[runs.requests >= k] = np.arange(len(made[0]))
    parts = [buckets(one.first, one.n, one.total, one.support, k) for one in made]
    return _Field(
        np.concatenate([[0], *(_shifted(parts, i) for i in range(3))]).astype(np.int64),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]),
        number,
        _last_resort(made) if any(map(len, made)) else -1,
    )


def _last_resort(made: list[_Runs]) -> int:
    """What runs take of which those of one sender are too few: that of all such runs, or the largest that there is."""
    if len(made[2]):
        return len(made[0]) + len(made[1])
    return int(np.argmax(np.concatenate([one.requests for one in made])))


def _shifted(parts: list[tuple[Ints, Ints, Ints]], i: int) -> Ints:
    """The ends of part ``i``'s distributions, behind those of the parts before it."""
    return parts[i][0][1:] + sum(part[1].size for part in parts[:i])


def _together(runs: _Runs, chosen: NDArray[np.bool_], *, by_sender: bool) -> _Runs:
    """The chosen runs put together, those of each sender or all."""
    lines = np.repeat(chosen, np.diff(runs.first))
    sender = np.repeat(runs.sender, np.diff(runs.first))[lines]
    nothing = np.zeros(sender.size, np.int64)
    return _Runs.of(
        pl.DataFrame(
            {
                "sender": sender if by_sender else nothing,
                "stretch": nothing,
                "value": runs.value[lines],
                "n": runs.n[lines],
                "total": runs.total[lines],
                "support": runs.support[lines],
            }
        )
    )


def _where(runs: _Runs, keep: NDArray[np.bool_]) -> _Runs:
    sizes = np.diff(runs.first)
    lines = np.repeat(keep, sizes)
    first = np.concatenate([[0], np.cumsum(sizes[keep])]).astype(np.int64)
    return _Runs(
        runs.sender[keep],
        runs.stretch[keep],
        first,
        runs.value[lines],
        runs.n[lines],
        runs.total[lines],
        runs.support[lines],
    )


def _placed(runs: _Runs, number: Ints, stretch: Ints) -> NDArray[np.int32]:
    """[P, S]: the number of each slot's distribution."""
    at = np.full(stretch.shape, -1, np.int32)
    at[runs.sender, runs.stretch] = number
    return np.take_along_axis(at, stretch, axis=1)


def _length_tables(made: _Field, scale: int) -> LengthTables:
    value = (made.value / scale).astype(np.float32)
    return LengthTables(made.first, value, thresholds(made.first, made.mass.astype(np.float64)))


def _marginal(runs: _Runs, made: _Field, scale: int) -> Marginal:
    things = np.bincount(made.number[made.number >= 0], runs.things[made.number >= 0], made.first.size - 1)
    mass = np.add.reduceat(made.mass, made.first[:-1])
    drawn = np.asarray(made.mass * np.repeat(things / mass, np.diff(made.first)), np.float64)
    return Marginal(runs.total / runs.n / scale, runs.n.astype(np.float64), made.value / float(scale), drawn)
