"""Compiled readers of the two kinds of ServeGen file, straight from a file's bytes.

They know the files' plain shape and nothing else. On the first byte that they do not expect they give up, and the
file is read again, slowly, to say what is wrong with it or to find that it is merely written differently. The bytes
must end in ``PADDING`` zeros, so that no scan leaves the buffer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import compiled

PADDING = 32
"""Zero bytes that must follow the text."""

_LARGEST_POWER = 40
_POWER = np.array([float(10**n) for n in range(_LARGEST_POWER + 1)])
_POWER_REST = np.array([float(10**n - int(float(10**n))) for n in range(_LARGEST_POWER + 1)])
_EXACT_POWER = 22  # 10^22 is the largest power of ten that a double holds exactly
_SPLIT = 134217729.0  # 2^27 + 1, Veltkamp's constant


@compiled
def _quotient(mantissa: Any, power: Any) -> Any:
    """mantissa / 10^power, rounded once: exactly where one division does it, else in double-double arithmetic."""
    high = np.float64(mantissa)
    if mantissa < np.uint64(1 << 53) and power <= _EXACT_POWER:
        return high / _POWER[power]
    low = np.float64(np.int64(mantissa - np.uint64(high)))
    divisor = _POWER[power]
    quotient = high / divisor
    # Dekker's product: quotient × divisor = product + error, both exact
    c = _SPLIT * quotient
    q1 = c - (c - quotient)
    q2 = quotient - q1
    c = _SPLIT * divisor
    d1 = c - (c - divisor)
    d2 = divisor - d1
    product = quotient * divisor
    error = ((q1 * d1 - product) + q1 * d2 + q2 * d1) + q2 * d2
    return quotient + ((((high - product) - error) + low) - quotient * _POWER_REST[power]) / divisor


@compiled
def number(text: Any, i: Any) -> Any:
    """(where the decimal number at ``text[i]`` ends, its value); (-1, 0.0) for none, a sign, or more than 19 digits."""
    mantissa = np.uint64(0)
    start = i
    while 48 <= text[i] <= 57:
        if mantissa > np.uint64(999_999_999_999_999_999):
            return -1, 0.0
        mantissa = mantissa * np.uint64(10) + np.uint64(text[i] - 48)
        i += 1
    if i == start or (text[start] == 48 and i > start + 1):
        return -1, 0.0
    power: Any = 0
    if text[i] == 46:
        i += 1
        start = i
        while 48 <= text[i] <= 57:
            if mantissa > np.uint64(999_999_999_999_999_999):
                return -1, 0.0
            mantissa = mantissa * np.uint64(10) + np.uint64(text[i] - 48)
            i += 1
        power = i - start
        if power == 0:
            return -1, 0.0
    if text[i] == 101 or text[i] == 69:
        i += 1
        minus = text[i] == 45
        if minus or text[i] == 43:
            i += 1
        start = i
        exponent: Any = 0
        while 48 <= text[i] <= 57 and i < start + 4:
            exponent = exponent * 10 + np.int64(text[i] - 48)
            i += 1
        if i == start:
            return -1, 0.0
        power += exponent if minus else -exponent
    if mantissa == np.uint64(0):
        return i, 0.0
    if power < 0 or power > _LARGEST_POWER:
        return -1, 0.0
    return i, _quotient(mantissa, power)


@compiled
def _blank(text: Any, i: Any) -> Any:
    """Where the white space at ``text[i]`` ends."""
    while text[i] == 32 or text[i] == 10 or text[i] == 13 or text[i] == 9:
        i += 1
    return i


@compiled
def _name(text: Any, i: Any, name: Any, name_first: Any) -> Any:
    """(where the name at ``text[i]`` and its closing quote end, its number); (-1, -1) for none that is known."""
    for f in range(name_first.size - 1):
        j = i
        for k in range(name_first[f], name_first[f + 1]):
            if text[j] != name[k]:
                break
            j += 1
        if j - i == name_first[f + 1] - name_first[f] and text[j] == 34:
            return j + 1, f
    return -1, -1


@compiled
def _atoms(text: Any, i: Any, n: Any, value: Any, weight: Any) -> Any:
    """(where the literal ``{key: number, …}"`` at ``text[i]`` ends, atoms held so far); (-1, n) for another shape."""
    if text[i] != 123:
        return -1, n
    i += 1
    if text[i] == 125:
        return (i + 2, n) if text[i + 1] == 34 else (-1, n)
    while True:
        i, value[n] = number(text, i)
        if i < 0 or text[i] != 58:
            return -1, n
        i += 1
        while text[i] == 32:
            i += 1
        i, weight[n] = number(text, i)
        if i < 0:
            return -1, n
        n += 1
        if text[i] == 125:
            return (i + 2, n) if text[i + 1] == 34 else (-1, n)
        if text[i] != 44:
            return -1, n
        i += 1
        while text[i] == 32:
            i += 1


@compiled
def scan_dataset(
    text: Any, name: Any, name_first: Any, slot_s: Any, of_slot: Any, of_field: Any, first: Any, value: Any, weight: Any
) -> Any:
    """(slots, distributions) read from a dataset's ``text`` into the arrays; (-1, -1) for another shape.

    ``slot_s`` receives every slot's start; distribution ``d`` belongs to slot number ``of_slot[d]`` and field number
    ``of_field[d]``, and holds atoms ``first[d]`` to ``first[d + 1]``. Empty literals give no distribution. An array of
    ``text.size // 4`` elements is always long enough.
    """
    slots = distributions = n = 0
    first[0] = 0
    i = _blank(text, 0)
    if text[i] != 123:
        return -1, -1
    i = _blank(text, i + 1)
    while True:
        if text[i] != 34:
            return -1, -1
        i, slot_s[slots] = number(text, i + 1)
        if i < 0 or text[i] != 34:
            return -1, -1
        i = _blank(text, i + 1)
        if text[i] != 58:
            return -1, -1
        i = _blank(text, i + 1)
        if text[i] != 123:
            return -1, -1
        i = _blank(text, i + 1)
        seen = 0
        while True:
            if text[i] != 34:
                return -1, -1
            i, f = _name(text, i + 1, name, name_first)
            if i < 0 or seen & (1 << f):
                return -1, -1
            seen |= 1 << f
            i = _blank(text, i)
            if text[i] != 58:
                return -1, -1
            i = _blank(text, i + 1)
            if text[i] != 34:
                return -1, -1
            before = n
            i, n = _atoms(text, i + 1, n, value, weight)
            if i < 0:
                return -1, -1
            if n > before:
                of_slot[distributions], of_field[distributions] = slots, f
                distributions += 1
                first[distributions] = n
            i = _blank(text, i)
            if text[i] != 44:
                break
            i = _blank(text, i + 1)
        slots += 1
        if text[i] != 125:
            return -1, -1
        i = _blank(text, i + 1)
        if text[i] != 44:
            break
        i = _blank(text, i + 1)
    if text[i] != 125:
        return -1, -1
    return (slots, distributions) if _blank(text, i + 1) == text.size - PADDING else (-1, -1)


@compiled
def scan_trace(text: Any, family_name: Any, family_first: Any, column: Any, family: Any) -> Any:
    """How many lines ``number,number,number,family,number,number`` were read into the arrays; -1 for another shape.

    ``column`` receives the five numbers, shape [5, lines], and ``family`` the number of the family's name. Room for
    ``text.size // 11`` lines is always enough, as every line must have its end.
    """
    i = lines = 0
    end = text.size - PADDING
    while i < end:
        for c in range(3):
            i, column[c, lines] = number(text, i)
            if i < 0 or text[i] != 44:
                return -1
            i += 1
        start = i
        while text[i] != 44 and text[i] >= 32:
            i += 1
        known = -1
        for f in range(family_first.size - 1):
            size = family_first[f + 1] - family_first[f]
            if size == i - start:
                k = 0
                while k < size and text[start + k] == family_name[family_first[f] + k]:
                    k += 1
                if k == size:
                    known = f
        if known < 0 or text[i] != 44:
            return -1
        family[lines] = known
        i, column[3, lines] = number(text, i + 1)
        if i < 0 or text[i] != 44:
            return -1
        i, column[4, lines] = number(text, i + 1)
        if i < 0:
            return -1
        if text[i] == 13:
            i += 1
        if text[i] != 10:
            return -1
        i += 1
        lines += 1
    return lines
