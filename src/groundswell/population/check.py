"""What the types of a population's file cannot say: that its tables fit together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundswell.population.law import Population, Rows

SHAPE_SIZE = 11
CELLS = 9
_FIELDS = ("input_tokens", "output_tokens")
_LARGEST_CV = 1000.0
_LARGEST_TOKENS = 2**24


def check(population: Population) -> None:
    """Raise ValueError, saying which key is wrong and what would be right, unless the tables fit together."""
    strata, rates = population.strata, population.rates
    _rising("strata.first_rank", strata.first_rank)
    if strata.first_rank[0] != 1:
        raise ValueError(f"strata.first_rank begins at rank 1, not {strata.first_rank[0]}")
    _rising("rates.rank", rates.rank)
    if rates.rank[0] != 1 or len(rates.rank) != len(rates.rate_per_s):
        raise ValueError("rates.rank begins at 1 and has one rate_per_s for each rank")
    if not all(isfinite(rate) and rate > 0 for rate in rates.rate_per_s):
        raise ValueError("rates.rate_per_s are numbers above 0")
    if population.agents:
        _check_agents(population)
    elif missing := [name for name in _FIELDS if name not in population.fields]:
        raise ValueError(f"lengths has no field {missing[0]!r}; a population has at least {' and '.join(_FIELDS)}")
    for name, rows in population.properties().items():
        _table(name, rows, len(strata.first_rank), CELLS)
    _range("activity.memory", population.activity.memory, -1.0, 1.0)
    if len(population.activity.busiest) != len(strata.first_rank) or not all(
        v > 0 for v in population.activity.busiest
    ):
        raise ValueError(f"activity.busiest has {len(strata.first_rank)} numbers (strata) above 0")
    _range("activity.share", population.activity.share, 0.0, 1.0)
    _range("activity.follows", population.activity.follows, -1.0, 1.0)
    _range("noise.memory", population.noise.memory, -1.0, 1.0)
    _range("burstiness.cv", population.burstiness.cv, 0.0, _LARGEST_CV)
    for name, shape in [
        ("noise.shape", population.noise.shape),
        ("burstiness.shape", population.burstiness.shape),
        *((f"lengths {one.field}: shape", one.shape) for one in population.lengths),
    ]:
        if len(shape) != SHAPE_SIZE or list(shape) != sorted(shape):
            raise ValueError(f"{name} has {SHAPE_SIZE} numbers that never fall")
    if any(not value > 0 for value in (*population.rhythm.hour, *population.rhythm.day)):
        raise ValueError("rhythm.hour and rhythm.day are numbers above 0")
    if len(population.rhythm.day) not in (0, 7):
        raise ValueError(f"rhythm.day has 7 numbers or none, not {len(population.rhythm.day)}")
    if len(population.burstiness.weibull) not in (0, 4):
        raise ValueError(f"burstiness.weibull has 4 numbers or none, not {len(population.burstiness.weibull)}")
    for first, second, value in population.dependence.pairs:
        for name in (first, second):
            if name != "rate" and name not in population.properties():
                raise ValueError(
                    f"dependence.pairs: no property {name!r}; there are {', '.join(population.properties())}"
                )
        if not -1 < value < 1:
            raise ValueError(f"dependence.pairs: {first} and {second} have a correlation between -1 and 1, not {value}")


def _check_agents(population: Population) -> None:
    agents = population.agents
    assert agents is not None  # noqa: S101
    if population.fields or population.conversations:
        raise ValueError("a population of agents has no lengths, counts, reasoning or conversations beside agents")
    for name in agents.__struct_fields__:
        value = getattr(agents, name)
        if not isinstance(value, tuple):
            continue
        median, spread, most = value
        if not (0 < median <= most and 0 <= spread <= 5 and most <= _LARGEST_TOKENS):
            raise ValueError(
                f"agents.{name} is a median above 0, a spread from 0 to 5 and a largest value from the median up to "
                f"{_LARGEST_TOKENS:,}, not {median:g}, {spread:g}, {most:g}"
            )
    if agents.beginning_tokens[0] >= agents.first_tokens[0]:
        raise ValueError("agents.first_tokens has a median above that of beginning_tokens, which it begins with")
    if agents.beginning_tokens[2] >= agents.most_context_tokens:
        raise ValueError("agents.beginning_tokens lie below most_context_tokens")
    if agents.calls > 1 and agents.tools < agents.calls - 1:
        raise ValueError(f"agents.tools is at least {agents.calls - 1:g}: one between each two calls")


def _rising(name: str, values: Sequence[float]) -> None:
    if any(b <= a for a, b in pairwise(values)):
        raise ValueError(f"{name} must rise")


def _table(name: str, rows: Rows, height: int, width: int) -> None:
    if len(rows) != height or any(len(row) != width for row in rows):
        raise ValueError(f"the table of {name} has {height} rows (strata) of {width} numbers")
    if any(not isfinite(value) for row in rows for value in row):
        raise ValueError(f"the table of {name} holds only finite numbers")
    if any(list(row) != sorted(row) for row in rows):
        raise ValueError(f"each row of the table of {name} must never fall")
    if not name.endswith(("follows", "memory")) and any(row[0] < 0 for row in rows):
        raise ValueError(f"the table of {name} holds only numbers of at least 0")


def _range(name: str, rows: Rows, low: float, high: float) -> None:
    if any(not low <= value <= high for row in rows for value in row):
        raise ValueError(f"{name} lies between {low:g} and {high:g}")
