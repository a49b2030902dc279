"""Prompts of exact length, made shortly before they are sent, in which equal blocks are equal text.

A token is a function of the seed, the block it is in and its place there, so a prompt needs no other prompt, no order
and no memory, and any part of it can be made alone. The numbers are those of :mod:`groundswell.chance` (SplitMix64's
output function, Steele, Lea and Flood, OOPSLA 2014), in NumPy, as workers do not load a compiler: a number of 64 bits
chooses four tokens, 16 bits each.
"""

from __future__ import annotations

import hashlib
import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.replay.words import Words

Ints = NDArray[np.int64]
Numbers = NDArray[np.uint64]

PIECE = 4096
"""Numbers that are worked on at a time: they and what is made of them stay in a core's cache."""

_GOLDEN = 0x9E3779B97F4A7C15
_ALL = 2**64 - 1


def mixed(word: Numbers, spare: Numbers | None = None) -> Numbers:
    """SplitMix64's output function, in place: what :func:`groundswell.chance.mix` gives."""
    spare = np.empty_like(word) if spare is None else spare
    np.right_shift(word, np.uint64(30), out=spare)
    np.bitwise_xor(word, spare, out=word)
    np.multiply(word, np.uint64(0xBF58476D1CE4E5B9), out=word)
    np.right_shift(word, np.uint64(27), out=spare)
    np.bitwise_xor(word, spare, out=word)
    np.multiply(word, np.uint64(0x94D049BB133111EB), out=word)
    np.right_shift(word, np.uint64(31), out=spare)
    np.bitwise_xor(word, spare, out=word)
    return word


@cache
def key_of(seed: int, purpose: str) -> int:
    """The key of the stream of numbers that belongs to a seed and a purpose (:func:`groundswell.chance.stream_key`)."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\x1f{purpose}".encode(), digest_size=8).digest(), "little")


def numbers_at(key: int, index: NDArray[Any]) -> Numbers:
    """Number ``index`` of the stream ``key``, for an array of indices of 64 bits."""
    steps = np.ascontiguousarray(index, np.int64).view(np.uint64) * np.uint64(_GOLDEN)
    return mixed(steps + np.uint64((key + _GOLDEN) & _ALL))


def item_number(seed: int, row: int, item: int) -> int:
    """A number of 64 bits that tells an image or a sound from every other of the same seed.

    It is :func:`numbers_at` a place that belongs to the row's item alone, of up to 65,536 to a row.
    """
    word = key_of(seed, "items") + (row * 2**16 + item + 1) * _GOLDEN & _ALL
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & _ALL
    word = (word ^ word >> 27) * 0x94D049BB133111EB & _ALL
    return word ^ word >> 31


class Prompts:
    """Makes prompts of ``words``, the same for a ``seed`` on every machine.

    ``block_tokens`` is how many tokens a block of the workload has; with 0, runs of blocks mean nothing.
    """

    def __init__(self, words: Words, seed: int, block_tokens: int = 0) -> None:
        self._words = words.column()
        self._width = words.width
        self._leading = 0 if words.ids else 1
        self._first = words.beginnings()
        # Blocks of a size that four does not divide take fewer tokens from a number, so none straddles two blocks.
        self._lanes = math.gcd(block_tokens, 4)
        self._block = block_tokens // self._lanes
        self._block_key = key_of(seed, "blocks")
        self._row_key = key_of(seed, "rows")
        self._steps = np.arange(PIECE, dtype=np.uint64) * np.uint64(_GOLDEN)
        self._spare = np.empty(PIECE, np.uint64)
        self._place = np.empty((PIECE, self._lanes), np.int64)

    def texts(self, row: Ints, runs: tuple[Ints, NDArray[Any]], begin: NDArray[Any], end: NDArray[Any]) -> list[bytes]:
        """Tokens ``begin`` up to ``end`` of the prompt of each ``row``.

        ``runs`` are the pairs (first block, number of blocks) of all prompts in a row, flat, and how many pairs belong
        to each prompt. Token j of a prompt is a function of the seed, the id of block j // block_tokens and the place
        in it, where the runs reach so far; else of the seed, the row and j. Text begins with a letter, so a template
        that trims messages does not change it; token ids end in a comma. Nothing is checked: 0 ≤ begin ≤ end.
        """
        lanes, width = self._lanes, self._width
        begin, end = np.asarray(begin, np.int64), np.asarray(end, np.int64)
        first = begin // lanes
        # an empty prompt takes no number, so that places below count what is made
        last = np.where(end > begin, -(-end // lanes), first)
        made = self._made(*self._stretches(np.asarray(row, np.int64), runs, first, last))
        sizes = last - first
        start = ((np.cumsum(sizes) - sizes - first) * lanes + begin) * width
        stop = start + (end - begin) * width
        view = memoryview(made.data)
        spans = zip(start.tolist(), stop.tolist(), strict=True)
        if not self._first:
            lead = self._leading
            return [bytes(view[a + lead : b]) for a, b in spans]
        open_with = self._first
        return [open_with[bytes(view[a : a + width])] + bytes(view[a + width : b]) if a < b else b"" for a, b in spans]

    def _stretches(
        self, row: Ints, runs: tuple[Ints, NDArray[Any]], first: Ints, last: Ints
    ) -> tuple[Numbers, Ints, Ints]:
        """(key, first place, number of numbers) of each stretch of one stream, in order of the prompts."""
        own_key = numbers_at(self._row_key, row)
        flat, count = np.asarray(runs[0], np.int64), np.asarray(runs[1], np.int64)
        if not flat.size or not self._block:
            return own_key, first, last - first
        prompt = np.repeat(np.arange(row.size), count)
        block, blocks = flat[::2], flat[1::2]
        after = np.cumsum(blocks)
        of_prompt = np.concatenate([[0], after])[np.concatenate([[0], np.cumsum(count)])]
        place = (after - blocks - of_prompt[prompt]) * self._block
        low = np.maximum(place, first[prompt])
        high = np.minimum(place + blocks * self._block, last[prompt])
        skipped = (low - place) // self._block
        used = np.maximum(-(-(high - place) // self._block) - skipped, 0)

        # one for each block that is needed
        run = np.repeat(np.arange(used.size), used)
        nth = np.arange(run.size) - np.repeat(np.cumsum(used) - used - skipped, used)
        at = nth * self._block + place[run]
        begin = np.maximum(at, low[run])
        size = np.minimum(at + self._block, high[run]) - begin

        # what no block covers stands behind each prompt's blocks
        own_first = np.maximum(first, np.diff(of_prompt) * self._block)
        total = np.bincount(prompt, used, row.size).astype(np.int64)
        own = np.cumsum(total) + np.arange(row.size)
        covered = np.ones(run.size + row.size, bool)
        covered[own] = False
        key = np.empty(covered.size, np.uint64)
        start, length = np.empty((2, covered.size), np.int64)
        key[own], key[covered] = own_key, numbers_at(self._block_key, block[run] + nth)
        start[own], start[covered] = own_first, begin - at
        length[own], length[covered] = np.maximum(last - own_first, 0), size
        return key, start, length

    def _made(self, key: Numbers, start: Ints, length: Ints) -> NDArray[np.uint8]:
        """The bytes of the words that the numbers of all stretches choose, one after the other."""
        before = np.cumsum(length) - length
        golden = np.uint64(_GOLDEN)
        state = np.repeat(key + (start + 1 - before).view(np.uint64) * golden, length)
        made = np.empty((state.size, self._lanes), self._words.dtype)
        for at in range(0, state.size, PIECE):
            piece = state[at : at + PIECE]
            size = piece.size
            piece += self._steps[:size]
            piece += np.uint64(at * _GOLDEN & _ALL)
            mixed(piece, self._spare[:size])
            lanes = piece.astype("<u8", copy=False).view("<u2").reshape(size, 4)[:, : self._lanes]
            place = self._place[:size]
            np.multiply(lanes, len(self._words), out=place, dtype=np.int64)
            np.right_shift(place, 16, out=place)
            np.take(self._words, place, out=made[at : at + size], mode="clip")
        return made.view(np.uint8).reshape(-1)
