"""Words that are one token each: what prompts are made of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

MOST = 4096
"""Words that a table holds at most: more would make prompts no less alike, and it stays in a core's first cache."""


class Words(msgspec.Struct, frozen=True):
    """A table of words, each exactly one token wherever it stands in a prompt.

    A word of text is a space and letters of ASCII, such as ``b" tide"``, so it needs no escape in JSON; a word of ids
    is a number and a comma, such as ``b"5021,"``. All have the same ``width`` in bytes, so a prompt of n tokens is
    n · width bytes, and its tokens can be placed without a look at the text.
    """

    name: str
    """Where they come from, for a person to read."""
    ids: bool
    width: int
    table: bytes
    first: bytes = b""
    """Those of the words that may begin a text, where not all may: the others are one token only after a space."""
    sure: bool = True
    """Whether a tokenizer has been asked; else it is a guess that each is one token."""

    def __post_init__(self) -> None:
        if self.width < 2 or not self.table or len(self.table) % self.width:
            raise ValueError(f"a table of {len(self.table)} bytes holds no words of {self.width} bytes each")
        if len(self) > 65_536:
            raise ValueError(f"a table holds up to 65,536 words; this one has {len(self):,}")
        if len(self.first) % self.width:
            raise ValueError(f"words that begin a text take {len(self.first)} bytes, at {self.width} each")

    def __len__(self) -> int:
        return len(self.table) // self.width

    def column(self) -> NDArray[np.void]:
        """The words as an array, one item of ``width`` bytes each, which shares the table's bytes."""
        return np.frombuffer(self.table, f"V{self.width}")

    def some(self, count: int, times: int = 1) -> bytes:
        """So many tokens, from all over the table, and so many times the same, as a prompt would have them: what a
        server is asked to count."""
        words = [self.table[at : at + self.width] for at in range(0, len(self.table), self.width)]
        some = [words[7919 * i % len(words)] for i in range(count)] * times
        if self.ids or not some:
            return b"".join(some)
        return b"".join([self.beginnings().get(some[0], some[0][1:]), *some[1:]])

    def beginnings(self) -> dict[bytes, bytes]:
        """What a text begins with in place of each word, without its space; nothing where any word may begin one."""
        some: list[bytes] = np.frombuffer(self.first, f"V{self.width}").tolist()
        known = set(some)
        words: list[bytes] = self.column().tolist()
        return {word: (word if word in known else some[i % len(some)])[1:] for i, word in enumerate(words) if some}

    def strings(self) -> list[str]:
        """The words without their space or comma.

        >>> Words("two", False, 5, b" tide wave").strings()
        ['tide', 'wave']
        """
        words = [self.table[at : at + self.width] for at in range(0, len(self.table), self.width)]
        return [word.strip(b" ,").decode() for word in words]


def words_of(name: str, words: list[str], *, ids: bool, first: Sequence[str] = (), sure: bool = True) -> Words:
    """A table of ``words``, all of one length: letters, or the decimals of token ids; ``first`` may begin a text."""
    form = "{}," if ids else " {}"
    table, begin = ("".join(form.format(word) for word in some).encode("ascii") for some in (words, first))
    return Words(name, ids, len(table) // max(len(words), 1), table, begin, sure)
