"""Lengths drawn from values that were seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from groundswell.errors import DataError, UsageError
from groundswell.lengths import LARGEST_TOKENS, LENGTHS, Floats
from groundswell.number_csv import read_numbers

_MOST_ATOMS = 16_384


@LENGTHS.register("empirical")
@dataclass(frozen=True)
class Empirical:
    """The values of a table, each in proportion to its weight (all alike where no weights are given).

    Values need not be whole, so a ratio can have a table too. They come from Python, from text
    (``empirical:values=(128,256),weights=(1,3)``), or from a CSV ``file``: a column of values, perhaps one of weights.
    """

    values: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    file: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _numbers("values", self.values))
        object.__setattr__(self, "weights", _numbers("weights", self.weights))
        if not isinstance(self.file, str):
            raise UsageError(f"empirical: file must be a path, not {self.file!r}")
        if bool(self.file) == bool(self.values):
            raise UsageError("empirical: give either values or a file of them")
        if self.file and self.weights:
            raise UsageError("empirical: a file brings its own weights, as a second column")
        _ = self._table  # a table that cannot be is told of here

    @cached_property
    def _table(self) -> tuple[Floats, Floats, Floats]:
        """Rising distinct values, the mass up to and with each, and the partial mean up to and with each."""
        value, weight = _read(self.file) if self.file else (np.array(self.values), np.array(self.weights))
        fault = _fault(value, weight)
        if fault:
            raise DataError(f"{self.file}: {fault}") if self.file else UsageError(f"empirical: {fault}")
        value, which = np.unique(value, return_inverse=True)
        mass = np.bincount(which, weights=weight if weight.size else None).astype(np.float64)
        value, mass = value[mass > 0], mass[mass > 0] / mass.sum()
        return value, np.cumsum(mass), np.cumsum(value * mass)

    @property
    def mean(self) -> float:
        """The weighted mean of the values."""
        return float(self._table[2][-1])

    def cdf(self, tokens: Floats) -> Floats:
        """P(X <= tokens), element by element."""
        return self._up_to(tokens, self._table[1])

    def moment(self, tokens: Floats) -> Floats:
        """E[X · 1(X <= tokens)], element by element."""
        return self._up_to(tokens, self._table[2])

    def _up_to(self, tokens: Floats, running: Floats) -> Floats:
        return np.concatenate([[0.0], running])[np.searchsorted(self._table[0], tokens, side="right")]

    def atoms(self) -> tuple[Floats, Floats]:
        """The distinct values themselves; of more than 16,384, neighbours of like mass share an atom at their mean."""
        return grouped(*self._table)


def grouped(value: Floats, mass: Floats, moment: Floats) -> tuple[Floats, Floats]:
    """Atoms of the law with these rising values, running masses and running partial means: at most 16,384 of them."""
    last = np.arange(value.size)
    if value.size > _MOST_ATOMS:
        group = np.ceil(mass * _MOST_ATOMS * (1.0 - 1e-12))
        last = np.append(np.flatnonzero(np.diff(group)), value.size - 1)
    first = np.concatenate([[0], last[:-1] + 1])
    share = np.diff(mass[last], prepend=0.0)
    mean = np.clip(np.diff(moment[last], prepend=0.0) / share, value[first], value[last])
    whole = (value == np.rint(value)).all()
    return np.where(first == last, value[last], np.rint(mean) if whole else mean), share / share.sum()


def _numbers(name: str, given: Any) -> tuple[float, ...]:
    """``given`` as a tuple of floats: a number, numbers, or a text of them between commas."""
    items = given.split(",") if isinstance(given, str) else np.atleast_1d(np.asarray(given, object)).tolist()
    try:
        return tuple(map(float, items))
    except (TypeError, ValueError) as fault:
        raise UsageError(f"empirical: {name} must be numbers such as (128,256,512), not {given!r}") from fault


def _read(file: str) -> tuple[Floats, Floats]:
    columns = read_numbers(file).columns
    if len(columns) > 2:
        raise DataError(f"{file}: has {len(columns)} columns; expected one of values, and perhaps one of weights")
    return columns[0], columns[1] if len(columns) == 2 else np.empty(0)


def _fault(value: Floats, weight: Floats) -> str:
    """What is wrong with a table, or nothing."""
    if not (np.isfinite(value) & (value >= 0) & (value <= LARGEST_TOKENS)).all():
        return f"values must be numbers between 0 and {LARGEST_TOKENS}"
    if weight.size and weight.size != value.size:
        return f"{value.size} values have {weight.size} weights; give one to each, or none"
    if weight.size and not ((np.isfinite(weight) & (weight >= 0)).all() and weight.sum() > 0):
        return "weights must be numbers not below 0, and not all 0"
    return ""
