"""A fleet stated in a TOML file; ``examples/fleet.toml`` is one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from groundswell.errors import DataError, UsageError
from groundswell.routing import ROUTING
from groundswell.simulate.spec import (
    FailuresSpec,
    FleetSpec,
    OutageSpec,
    PoolSpec,
    ScalingSpec,
    StageSpec,
    Stated,
    TransferSpec,
    seconds,
)

Part = TypeVar("Part", bound=msgspec.Struct)

LISTS: dict[str, type[msgspec.Struct]] = {"pool": PoolSpec, "stage": StageSpec, "outage": OutageSpec}
"""Tables that there can be several of, ``[[pool]]`` and so on."""
TABLES: dict[str, type[msgspec.Struct]] = {
    "transfer": TransferSpec,
    "failures": FailuresSpec,
    "scaling": ScalingSpec,
}
_AT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<key>[^`]*)`)?$", re.DOTALL)


def read_fleet(path: str | Path) -> FleetSpec:
    """What a file states. Raises UsageError where there is none, DataError with the place of what is wrong in it."""
    path = Path(path)
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # TOMLDecodeError, or a number of thousands of digits
        raise DataError(f"{path}: not TOML: {fault}") from fault
    file = _File(path, text)
    rest = {key: value for key, value in content.items() if key not in LISTS and key not in TABLES}
    parts: dict[str, Any] = {name: tuple(file.all_of(name, content[name])) for name in LISTS if name in content}
    parts |= {name: file.one(name, 0, content[name], TABLES[name]) for name in TABLES if name in content}
    spec = msgspec.structs.replace(file.one("", 0, rest, FleetSpec), **parts)
    try:
        Stated.of(spec, path.parent)
    except UsageError as fault:
        raise DataError(f"{path}: {fault}") from fault
    return spec


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise DataError(f"{path}: is not text in UTF-8, so not TOML") from fault
    except OSError as fault:
        raise UsageError(f"{path}: cannot be read: {fault.strerror}") from fault


class _File:
    """The file, which knows on which line a key of a table is, where it is written as one expects."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.lines = path, text.splitlines()

    def all_of(self, name: str, tables: Any) -> Iterator[msgspec.Struct]:
        """The tables of a list."""
        if not isinstance(tables, list):
            raise DataError(
                f"{self._place(name, 0)}: {name} is a list: a line [[{name}]] with its keys below, for each"
            )
        for number, table in enumerate(tables):
            yield self.one(name, number, table, LISTS[name])

    def one(self, name: str, number: int, table: Any, kind: type[Part]) -> Part:
        """A table as what it is, whose parts can be meant."""
        if not isinstance(table, dict):
            raise DataError(f"{self._place(name, number)}: {name} is a table: a line [{name}] with its keys below")
        known = [field.encode_name for field in msgspec.structs.fields(kind)]
        for key in table:
            if key not in known:
                there = f"[{name}]" if name in TABLES else f"[[{name}]]" if name else "a fleet"
                raise DataError(
                    f"{self._place(name, number, key)}: unknown key {key!r}; {there} has {', '.join(known)}"
                )
        try:
            found = msgspec.convert(table, kind)
        except msgspec.ValidationError as fault:
            said = _AT.match(str(fault))
            key, what = (said["key"] or "", said["what"]) if said else ("", str(fault))
            raise DataError(
                f"{self._place(name, number, key)}: {f'{key}: ' if key else ''}{_plain(what, kind, key)}"
            ) from None
        self._check(name, number, found)
        return found

    def _check(self, name: str, number: int, found: Any) -> None:
        """What the types cannot say."""
        meant: dict[str, Callable[[], object]] = {
            "": lambda: (seconds(found.view), seconds(found.retry), ROUTING.build(found.router)),
            "pool": lambda: found.pool(self.path.parent, number),
            "stage": lambda: found.stage(),
            "transfer": lambda: found.transfer(),
            "outage": lambda: found.outage(),
            "scaling": lambda: found.scaling(),
        }
        try:
            meant.get(name, lambda: None)()
        except (UsageError, DataError) as fault:
            raise DataError(f"{self._place(name, number)}: {fault}") from fault

    def _place(self, name: str, number: int, key: str = "") -> str:
        """The file, and the line of a key in a table, or of the table's heading."""
        heading, seen, line_of_heading = re.compile(r"\s*\[+\s*([^\[\]]*?)\s*\]"), -1, 0
        inside = ""
        for line, text in enumerate(self.lines, start=1):
            if found := heading.match(text):
                inside = found[1]
                seen += inside == name
                if inside == name and seen == number:
                    line_of_heading = line
            elif inside == name and seen == (number if name else -1) and key and _has(text, key):
                return f"{self.path}:{line}"
        return f"{self.path}:{line_of_heading}" if line_of_heading else str(self.path)


def _has(line: str, key: str) -> bool:
    return re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line) is not None


def _plain(fault: str, kind: type[msgspec.Struct], key: str) -> str:
    """Of msgspec's words those that say what would be right."""
    text = fault.replace("`", "").replace("Object missing required field", "is missing:")
    if "enum value" in text:
        words = next(get_args(field.type) for field in msgspec.structs.fields(kind) if field.encode_name == key)
        text += f"; it can be {', '.join(words)}"
    return text[:1].lower() + text[1:]
