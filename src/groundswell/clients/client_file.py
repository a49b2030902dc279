"""Clients of a user's own, from a TOML file; ``examples/clients.toml`` shows one."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

from groundswell.clients.client import Client, OwnClient, pool_of
from groundswell.clients.conversation import stated
from groundswell.clients.pool import ClientPool
from groundswell.clients.recorded import RecordedClient
from groundswell.errors import DataError, UsageError

_STATED = ("name", "rate", "arrivals", "lengths", "conversation", "prefix", "count")
_TABLES = ("lengths", "conversation", "prefix")
_HUGE = 2**63
_RECORDED = ("name", "trace", "count")


def read_clients(
    path: str | Path, span_s: float = 86_400.0, window_s: float = 600.0, start_s: float = 0.0
) -> ClientPool:
    """The pool that a TOML file's ``[[client]]`` tables state, laid out as :func:`pool_of` does.

    A client has a ``name``, a ``rate`` (number, points, or a CSV's path), ``arrivals`` and ``lengths`` as text, and
    perhaps tables ``conversation`` and ``prefix`` (:mod:`groundswell.clients.conversation`); or a ``trace``, the path
    of a CSV of its own requests. ``count`` makes that many clients of it, ``name-0`` and so on. Paths are relative to
    the file's folder.
    """
    path = Path(path)
    pool = pool_of(clients_of(path), span_s, window_s, start_s)
    return dataclasses.replace(pool, origin={**pool.origin, "file": path.name})


def clients_of(path: Path) -> list[OwnClient]:
    """The clients of a file, in its order."""
    tables, lines = _tables(path)
    clients: list[OwnClient] = []
    places: dict[str, str] = {}
    for number, table in enumerate(tables):
        place = f"{path}:{lines[number]}" if len(lines) == len(tables) else str(path)
        try:
            made = _clients(table, path.parent)
        except (UsageError, DataError) as fault:
            named = table.get("name", number + 1) if isinstance(table, dict) else number + 1
            text = str(fault).removeprefix(f"client {named!r}: ")
            raise DataError(f"{place}: client {named!r}: {text}") from fault
        for client in made:
            if client.name in places:
                raise DataError(f"{place}: there is already a client {client.name!r}, at {places[client.name]}")
            places[client.name] = place
        clients.extend(made)
    return clients


def _tables(path: Path) -> tuple[list[Any], list[int]]:
    """The file's client tables, and the lines they begin on (as far as they are written as ``[[client]]``)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except OSError as fault:
        raise UsageError(f"{path}: cannot be read: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise DataError(f"{path}: is not text in UTF-8, so not TOML") from fault
    except (ValueError, RecursionError) as fault:  # TOMLDecodeError, or a number of thousands of digits
        raise DataError(f"{path}: not TOML: {fault}") from fault
    unknown = [key for key in content if key != "client"]
    tables = content.get("client", [])
    if unknown or not isinstance(tables, list) or not tables:
        found = f"{unknown[0]!r}" if unknown else "none"
        raise DataError(f"{path}: expected [[client]] tables and nothing else, found {found}")
    heading = re.compile(r"\s*\[\[\s*client\s*\]\]")
    return tables, [i for i, line in enumerate(text.splitlines(), start=1) if heading.match(line)]


def _clients(table: Any, folder: Path) -> list[OwnClient]:
    if not isinstance(table, dict):
        raise UsageError(f"must be a table, not {table!r}")
    keys = _RECORDED if "trace" in table else _STATED
    for key in table:
        if key not in keys:
            raise UsageError(f"unknown key {key!r}; a client with a {keys[1]} has {', '.join(keys)}")
    for key in keys[:2]:
        if key not in table:
            raise UsageError(f"{key!r} is missing")
    texts = [table, *(part for name in _TABLES if isinstance(part := table.get(name), dict))]
    for key, value in (pair for part in texts for pair in part.items()):
        if isinstance(value, str) and not value.isprintable():
            raise UsageError(f"{key} holds a control character: {value!r}")
        if isinstance(value, int) and abs(value) >= _HUGE:
            raise UsageError(f"{key} is a number of {len(str(abs(value)))} digits; no rate, length or time is so large")
    count = table.get("count")
    if count is not None and not (type(count) is int and 1 <= count <= 10_000_000):
        raise UsageError(f"count must be a whole number from 1 to 10,000,000, not {count!r}")
    client = _recorded(table, folder) if "trace" in table else _stated(table, folder)
    return [client] if count is None else [_renamed(client, f"{client.name}-{i}") for i in range(count)]


def _recorded(table: dict[str, Any], folder: Path) -> RecordedClient:
    if not isinstance(table["trace"], str):
        raise UsageError(f"trace must be the path of a CSV, not {table['trace']!r}")
    return RecordedClient.read(table["name"], folder / table["trace"])


def _stated(table: dict[str, Any], folder: Path) -> Client:
    rate, arrivals = table["rate"], table.get("arrivals", "poisson")
    if not isinstance(arrivals, str):
        raise UsageError(f"arrivals must be a text such as 'gamma:cv=3', not {arrivals!r}")
    return Client(
        name=table["name"],
        rate=folder / rate if isinstance(rate, str) else rate,
        arrivals=arrivals,
        lengths=_fields(table, folder),
    )


def _fields(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The lengths of a client, with what its tables of conversations and shared beginnings say."""
    lengths = {name: _beside(folder, given) for name, given in _lengths(table).items()}
    said: dict[str, Any] = {}
    for name in ("conversation", "prefix"):
        if name in table:
            part = table[name]
            beside = {key: _beside(folder, given) for key, given in part.items()} if isinstance(part, dict) else part
            fields = stated({name: beside})
            for field in fields:
                if field in lengths:
                    raise UsageError(f"{field} is stated in lengths and in {name}; say it once")
            said |= fields
    return lengths | said


def _lengths(table: dict[str, Any]) -> dict[str, Any]:
    lengths = table.get("lengths", {})
    if not isinstance(lengths, dict):
        raise UsageError("lengths must be a table such as {input_tokens = 'lognormal:mean=800,cv=1.5'}")
    return lengths


def _beside(folder: Path, given: Any) -> Any:
    """A length's text with its ``file=`` made a path from ``folder``; in brackets, since a folder may hold a comma."""
    if not isinstance(given, str):
        return given
    return re.sub(r"\bfile\s*=\s*\(?([^,()]+)\)?", lambda found: f"file=({folder / found[1].strip()})", given)


def _renamed(client: OwnClient, name: str) -> OwnClient:
    return dataclasses.replace(client, name=name)  # type: ignore[type-var]
