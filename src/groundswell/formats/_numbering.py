"""Numbers from 0 on for whatever is met, in the order in which it is first met."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled, mix

Ints = NDArray[np.int64]

_FULL = 0.6  # of the table's places are taken when it doubles


class Numbering:
    """Gives equal keys equal numbers: 0, 1, 2, … in the order in which they are first asked for.

    It takes 27 to 54 bytes for each key that was met, and none for a number that was given to no key.
    """

    def __init__(self) -> None:
        self.given = 0
        """So many numbers were given."""
        self._keys = np.zeros(2**10, np.int64)
        self._numbers = np.full(2**10, -1, np.int64)
        self._held = 0

    def of(self, keys: Ints, alone: NDArray[np.bool_] | None = None) -> Ints:
        """The number of each of ``keys``; where ``alone``, one of its own that no key has, whatever the key."""
        alone = np.zeros(keys.size, np.bool_) if alone is None else alone
        out, begin = np.empty(keys.size, np.int64), 0
        while True:
            most = int(_FULL * self._keys.size)
            begin, self.given, self._held = _number(
                keys, alone, begin, self._keys, self._numbers, self.given, self._held, most, out
            )
            if begin == keys.size:
                return out
            self._grow()

    def fresh(self, count: int) -> Ints:
        """So many numbers that no key has."""
        self.given += count
        return np.arange(self.given - count, self.given)

    def _grow(self) -> None:
        keys, numbers = np.zeros(2 * self._keys.size, np.int64), np.full(2 * self._keys.size, -1, np.int64)
        _moved(self._keys, self._numbers, keys, numbers)
        self._keys, self._numbers = keys, numbers


@compiled
def _place(key: Any, keys: Any, numbers: Any) -> Any:
    """Where ``key`` is in a table, or would be."""
    mask = np.uint64(keys.size - 1)
    at = mix(np.uint64(key)) & mask
    while numbers[at] >= 0 and keys[at] != key:
        at = (at + np.uint64(1)) & mask
    return at


@compiled
def _number(
    asked: Any, alone: Any, begin: int, keys: Any, numbers: Any, given: int, held: int, most: int, out: Any
) -> Any:
    """Fills ``out`` from ``begin`` on, until the table has more than ``most`` keys: how far it came, and the counts."""
    for i in range(begin, asked.size):
        if alone[i]:
            out[i] = given
            given += 1
            continue
        at = _place(asked[i], keys, numbers)
        if numbers[at] < 0:
            if held >= most:
                return i, given, held
            keys[at], numbers[at] = asked[i], given
            given += 1
            held += 1
        out[i] = numbers[at]
    return asked.size, given, held


@compiled
def _moved(keys: Any, numbers: Any, new_keys: Any, new_numbers: Any) -> None:
    for i in range(keys.size):
        if numbers[i] >= 0:
            at = _place(keys[i], new_keys, new_numbers)
            new_keys[at], new_numbers[at] = keys[i], numbers[i]
