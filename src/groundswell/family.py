"""How interchangeable parts are found, and built from text such as ``gamma:cv=2``.

A family is a folder with one file per part. Each file registers its part under the file's own name, so the names are
known from the folder alone, and a part's code is loaded when it is first asked for.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from groundswell.errors import UsageError

Part = TypeVar("Part")


def part_names(folder: Path) -> tuple[str, ...]:
    """The names of the parts in ``folder``, sorted: its modules, without packages and those that begin with ``_``."""
    found = pkgutil.iter_modules([str(folder)])
    return tuple(sorted(m.name for m in found if not m.ispkg and not m.name.startswith("_")))


class Family(Generic[Part]):
    """The parts of one kind, by name: ``Family("arrivals", "groundswell.arrivals")``."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._parts: dict[str, type[Part]] = {}

    def register(self, name: str) -> Callable[[type[Part]], type[Part]]:
        """A decorator that makes a class the part called ``name``, which is also its file's name."""

        def keep(part: type[Part]) -> type[Part]:
            self._parts[name] = part
            return part

        return keep

    def names(self) -> tuple[str, ...]:
        """The parts' names, sorted, read from the folder without loading any of them."""
        return part_names(Path(str(sys.modules[self.package].__file__)).parent)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __getitem__(self, name: str) -> type[Part]:
        if name not in self._parts:
            if name not in self.names():
                raise UsageError(f"{self.kind} has no {name!r}; it has {', '.join(self.names())}")
            importlib.import_module(f"{self.package}.{name}")
        return self._parts[name]

    def build(self, text: str) -> Part:
        """The part that ``name:key=value,key=value`` describes; a value is a number, or else text.

        >>> from groundswell.arrivals import ARRIVALS
        >>> ARRIVALS.build("gamma:cv=3")
        Gamma(cv=3.0)
        """
        name, _, rest = (piece.strip() for piece in text.partition(":"))
        part = self[name]
        fields = {f.name: f for f in dataclasses.fields(part)}  # type: ignore[arg-type]
        values: dict[str, Any] = {}
        for item in filter(None, (piece.strip() for piece in _split(rest))):
            key, equals, value = (piece.strip() for piece in item.partition("="))
            if not equals or key not in fields:
                raise UsageError(f"{text!r}: {self._takes(name)}, not {item!r}")
            if key in values:
                raise UsageError(f"{text!r}: {key} is given twice")
            values[key] = _number_or_text(value)
            if _is_number(fields[key]) and isinstance(values[key], str):
                raise UsageError(f"{text!r}: {key} must be a number, not {value!r}; {self._takes(name)}")
        missing = [key for key, field in fields.items() if key not in values and _is_needed(field)]
        if missing:
            raise UsageError(f"{text!r}: {' and '.join(missing)} missing; {self._takes(name)}")
        try:
            return part(**values)
        except TypeError as fault:
            raise UsageError(f"{text!r}: {self._takes(name)}") from fault

    def text(self, part: Part) -> str:
        """The text that :meth:`build` makes an equal part of; parameters at their defaults are left out.

        >>> from groundswell.arrivals import ARRIVALS
        >>> ARRIVALS.text(ARRIVALS.build("onoff:duty=0.1,burst=10"))
        'onoff:duty=0.1'
        """
        name = next(name for name, kind in self._parts.items() if type(part) is kind)
        fields = dataclasses.fields(part)  # type: ignore[arg-type]
        given = [f"{f.name}={self._shown(getattr(part, f.name))}" for f in fields if getattr(part, f.name) != f.default]
        return f"{name}:{','.join(given)}" if given else name

    def _shown(self, value: Any) -> str:
        if type(value) in self._parts.values():
            return f"({self.text(value)})"
        if isinstance(value, tuple):
            return f"({','.join(map(self._shown, value))})"
        return f"({value})" if isinstance(value, str) else repr(float(value)).removesuffix(".0")

    def _takes(self, name: str) -> str:
        return f"{name} takes {self.signature(name)}"

    def signature(self, name: str) -> str:
        """The parameters of a part and their defaults, as the command line and the docs show them."""
        fields = dataclasses.fields(self[name])  # type: ignore[arg-type]
        shown = [f.name if f.default is dataclasses.MISSING else f"{f.name}={f.default}" for f in fields]
        return ", ".join(shown) or "no parameters"


def _is_number(field: dataclasses.Field[Any]) -> bool:
    """Whether a parameter is a number and nothing else."""
    return field.type in (float, int, "float", "int")


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _split(text: str) -> list[str]:
    """The pieces of ``text`` between commas that stand outside brackets."""
    pieces, depth, start = [], 0, 0
    for i, mark in enumerate(text):
        depth += (mark in "([") - (mark in ")]")
        if mark == "," and depth == 0:
            pieces.append(text[start:i])
            start = i + 1
    return [*pieces, text[start:]]


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text[1:-1] if text[:1] == "(" and text[-1:] == ")" else text
