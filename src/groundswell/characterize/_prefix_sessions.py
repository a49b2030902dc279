"""Conversations of a trace that names none, inferred from the ids of its prompts' blocks.

A turn sends again what the turns before it sent, and more. So request B follows A if B's prompt is longer and its
blocks begin with all full blocks of A's, which is to say if B has the last one of these, for equal ids stand for equal
prefixes. It has to be A's own: one that A's conversation sent first, so that a system prompt joins nobody. Of
several such A the longest is the one; a request has one follower at most, and that comes within :data:`IDLE_S`. A
request of less than a block of its own cannot be followed, and one that is sent again begins a conversation.

On Mooncake's conversation trace nine of ten requests that are joined so are longer than the one before by at least that
one's reply, the median by 26 tokens more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import compiled, mix

IDLE_S = 3600.0
"""A conversation is over when nothing has come for so long, and a block that nobody sent for so long is forgotten."""
MOST_BLOCKS = 2**19
"""As many blocks are remembered at most (80 MB), the latest; conversations that pause for longer break in two."""

BLOCK = np.dtype(
    [("id", np.int64), ("talk", np.uint64), ("seen_s", np.float64), ("open_s", np.float64), ("tokens", np.int64)]
)
"""A block of the hash table: the conversation that sent it first, 0 in an empty place; when it was last sent; when the
request arrived that ends with it and waits for its follower, or minus infinity; and the length of that one's prompt."""


@compiled
def _place(table: Any, block: Any) -> Any:
    """Where ``block`` is, or would be put."""
    mask = np.uint64(table.size - 1)
    h = mix(np.uint64(block)) & mask
    while table[h]["talk"] != 0 and table[h]["id"] != block:
        h = (h + np.uint64(1)) & mask
    return h


@compiled
def _put(table: Any, blocks: Any) -> Any:
    for i in range(blocks.size):
        table[_place(table, blocks[i]["id"])] = blocks[i]


@compiled
def _link(
    ids: Any, ends: Any, at_s: Any, tokens: Any, block_tokens: int, before: int, begin: int, filled: int,
    table: Any, talk: Any,
) -> Any:  # fmt: skip
    """Say the conversation (``talk``) of each request from ``begin`` on: (the next request, places filled).

    Stops where the table would be more than half full. ``before`` is how many requests there were before the first.
    """
    bits = at_s.view(np.uint64)
    for i in range(begin, ends.size):
        first = ends[i - 1] if i else 0
        size = ends[i] - first
        if not size:
            talk[i] = 0
            continue
        if 2 * (filled + size) > table.size:
            return i, filled
        t = at_s[i]
        mine = mix(bits[i] ^ mix(np.uint64(ids[ends[i] - 1]) ^ mix(np.uint64(before + i)))) | np.uint64(1)
        fresh = mine
        waiting = np.uint64(0)
        found = False
        for j in range(first, ends[i]):
            h = _place(table, ids[j])
            if table[h]["talk"] == 0 or t - table[h]["seen_s"] > IDLE_S:
                filled += table[h]["talk"] == 0
                table[h]["id"], table[h]["talk"], table[h]["open_s"] = ids[j], fresh, -np.inf
            elif t - table[h]["open_s"] <= IDLE_S and table[h]["tokens"] < tokens[i]:
                waiting, found = h, True
                mine = table[h]["talk"]
            table[h]["seen_s"] = t
        if found:
            table[waiting]["open_s"] = -np.inf
            for j in range(first, ends[i]):
                h = _place(table, ids[j])
                if table[h]["talk"] == fresh:
                    table[h]["talk"] = mine
        talk[i] = mine
        last = min(size, tokens[i] // block_tokens) - 1
        if last >= 0:
            h = _place(table, ids[first + last])
            if table[h]["talk"] == mine:
                table[h]["open_s"], table[h]["tokens"] = t, tokens[i]
    return ends.size, filled


@dataclass(frozen=True, eq=False)
class Prompts:
    """Requests in order of time: request i has the blocks ``ids[ends[i - 1]:ends[i]]``, each of ``block_tokens``."""

    ids: NDArray[np.int64]
    ends: NDArray[np.int64]
    at_s: NDArray[np.float64]
    tokens: NDArray[np.int32]
    block_tokens: int

    @classmethod
    def concat(cls, parts: Sequence[Prompts]) -> Prompts:
        """The requests of all parts, one after the other."""
        shift = np.cumsum([0, *(part.ids.size for part in parts)])
        return cls(
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.ends + add for part, add in zip(parts, shift, strict=False)]),
            np.concatenate([part.at_s for part in parts]),
            np.concatenate([part.tokens for part in parts]),
            parts[0].block_tokens,
        )


@dataclass(frozen=True, eq=False)
class Sessions:
    """The blocks that are remembered after ``requests`` requests."""

    requests: int = 0
    table: Any = field(default_factory=lambda: np.zeros(1024, BLOCK))

    def after(self, prompts: Prompts) -> tuple[Sessions, NDArray[np.uint64]]:
        """These after some more prompts, and the conversation of each: a random word, 0 for a prompt without blocks."""
        talk = np.empty(prompts.at_s.size, np.uint64)
        table = self.table.copy()
        filled = int(np.count_nonzero(table["talk"]))
        done = 0
        while True:
            done, filled = _link(
                prompts.ids, prompts.ends, prompts.at_s, prompts.tokens, prompts.block_tokens,
                self.requests, done, filled, table, talk,
            )  # fmt: skip
            if done == talk.size:
                return Sessions(self.requests + talk.size, table), talk
            more = int(prompts.ends[done] - (prompts.ends[done - 1] if done else 0))
            table, filled = _regrown(table, float(prompts.at_s[done]), more)


def _regrown(table: Any, now_s: float, more: int) -> tuple[Any, int]:
    """A table of the blocks that may still matter with room for ``more``, and how many they are."""
    blocks = table[(table["talk"] != 0) & (now_s - table["seen_s"] <= IDLE_S)]
    if blocks.size > MOST_BLOCKS:
        blocks = blocks[np.argpartition(blocks["seen_s"], blocks.size - MOST_BLOCKS)[-MOST_BLOCKS:]]
    size = 1024
    while size < 4 * (blocks.size + more):
        size *= 2
    grown = np.zeros(size, BLOCK)
    _put(grown, blocks)
    return grown, int(blocks.size)
