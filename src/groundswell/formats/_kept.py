"""What of a workload comes back from a file of a format, and what is dropped, in words."""

from __future__ import annotations

from collections.abc import Collection

from groundswell.table import ITEM_COLUMNS, OPTIONAL, Workload

DATES = "start_unix_s"
"""The key of a workload's metadata that says when its second 0 was."""
_RUNS = "prefix_runs"
"""Prefix blocks in another form."""
EVERYTHING = (DATES, "client", *(name for name in OPTIONAL if name != _RUNS))
"""All that a format can keep, beside times and lengths."""

_WORDS = {
    DATES: "dates",
    "client": "clients",
    "conversation": "conversations",
    "turn": "numbers of turns",
    "think_s": "times to think",
    "model": "models",
    "failed": "failures",
    "reason_tokens": "reasoning",
}


def all_but(*dropped: str) -> tuple[str, ...]:
    """Everything else."""
    return tuple(name for name in EVERYTHING if name not in dropped)


def dropped(keeps: Collection[str], held: Collection[str] = EVERYTHING) -> list[str]:
    """What is ``held`` and not kept, in words.

    >>> dropped(all_but("client", "turn", "image_tokens", "audio_tokens"))
    ['clients', 'numbers of turns', 'which input tokens are images or audio']
    """
    gone = [name for name in EVERYTHING if name in held and name not in keeps]
    if "conversation" in gone:
        gone = [name for name in gone if name not in ("turn", "think_s")]
    kinds = [name.removesuffix("_tokens").replace("image", "images") for name in ITEM_COLUMNS if name in gone]
    words = [_WORDS[name] for name in _WORDS if name in gone]
    if kinds:
        listed = " or ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
        words.append(f"which input tokens are {listed}")
    return [*words, *(["shared prefixes"] if "prefix_blocks" in gone else [])]


def held_by(workload: Workload) -> set[str]:
    """What of :data:`EVERYTHING` a workload has; the one client of a trace that knows of none is no client."""
    from groundswell.formats.reading.roster import EVERYONE

    held = {"prefix_blocks" if name == _RUNS else name for name in OPTIONAL if name in workload.frame.columns}
    held |= {DATES} & set(workload.metadata)
    return held | ({"client"} if tuple(workload.clients) not in ((), (EVERYONE,)) else set())
