"""The part of a trace that is meant: a span of its time, and the rows whose columns say what is asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from groundswell.errors import UsageError
from groundswell.table import Workload
from groundswell.units import parse_range, show_duration

_NAMES = ("client", "model")
_NUMBERS = ("conversation", "turn", "input_tokens", "output_tokens", "reason_tokens")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_KIND = "log_type"
"""BurstGPT's kinds of traffic, whose names end in " log" in its files."""
_SHOWN = 8

Test = Callable[[pl.DataFrame], pl.Series]


@dataclass(frozen=True)
class Selection:
    """From ``begin_s`` on and before ``end_s`` after the trace's first request, the rows that pass all ``filters``.

    A filter is a column and what it must say, as text: ``("model", "GPT-4")``, ``("failed", "no")``,
    ``("input_tokens", "100:2000")`` with both ends.
    """

    begin_s: float = 0.0
    end_s: float = math.inf
    filters: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def parse_filters(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """From ``column=value,column=value``; a comma that no ``column=`` follows is the value's own.

        >>> Selection.parse_filters(["model=GPT-4,log_type=API", "client=a,b"])
        (('model', 'GPT-4'), ('log_type', 'API'), ('client', 'a,b'))
        """
        found: list[tuple[str, str]] = []
        for text in texts:
            pieces = re.split(r",(?=\s*\w[\w ]*=)", text)
            for piece in pieces:
                name, equals, value = (part.strip() for part in piece.partition("="))
                if not (name and equals and value):
                    raise UsageError(f"--filter {text!r}: say COLUMN=VALUE, such as model=GPT-4")
                found.append((_plain(name), value))
        names = [name for name, _ in found]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UsageError(f"--filter: {twice[0]} is given twice")
        return tuple(found)


class Selected:
    """The rows of ``blocks`` that a selection means, in blocks whose time counts from the span's begin.

    Each time it is iterated, it iterates ``blocks``. Afterwards ``requests`` says how many rows there were, and
    ``covered_s`` how long the span is: to its end, or to the trace's last request where that is earlier. Raises
    UsageError where nothing is left, or a column is asked for that the trace does not have.
    """

    def __init__(self, blocks: Iterable[Workload], selection: Selection, where: str = "workload") -> None:
        self.blocks = blocks
        self.selection = selection
        self.where = where
        self.requests = 0
        self.covered_s = 0.0

    def __iter__(self) -> Iterator[Workload]:
        chosen = self.selection
        self.requests, latest_s = 0, 0.0
        names = _Names()
        for block in self.blocks:
            if not len(block):
                continue
            tests = [_test(block, name, value, names) for name, value in chosen.filters]
            arrival_s = block.arrival_s
            latest_s = float(arrival_s[-1])
            low, high = arrival_s.searchsorted([chosen.begin_s, chosen.end_s])
            frame = block.frame.slice(low, high - low)
            for test in tests:
                frame = frame.filter(test(frame))
            self.requests += frame.height
            if frame.height:
                yield Workload(frame.with_columns(pl.col("arrival_s") - chosen.begin_s), block.metadata)
            if latest_s >= chosen.end_s:
                break
        self.covered_s = min(latest_s, chosen.end_s) - chosen.begin_s
        if latest_s < chosen.begin_s:
            raise UsageError(f"{self.where}: ends at {show_duration(latest_s)}, before the span begins")
        if not self.requests:
            raise UsageError(self._nothing(names))

    def _nothing(self, names: _Names) -> str:
        """Why there is nothing, in words."""
        filters = " and ".join(f"{name}={value}" for name, value in self.selection.filters)
        if not filters:
            return f"{self.where}: has no request in the span"
        return f"{self.where}: no request has {filters}{names.said()}"


class _Names:
    """The first few values of the columns that hold names, for whom they do not hold what was asked for."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}

    def add(self, column: str, values: pl.Series) -> None:
        seen = self.seen.setdefault(column, [])
        seen += [value for value in values.head(_SHOWN + 1) if value is not None and value not in seen]

    def said(self) -> str:
        parts = [
            f"{name} is {', '.join(values[:_SHOWN])}{', …' if len(values) > _SHOWN else ''}"
            for name, values in self.seen.items()
            if values
        ]
        return f"; {'; '.join(parts)}" if parts else ""


def _plain(name: str) -> str:
    """A column's name as one types it: ``Log Type`` is ``log_type``."""
    return re.sub(r"\W+", "_", name.strip()).lower()


def _test(block: Workload, name: str, value: str, names: _Names) -> Test:
    """What tells the rows of a frame like ``block``'s whose column ``name`` says ``value``."""
    columns = block.frame.columns
    kind = _plain(str(block.metadata.get("client_is", "client")))
    if name == kind and name not in columns:
        return _client(block, name, value, names)
    if name in _NAMES and name in columns:
        if name == "client":
            return _client(block, name, value, names)
        names.add(name, block.frame[name].unique(maintain_order=True))
        return lambda frame: (frame[name] == value).fill_null(False)
    if name == "failed" and name in columns:
        if value.lower() not in _TRUTH:
            raise UsageError(f"--filter {name}={value}: say yes or no")
        return lambda frame: (frame[name] == _TRUTH[value.lower()]).fill_null(False)
    if name in _NUMBERS and name in columns:
        low, high = _range(name, value)
        return lambda frame: frame[name].is_between(low, high).fill_null(False)
    held = [column for column in (*_NAMES, "failed", *_NUMBERS) if column in columns]
    held += [kind] if kind not in held else []
    raise UsageError(f"--filter: the trace has no {name!r}; it has {', '.join(held)}")


def _client(block: Workload, name: str, value: str, names: _Names) -> Test:
    known = pl.Series(block.clients, dtype=pl.String)
    names.add(name, known)
    if name == _KIND:
        wanted = {value.lower(), f"{value.lower()} log"}
        codes: Any = known.str.to_lowercase().is_in(list(wanted)).arg_true()
    else:
        codes = (known == value).arg_true()
    return lambda frame: frame["client"].to_physical().cast(pl.UInt32).is_in(codes.implode())


def _range(name: str, value: str) -> tuple[float, float]:
    if ":" in value:
        return parse_range(value)
    try:
        number = float(value)
    except ValueError:
        raise UsageError(f"--filter {name}={value}: is no number, and no range such as 100:2000") from None
    return number, number
