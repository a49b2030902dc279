"""A population as TOML text: every figure with what it is, taken from the law's own definitions."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct, inspect

from groundswell.population.law import Population
from groundswell.population.tables import EDGES, SHAPE

_HEADER = """\
# A groundswell population: the law that the clients of a workload are drawn from.
# Figures fitted to a pool; no part of the pool's data is copied here.
# PARTS, the edges of the parts of a table's rows: {parts}
# SHAPE, the quantiles of the standardised shapes: {shape}
"""


def as_toml(population: Population) -> str:
    """The file's text; equal populations give equal texts."""
    lines = [_HEADER.format(parts=_numbers(EDGES), shape=_numbers(SHAPE))]
    tables: list[str] = []
    for name, note, value in _fields(population):
        if isinstance(value, Struct):
            tables.append(_table(f"[{name}]", value))
        elif value and isinstance(value, tuple) and isinstance(value[0], Struct):
            tables += [_table(f"[[{name}]]", one) for one in value]
        elif value not in (None, ()):
            lines.append(_entry(name, note, value))
    return "\n".join([*lines, *tables])


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{q:g}" for q in values)


def _table(head: str, value: Struct) -> str:
    what = [line.strip().replace("``", "") for line in (type(value).__doc__ or "").strip().splitlines()]
    return "\n".join(["", *(f"# {line}" for line in what if line), head, *(_entry(*field) for field in _fields(value))])


def _fields(value: Struct) -> list[tuple[str, str, Any]]:
    """Every field's name, description and value, in order."""
    described = inspect.type_info(type(value))
    assert isinstance(described, inspect.StructType)  # noqa: S101
    out = []
    for field in described.fields:
        note = ""
        if isinstance(field.type, inspect.Metadata):
            note = str((field.type.extra_json_schema or {}).get("description", ""))
        out.append((field.name, note, getattr(value, field.name)))
    return out


def _entry(name: str, note: str, value: Any) -> str:
    lines = [f"# {note}"] if note else []
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        rows = [f"  {_literal(row)}," for row in value]
        return "\n".join([*lines, f"{name} = [", *rows, "]"])
    return "\n".join([*lines, f"{name} = {_literal(value)}"])


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
        return f"{int(value)}.0"
    return repr(value)
