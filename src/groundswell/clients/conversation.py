"""Conversations and shared beginnings of prompts as a person states them, made into a client's fields.

A person says pauses in seconds and the share of replies that are asked for again; a pool holds whole milliseconds and
tables. This is the one place where the first becomes the second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from groundswell.clients.sessions import MOST_TURNS as MOST_TURNS
from groundswell.errors import UsageError
from groundswell.lengths import LENGTHS, Length, length_of
from groundswell.lengths.empirical import Empirical
from groundswell.lengths.templates import Templates

MS = 1000.0
_OF_CONVERSATION = ("turns", "think_s", "new_tokens", "kept_ratio", "regenerate")
_NEEDED = _OF_CONVERSATION[:3]
_OF_PREFIX = ("tokens", "count", "popularity", "share")
_PARAMETERS = ("mean", "least", "most")
_SECONDS = re.compile(r"\b(mean|least|most|values|of|body|tail)(\s*=\s*\(?)([-+\d.eE\s,]+)(?=[,)]|$)")
_NO_UNIT = ("zipf", "templates")


def conversation(
    turns: Length | str | float,
    think_s: Length | str | float,
    new_tokens: Length | str | float,
    kept_ratio: Length | str | float | None = None,
    regenerate: Length | str | float | None = None,
) -> dict[str, Any]:
    """The entries of a client's ``lengths`` that make it converse.

    ``turns`` is requests a conversation; ``think_s`` the pause from a reply's end to the next turn, a number or a law
    of seconds (whole milliseconds come out, at most 2²⁴ of them); ``new_tokens`` what a later turn adds to its context.
    ``kept_ratio`` is the share of the context that a turn keeps (all of it if not given), ``regenerate`` the share of
    later turns that send the last prompt again (none).

    >>> sorted(conversation(turns=3, think_s=0.25, new_tokens=80))
    ['new_tokens', 'think_ms', 'turns']
    """
    optional = {"kept_ratio": kept_ratio, "regenerate": regenerate}
    stated = {name: given for name, given in optional.items() if given is not None}
    return {"turns": turns, "think_ms": in_ms(think_s), "new_tokens": new_tokens, **stated}


def prefix(
    tokens: Length | str | float, count: float = 1, popularity: float = 1.0, share: float = 1.0
) -> dict[str, Any]:
    """The entry of a client's ``lengths`` that makes prompts share their beginnings.

    Of ``count`` beginnings, whose lengths are of the law ``tokens``, the k-th most popular is chosen in proportion to
    k^-``popularity``; a prompt has one with probability ``share`` (:mod:`groundswell.lengths.templates`).
    """
    return {"shared_tokens": Templates(count, tokens, popularity, share)}


def stated(table: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the tables ``conversation`` and ``prefix`` of a client in a file state."""
    fields: dict[str, Any] = {}
    for name, keys, needed, made in (
        ("conversation", _OF_CONVERSATION, _NEEDED, conversation),
        ("prefix", _OF_PREFIX, _OF_PREFIX[:1], prefix),
    ):
        if name not in table:
            continue
        given = table[name]
        if not isinstance(given, dict):
            raise UsageError(f"{name} must be a table of {', '.join(keys)}, not {given!r}")
        for key in given:
            if key not in keys:
                raise UsageError(f"{name} has no key {key!r}; it has {', '.join(keys)}")
        for key in needed:
            if key not in given:
                raise UsageError(f"{name}: {key!r} is missing; it needs {', '.join(needed)}")
        try:
            fields |= made(**given)
        except UsageError as fault:
            raise UsageError(f"{name}: {fault}") from fault
    return fields


def in_ms(think_s: Length | str | float) -> Length:
    """The law of whole milliseconds that ``think_s``, a number or a law of seconds, means.

    >>> in_ms("lognormal:mean=0.3,cv=2").mean
    300.0
    """
    try:
        if isinstance(think_s, str):
            number = _number(think_s)
            return _law_in_ms(think_s) if number is None else in_ms(number)
        if isinstance(think_s, (int, float)) and not isinstance(think_s, bool):
            return length_of(float(np.rint(MS * float(think_s))))
        return _law_in_ms(LENGTHS.text(length_of(think_s)))
    except UsageError as fault:
        raise UsageError(f"think_s (in milliseconds from here on): {fault}") from fault


def _law_in_ms(text: str) -> Length:
    """A law in seconds as one in milliseconds: every parameter that is a time is a thousand times as much."""
    for part in _NO_UNIT:
        if re.search(rf"\b{part}\s*:", text):
            raise UsageError(f"{text!r}: {part} is no law of times; give a lognormal, exponential, pareto or empirical")
    if re.search(r"\bfile\s*=", text):
        law = LENGTHS.build(text)
        if not isinstance(law, Empirical):
            raise UsageError(f"{text!r}: a file of times stands alone, as 'empirical:file=pauses.csv'")
        seconds, share = law.atoms()
        return Empirical(tuple(np.rint(MS * seconds).tolist()), tuple(share.tolist()))
    return LENGTHS.build(_with_defaults(_SECONDS.sub(_times_ms, text)))


def _with_defaults(text: str) -> str:
    """A Pareto law without a least time begins at a second, as it begins at a token."""
    return re.sub(r"\bpareto:(?![^()]*\bleast\b)([^()]*)", rf"pareto:least={MS:g},\1", text)


def _times_ms(found: re.Match[str]) -> str:
    numbers = [_number(item) for item in found[3].split(",")]
    if any(number is None for number in numbers):
        return found[0]
    with np.errstate(over="ignore", invalid="ignore"):  # the law says what is too large
        in_ms = MS * np.array(numbers, np.float64)
    values = np.round(in_ms, 6) if found[1] in _PARAMETERS else np.rint(in_ms)
    return f"{found[1]}{found[2]}" + ",".join(map(repr, values.tolist()))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def yes_or_no(given: Length | str | float) -> Length | str | float:
    """A probability as the table of 0 and 1 that a pool holds; what is no number between them stays as it is.

    >>> yes_or_no(0.25).atoms()[1].tolist()
    [0.75, 0.25]
    """
    number = _number(given) if isinstance(given, str) else given
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 < number < 1:
        return Empirical((0.0, 1.0), (1.0 - number, float(number)))
    return given
