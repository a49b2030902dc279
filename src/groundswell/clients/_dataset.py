"""One client's lengths as ServeGen publishes them: JSON of slots of fields of literals ``{tokens: probability, …}``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.clients._plain import FIELD_NAMES, Parsed, parse_dataset, place_of
from groundswell.clients._scan import PADDING, scan_dataset
from groundswell.clients.pool import FIELDS
from groundswell.errors import DataError
from groundswell.length_tables import thresholds
from groundswell.lengths import LARGEST_TOKENS

Floats = NDArray[np.float64]

_RATIO = FIELDS.index("reason_ratio")
_FIELD_OF_NAME = np.array([*range(len(FIELDS)), FIELDS.index("input_tokens")], np.int32)
_NAME_BYTES = np.frombuffer("".join(FIELD_NAMES).encode(), np.uint8)
_NAME_FIRST = np.cumsum([0, *map(len, FIELD_NAMES)])

_LATEST_S = 1e12
_SUM_WITHIN = 1e-4
_GOOD, _KEY, _WHOLE, _WEIGHT, _SUM, _TWICE, _FALLING = range(7)


@dataclass(frozen=True, eq=False)
class Dataset:
    """One client's distributions: number ``d`` is of ``FIELDS[field[d]]`` in the slot that starts at ``start_s[d]``."""

    slot_s: Floats  # the start of every slot in the file, empty ones too
    start_s: Floats
    field: NDArray[np.int32]
    first: NDArray[np.int64]  # atoms first[d] to first[d + 1]
    value: NDArray[np.float32]
    threshold: NDArray[np.uint32]


def read_dataset(path: Path, text: NDArray[np.uint8]) -> Dataset:
    """The dataset in ``text``, the padded bytes of the file at ``path``; DataError names slot and field of a fault."""
    parsed = _scanned(text) or parse_dataset(path, bytes(text[:-PADDING]))
    _check(path, text, parsed)
    return Dataset(
        parsed.slot_s,
        parsed.slot_s[parsed.of_slot],
        _FIELD_OF_NAME[parsed.of_name],
        parsed.first,
        parsed.value.astype(np.float32),
        thresholds(parsed.first, parsed.weight),
    )


def _scanned(text: NDArray[np.uint8]) -> Parsed | None:
    """What the compiled reader makes of the file; None if it is written in another way than it knows."""
    most = text.size // 4
    slot_s, value, weight = np.empty(most), np.empty(most), np.empty(most)
    of_slot, of_name = np.empty(most, np.int32), np.empty(most, np.int32)
    first = np.empty(most, np.int64)
    slots, n = scan_dataset(text, _NAME_BYTES, _NAME_FIRST, slot_s, of_slot, of_name, first, value, weight)
    if slots < 0:
        return None
    atoms = first[n]
    return Parsed(slot_s[:slots], of_slot[:n], of_name[:n], first[: n + 1], value[:atoms], weight[:atoms])


def _check(path: Path, text: NDArray[np.uint8], parsed: Parsed) -> None:
    """Sorts distributions whose values fall; DataError for what cannot be meant, or is there twice."""
    good = (parsed.slot_s >= 0) & (parsed.slot_s <= _LATEST_S)
    if not good.all():
        raise DataError(f"{path}: slot {parsed.slot_s[~good][0]:g} must start between 0 and {_LATEST_S:g} s")
    if np.unique(parsed.slot_s).size < parsed.slot_s.size:
        raise DataError(f"{path}: a slot is there twice; slots must have distinct starts")
    field = _FIELD_OF_NAME[parsed.of_name]
    if np.unique(parsed.of_slot * len(FIELDS) + field).size < field.size:
        raise DataError(f"{path}: a slot has both text_tokens and input_tokens; they are one field, so keep one")
    fault = np.empty(field.size, np.int8)
    _find_faults(parsed.first, field == _RATIO, parsed.value, parsed.weight, fault)
    falling = np.flatnonzero(fault == _FALLING)
    for d in falling.tolist():
        run = slice(parsed.first[d], parsed.first[d + 1])
        order = np.argsort(parsed.value[run], kind="stable")
        parsed.value[run], parsed.weight[run] = parsed.value[run][order], parsed.weight[run][order]
    if falling.size:
        _find_faults(parsed.first, field == _RATIO, parsed.value, parsed.weight, fault)
    if fault.any():
        d = int(np.argmax(fault > 0))
        slot, name = f"{parsed.slot_s[parsed.of_slot[d]]:.15g}", FIELD_NAMES[parsed.of_name[d]]
        what = _explain(parsed, d, int(fault[d]), 1 if field[d] == _RATIO else LARGEST_TOKENS)
        raise DataError(f"{place_of(path, bytes(text[:-PADDING]), slot, name)}: slot {slot!r}, {name}: {what}")


@compiled
def _find_faults(first: Any, ratio: Any, value: Any, weight: Any, fault: Any) -> None:
    """Writes for each distribution the first of the codes above that applies to it."""
    for d in range(fault.size):
        largest = 1.0 if ratio[d] else LARGEST_TOKENS
        total = 0.0
        falls = False
        code = _GOOD
        for i in range(first[d], first[d + 1]):
            total += weight[i]
            if not 0.0 <= value[i] <= largest:
                code = _KEY
            elif not ratio[d] and value[i] != np.floor(value[i]):
                code = _WHOLE
            elif not 0.0 <= weight[i] < np.inf:
                code = _WEIGHT
            elif i > first[d] and np.float32(value[i]) == np.float32(value[i - 1]):
                code = _TWICE
            if code != _GOOD:
                break
            falls |= i > first[d] and value[i] < value[i - 1]
        if code == _GOOD and not abs(total - 1.0) <= _SUM_WITHIN:
            code = _SUM
        fault[d] = _FALLING if code == _GOOD and falls else code


def _explain(parsed: Parsed, d: int, code: int, largest: int) -> str:
    """What is wrong with distribution ``d``, and what would be right."""
    run = slice(parsed.first[d], parsed.first[d + 1])
    value, weight = parsed.value[run], parsed.weight[run]
    if code == _KEY:
        return f"{value[~((value >= 0) & (value <= largest))][0]:.15g} must be between 0 and {largest}"
    if code == _WHOLE:
        return f"{value[value != np.floor(value)][0]:.15g} must be a whole number"
    if code == _WEIGHT:
        return f"probability {weight[~((weight >= 0) & (weight < np.inf))][0]:g} must be a number of at least 0"
    if code == _SUM:
        return f"the probabilities sum to {weight.sum():.6g}; they must sum to 1 within {_SUM_WITHIN:g}"
    return f"{value[np.flatnonzero(np.diff(value.astype(np.float32)) == 0)[0]]:.15g} is there twice"
