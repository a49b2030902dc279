"""Names of clients: kept distinct, and shown in a message."""

from __future__ import annotations

from collections.abc import Sequence


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """``names``, with a number behind those that were there before.

    >>> distinct(["a", "b", "a"])
    ('a', 'b', 'a~1')
    """
    taken, times, out = set(names), dict.fromkeys(names, 0), []
    for name in names:
        unique = name
        if times[name]:
            while (unique := f"{name}~{times[name]}") in taken:
                times[name] += 1
            taken.add(unique)
        times[name] += 1
        out.append(unique)
    return tuple(out)


def some(names: Sequence[str], most: int = 8) -> str:
    """The first ``most`` of ``names``, and how many there are if that is not all."""
    return ", ".join(names[:most]) + (f" … ({len(names)} in all)" if len(names) > most else "")
