"""A ServeGen dataset read by the book: what its text holds, whatever the white space, the order and the escapes.

Slow, for files that the compiled reader does not recognise: they are merely written differently, or broken.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.clients.pool import FIELDS
from groundswell.errors import DataError

Floats = NDArray[np.float64]

FIELD_NAMES = (*FIELDS, "text_tokens")
"""Fields as the files call them; multimodal files call ``input_tokens`` so."""

_NUMBER = r"([+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:nan|inf(?:inity)?)))"
_ATOM = re.compile(rf"\s*{_NUMBER}\s*:\s*{_NUMBER}\s*(?:,\s*(?=[^\s}}])|,?\s*(\}})\s*\Z)")
_OPENING, _EMPTY = re.compile(r"\s*\{"), re.compile(r"\s*\{\s*\}\s*\Z")


@dataclass(frozen=True, eq=False)
class Parsed:
    """A dataset's distributions before anything is known of their meaning.

    Distribution ``d`` is of ``FIELD_NAMES[of_name[d]]`` in the slot that starts at ``slot_s[of_slot[d]]``, its atoms
    from ``first[d]`` to ``first[d + 1]``. Empty literals give no distribution.
    """

    slot_s: Floats
    of_slot: NDArray[np.int32]
    of_name: NDArray[np.int32]
    first: NDArray[np.int64]
    value: Floats
    weight: Floats


def parse_dataset(path: Path, raw: bytes) -> Parsed:
    """The dataset in ``raw``, the bytes of the file at ``path``; DataError for what no reading allows."""
    try:
        slots = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_Pairs)
    except json.JSONDecodeError as fault:
        raise DataError(f"{path}:{fault.lineno}: not JSON: {fault.msg}; the file is broken or was cut off") from None
    except (ValueError, RecursionError) as fault:
        raise DataError(f"{path}: not JSON: {fault}") from None
    slot_s: list[float] = []
    of_slot: list[int] = []
    of_name: list[int] = []
    tables: list[Floats] = []
    for slot, fields in _pairs(path, slots, "the file", "slots by their start in seconds"):
        for name, literal in _pairs(path, fields, f"slot {slot!r}", "fields by name"):
            try:
                table = _literal(name, literal)
            except ValueError as fault:
                raise DataError(f"{place_of(path, raw, slot, name)}: slot {slot!r}, {name}: {fault}") from None
            if len(table):
                of_slot.append(len(slot_s))
                of_name.append(FIELD_NAMES.index(name))
                tables.append(table)
        slot_s.append(_slot_start(path, slot))
    atoms = np.concatenate(tables) if tables else np.empty((0, 2))
    return Parsed(
        np.array(slot_s, np.float64),
        np.array(of_slot, np.int32),
        np.array(of_name, np.int32),
        np.cumsum([0, *map(len, tables)]),
        atoms[:, 0].copy(),
        atoms[:, 1].copy(),
    )


def place_of(path: Path, raw: bytes, slot: str, name: str) -> str:
    """``path:line`` of a slot's field, or ``path`` alone where the text does not show it plainly."""
    opening = re.search(rb'"%s"\s*:\s*\{' % re.escape(slot.encode()), raw)
    field = re.compile(rb'"%s"\s*:' % re.escape(name.encode())).search(raw, opening.end()) if opening else None
    return f"{path}:{raw.count(bytes([10]), 0, field.start()) + 1}" if field else str(path)


class _Pairs(tuple[tuple[str, Any], ...]):
    """A JSON object as it was written, a repeated name included."""


def _pairs(path: Path, found: Any, what: str, wanted: str) -> _Pairs:
    """``found`` if it is an object that has no name twice."""
    if not isinstance(found, _Pairs):
        raise DataError(f"{path}: {what} must be an object of {wanted}, not {type(found).__name__}")
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: {what} has {next(n for n in names if names.count(n) > 1)!r} twice")
    return found


def _slot_start(path: Path, slot: str) -> float:
    try:
        return float(slot)
    except ValueError:
        raise DataError(f"{path}: {slot!r} is no slot; a slot is named by its start in seconds: '21600'") from None


def _literal(name: str, text: Any) -> Floats:
    """Keys and numbers of the dict literal of field ``name``, shape [n, 2]; ValueError says what is wrong with it."""
    if name not in FIELD_NAMES:
        raise ValueError(f"no such field; there are {', '.join(FIELD_NAMES)}")
    if not isinstance(text, str):
        raise ValueError("must be text that holds a literal {tokens: probability, …}")
    if _EMPTY.match(text):
        return np.empty((0, 2))
    opening = _OPENING.match(text)
    place = opening.end() if opening else 0
    atoms = []
    while opening and (atom := _ATOM.match(text, place)):
        atoms.append((float(atom[1]), float(atom[2])))
        if atom[3]:
            return np.array(atoms)
        place = atom.end()
    shown = text[place : place + 30]
    found = f"{shown!r} stands after {len(atoms)} entries" if shown else f"it ends after {len(atoms)} entries"
    raise ValueError(f"not a literal {{tokens: probability, …}}: {found}")
